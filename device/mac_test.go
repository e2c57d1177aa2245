package device_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

func TestParseMAC(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want device.MAC // empty: an error
	}{
		{"00:1B:63:84:45:E6", "00:1B:63:84:45:E6"},
		{"00:1b:63:84:45:e6", "00:1B:63:84:45:E6"},
		{"00-1B-63-84-45-E6", "00:1B:63:84:45:E6"},
		{"001B.6384.45E6", "00:1B:63:84:45:E6"},
		{"001b638445e6", "00:1B:63:84:45:E6"},
		{" 001b638445e6\n", "00:1B:63:84:45:E6"},
		{"00:1B:63:FF:FE:84:45:E6", "00:1B:63:FF:FE:84:45:E6"},
		{"001B63FFFE8445E6", "00:1B:63:FF:FE:84:45:E6"},
		{"001B.63FF.FE84.45E6", "00:1B:63:FF:FE:84:45:E6"},
		{"", ""},
		{"unknown", ""},
		{"00:1B:63:84:45", ""},
		{"00:1B:63:84:45:E6:77", ""},
		{"00:1B:63:84:45:EG", ""},
		{"00:1B-63:84:45:E6", ""},
		{"001B:6384:45E6", ""},
		{"00.1B.63.84.45.E6", ""},
		{"0:1B:63:84:45:E60", ""},
		{"00:1B:63:84:45:E6:", ""},
		{":00:1B:63:84:45:E6", ""},
		{"00::1B:63:84:45:E6", ""},
		{"001B638445E", ""},
		{"001B638445E6001B638445E6", ""},
		{"００1B638445E6", ""},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, err := device.ParseMAC(tt.in)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Fatalf("ParseMAC(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
			if err == nil {
				return
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Fields[0].Value != tt.in {
				t.Errorf("the error does not say that %q is invalid: %v", tt.in, err)
			}
		})
	}
}

func TestMAC_Usable(t *testing.T) {
	t.Parallel()
	for mac, want := range map[device.MAC]bool{
		"00:1B:63:84:45:E6":       true,
		"3C:22:FB:00:00:01":       true,
		"F4:22:FB:00:00:01":       true,
		"A8:22:FB:00:00:01":       true,
		"00:1B:63:FF:FE:84:45:E6": true,
		"00:00:00:84:45:E6":       false,
		"00:00:00:00:00:00":       false,
		"02:1B:63:84:45:E6":       false,
		"06:1B:63:84:45:E6":       false,
		"AE:1B:63:84:45:E6":       false,
		"9A:1B:63:84:45:E6":       false,
		"01:00:5E:00:00:FB":       false,
		"33:33:00:00:00:01":       false,
		"FF:FF:FF:FF:FF:FF":       false,
		"":                        false,
		"a8:22:fb:00:00:01":       false,
		"001B638445E6":            false,
		"00:1B:63:84:45:E6:11":    false,
	} {
		if got := mac.Usable(); got != want {
			t.Errorf("MAC(%q).Usable() = %t, want %t", mac, got, want)
		}
	}
}

func TestUsableMACs(t *testing.T) {
	t.Parallel()
	macs, bad := device.UsableMACs("", "00-1b-63-84-45-e6", "odd", "  ", "001B.6384.45E6", "02:1B:63:84:45:E6", "3C:22:FB:00:00:01", "odder")
	if diff := cmp.Diff([]device.MAC{"00:1B:63:84:45:E6", "3C:22:FB:00:00:01"}, macs); diff != "" {
		t.Errorf("usable (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"odd", "odder"}, bad); diff != "" {
		t.Errorf("bad (-want +got):\n%s", diff)
	}
}

func FuzzParseMAC(f *testing.F) {
	for _, s := range []string{
		"00:1B:63:84:45:E6", "00-1b-63-84-45-e6", "001B.6384.45E6", "001b638445e6", "00:1B:63:FF:FE:84:45:E6", "001B.63FF.FE84.45E6",
		"", "unknown", "00:1B:63:84:45", "00:1B-63:84:45:E6", "00:1B:63:84:45:E6:", "  ", "\x00", "１",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := device.ParseMAC(s)
		if err != nil {
			if m != "" {
				t.Fatalf("ParseMAC(%q) gives both %q and an error", s, m)
			}
			return
		}
		again, err := device.ParseMAC(string(m))
		if err != nil || again != m {
			t.Fatalf("ParseMAC(%q) = %q, which is not canonical: %q, %v", s, m, again, err)
		}
		digits := strings.NewReplacer(":", "", "-", "", ".", "").Replace(strings.ToUpper(strings.TrimSpace(s)))
		if got := strings.ReplaceAll(string(m), ":", ""); got != digits {
			t.Fatalf("ParseMAC(%q) = %q has other digits", s, m)
		}
		if m.Usable() && len(m) != 17 && len(m) != 23 {
			t.Fatalf("%q is usable", m)
		}
	})
}
