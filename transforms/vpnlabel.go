package transforms

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

const vpnCIDRsKey = "VPN_CIDRS"

// VPNLabeler tells of events whether they came from the addresses of a VPN.
type VPNLabeler struct {
	ranges []addressRange // ascending, without overlaps; IPv4 before IPv6
}

// addressRange is the addresses from first to last.
type addressRange struct{ first, last netip.Addr }

// NewVPNLabeler reads the settings of vpn_labeler: VPN_CIDRS, a list of networks
// such as 192.0.2.0/24, 192.0.2.0/255.255.255.0 or 2001:db8::/32, of ranges such
// as 192.0.2.1-192.0.2.9, and of single addresses. Bits beyond a network's
// prefix are ignored.
func NewVPNLabeler(raw json.RawMessage) (*VPNLabeler, error) {
	value, err := setting(NameVPNLabeler, raw, vpnCIDRsKey)
	if err != nil {
		return nil, err
	}
	const example = `["192.0.2.0/24"]`
	if value == nil {
		return nil, missing(NameVPNLabeler, vpnCIDRsKey, example)
	}
	var list []string
	if err := json.Unmarshal(value, &list); err != nil || list == nil {
		var one string
		if json.Unmarshal(value, &one) != nil || string(value) == "null" {
			return nil, invalid(NameVPNLabeler, fault.Field{
				Name: vpnCIDRsKey, Reason: "must be a list of networks", Remedy: "write " + example,
			})
		}
		list = []string{one}
	}
	ranges, problems := make([]addressRange, 0, len(list)), []fault.Field(nil)
	for i, text := range list {
		r, reason := parseRange(text)
		if reason != "" {
			problems = append(problems, fault.Field{
				Name: vpnCIDRsKey + "." + strconv.Itoa(i), Value: text, Reason: reason,
				Remedy: "write a network such as 192.0.2.0/24, or an address",
			})
			continue
		}
		ranges = append(ranges, r)
	}
	if err := invalid(NameVPNLabeler, problems...); err != nil {
		return nil, err
	}
	return &VPNLabeler{joined(ranges)}, nil
}

// parseRange reads a network, a range or an address, or tells what is wrong.
func parseRange(text string) (r addressRange, problem string) {
	text = strings.TrimSpace(text)
	if from, to, ok := strings.Cut(text, "-"); ok {
		first, last := parseAddress(from), parseAddress(to)
		if !first.IsValid() || !last.IsValid() || first.BitLen() != last.BitLen() || last.Less(first) {
			return r, "is not a range of addresses"
		}
		return addressRange{first, last}, ""
	}
	address, length, ok := strings.Cut(text, "/")
	first := parseAddress(address)
	if !first.IsValid() {
		return r, "is not a network"
	}
	if !ok {
		return addressRange{first, first}, ""
	}
	bits, problem := prefixLength(length, address, first)
	if problem != "" {
		return r, problem
	}
	network := netip.PrefixFrom(first, bits).Masked()
	if !network.IsValid() {
		return r, "has a prefix length that is too large"
	}
	return addressRange{network.Addr(), lastOf(network)}, ""
}

// prefixLength reads the length of a prefix, or an IPv4 network mask.
func prefixLength(text, address string, parsed netip.Addr) (bits int, problem string) {
	if mask, err := netip.ParseAddr(text); err == nil && mask.Is4() && parsed.Is4() {
		b := mask.As4()
		set := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		for bits < 32 && set&(1<<(31-bits)) != 0 {
			bits++
		}
		if set<<bits != 0 && bits < 32 {
			return 0, "has a mask with gaps"
		}
		return bits, ""
	}
	bits, err := strconv.Atoi(text)
	if err != nil || bits < 0 {
		return 0, "has no prefix length behind the slash"
	}
	if parsed.Is4() && strings.Contains(address, ":") { // ::ffff:192.0.2.0/120
		if bits -= 96; bits < 0 {
			return 0, "spans IPv4 and IPv6 addresses; write two networks"
		}
	}
	return bits, ""
}

// parseAddress reads an address; an IPv4 address in IPv6 form is an IPv4
// address, and a zone is dropped. It gives the zero Addr for anything else.
func parseAddress(text string) netip.Addr {
	a, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// lastOf gives the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// joined sorts ranges and joins those that overlap.
func joined(ranges []addressRange) []addressRange {
	slices.SortFunc(ranges, func(a, b addressRange) int { return a.first.Compare(b.first) })
	out := ranges[:0]
	for _, r := range ranges {
		if n := len(out); n > 0 && !out[n-1].last.Less(r.first) {
			if out[n-1].last.Less(r.last) {
				out[n-1].last = r.last
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// contains reports whether an address is in one of the ranges.
func (l *VPNLabeler) contains(a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	i, exact := slices.BinarySearchFunc(l.ranges, a, func(r addressRange, a netip.Addr) int { return r.first.Compare(a) })
	return exact || i > 0 && !l.ranges[i-1].last.Less(a)
}

// TransformEvents gives the events with VPN set: true when the address is one of
// the VPN's, false when it is another or none. It fails only when ctx ends.
func (l *VPNLabeler) TransformEvents(ctx context.Context, events []device.Event) ([]device.Event, error) {
	out := slices.Clone(events)
	for i := range out {
		if err := interrupted(ctx, i); err != nil {
			return nil, err
		}
		out[i].VPN = device.Bool(l.contains(parseAddress(out[i].IPAddress)))
	}
	return out, nil
}

func vpnCIDRsSchema() object {
	text := object{"type": "string"}
	return object{
		"anyOf": []any{object{"type": "array", "items": text}, text},
		"description": "Networks of the VPN, IPv4 or IPv6: 192.0.2.0/24, 192.0.2.0/255.255.255.0, 2001:db8::/32, ranges such as " +
			"192.0.2.1-192.0.2.9, and single addresses.",
		"examples": []any{[]any{"192.0.2.0/24", "2001:db8::/32"}},
	}
}
