package transforms_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/transforms"
)

func vpnLabeler(t testing.TB, cidrs ...string) *transforms.VPNLabeler {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"vpn_cidrs": append([]string{}, cidrs...)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := transforms.NewVPNLabeler(raw)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// label tells what the labeller says about an address.
func label(t testing.TB, l *transforms.VPNLabeler, ip string) bool {
	t.Helper()
	out, err := l.TransformEvents(t.Context(), []device.Event{{IPAddress: ip}})
	if err != nil || len(out) != 1 || out[0].VPN == nil {
		t.Fatalf("%q: %v, %v", ip, out, err)
	}
	return *out[0].VPN
}

func TestVPNLabeler_TransformEvents(t *testing.T) {
	t.Parallel()
	l := vpnLabeler(t, "192.0.2.0/24", "192.0.2.128/25", "198.51.100.7", "203.0.113.77/255.255.255.240", "10.0.0.5 - 10.0.0.9",
		"2001:db8::/32", "2001:db8:ffff::/48", "::ffff:100.64.0.0/106", "fe80::1", "0.0.0.0/32")
	tests := map[string]bool{
		"192.0.2.0": true, "192.0.2.255": true, "192.0.3.0": false, "192.0.1.255": false,
		"198.51.100.7": true, "198.51.100.8": false,
		"203.0.113.64": true, "203.0.113.79": true, "203.0.113.80": false, "203.0.113.63": false,
		"10.0.0.4": false, "10.0.0.5": true, "10.0.0.9": true, "10.0.0.10": false,
		"2001:db8::1": true, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": true, "2001:db9::": false,
		"::ffff:192.0.2.1": true, "::ffff:192.0.3.1": false, "100.64.0.0": true, "100.127.255.255": true, "100.128.0.0": false,
		"fe80::1%eth0": true, "0.0.0.0": true, "0.0.0.1": false, "255.255.255.255": false, "::": false,
		" 192.0.2.1 ": true, "": false, "unknown": false, "192.0.2": false, "192.0.2.1:443": false, "<b>192.0.2.1</b>": false,
	}
	for ip, want := range tests {
		if got := label(t, l, ip); got != want {
			t.Errorf("%q = %v, want %v", ip, got, want)
		}
	}
}

func TestVPNLabeler_everything(t *testing.T) {
	t.Parallel()
	v4, both := vpnLabeler(t, "0.0.0.0/0"), vpnLabeler(t, "0.0.0.0/0.0.0.0", "::/0")
	if !label(t, v4, "255.255.255.255") || label(t, v4, "::1") || !label(t, both, "::1") || !label(t, both, "1.2.3.4") {
		t.Error("the networks of all addresses are not")
	}
	if label(t, vpnLabeler(t), "192.0.2.1") {
		t.Error("no network contains an address")
	}
}

// The search gives what trying every network would.
func TestVPNLabeler_asOneByOne(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	address := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(256)), byte(r.IntN(256))})
		}
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(r.IntN(3)), byte(r.IntN(256)), 15: byte(r.IntN(256))})
	}
	prefixes, texts := []netip.Prefix{}, []string{}
	for range 300 {
		a := address()
		p := netip.PrefixFrom(a, 23+r.IntN(10)+a.BitLen()/128*20)
		prefixes, texts = append(prefixes, p.Masked()), append(texts, p.String())
	}
	l := vpnLabeler(t, texts...)
	hits := 0
	for range 5000 {
		a := address()
		want := slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
		if want {
			hits++
		}
		if got := label(t, l, a.String()); got != want {
			t.Fatalf("%s = %v, want %v", a, got, want)
		}
	}
	if hits == 0 || hits == 5000 {
		t.Fatalf("%d of 5000 addresses were inside: the test tests nothing", hits)
	}
}

func TestVPNLabeler_leavesTheInputAlone(t *testing.T) {
	t.Parallel()
	events := []device.Event{{IPAddress: "192.0.2.1", Details: map[string]string{"a": "b"}}, {VPN: device.Bool(true)}}
	before := slices.Clone(events)
	got, err := vpnLabeler(t, "192.0.2.0/24").TransformEvents(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(events)
	want[0].VPN, want[1].VPN = device.Bool(true), device.Bool(false)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labelled (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, events); diff != "" {
		t.Errorf("the input changed:\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := vpnLabeler(t).TransformEvents(ctx, events); err == nil {
		t.Error("no error from an ended context")
	}
}

func FuzzNewVPNLabeler(f *testing.F) {
	for _, s := range []string{"192.0.2.0/24", "2001:db8::/32", "::ffff:192.0.2.0/120", "10.0.0.1-10.0.0.9", "1.2.3.4/255.255.0.0", "fe80::1%a/64", "0.0.0.0/0"} {
		f.Add(s, "192.0.2.1")
	}
	f.Fuzz(func(t *testing.T, cidr, ip string) {
		raw, err := json.Marshal(map[string]any{"VPN_CIDRS": []string{cidr}})
		if err != nil {
			t.Fatal(err)
		}
		l, err := transforms.NewVPNLabeler(raw)
		if err != nil {
			return
		}
		got := label(t, l, ip)
		network, err := netip.ParsePrefix(cidr)
		if address, bad := netip.ParseAddr(ip); err == nil && bad == nil && !network.Addr().Is4In6() {
			if want := network.Contains(address.Unmap().WithZone("")); got != want {
				t.Fatalf("%s in %s = %v, want %v", ip, cidr, got, want)
			}
		}
	})
}

func BenchmarkVPNLabeler_1000Ranges(b *testing.B) {
	cidrs := make([]string, 1000)
	for i := range cidrs {
		cidrs[i] = fmt.Sprintf("10.%d.%d.0/25", i/250, i%250)
	}
	l := vpnLabeler(b, cidrs...)
	events := make([]device.Event, 100)
	for i := range events {
		events[i].IPAddress = fmt.Sprintf("10.%d.%d.%d", i%5, i, i*2)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.TransformEvents(b.Context(), events); err != nil {
			b.Fatal(err)
		}
	}
}
