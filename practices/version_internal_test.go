package practices

import "testing"

func TestParseVersion(t *testing.T) {
	t.Parallel()
	tests := map[string]version{
		"15.7.1":                         versionOf(15, 7, 1),
		" 15.7.1 ":                       versionOf(15, 7, 1),
		"15.7.1 (24G231)":                versionOf(15, 7, 1),
		"Build 123":                      versionOf(123),
		"build 123.4":                    versionOf(123, 4),
		"v1.2.3":                         versionOf(1, 2, 3),
		"Version 7":                      versionOf(7),
		"Ver. 7.1":                       versionOf(7, 1),
		"1.2.3-beta4":                    versionOf(1, 2, 3),
		"1.1.1k":                         versionOf(1, 1, 1),
		"7,3,1,0":                        versionOf(7, 3, 1, 0),
		"1.8.0_351":                      versionOf(1, 8, 0, 351),
		"6.1.7601 Service Pack 1":        versionOf(6, 1, 7601),
		"1.2.3.4.5.6.7.8.9":              versionOf(1, 2, 3, 4, 5, 6, 7, 8),
		"01.002":                         versionOf(1, 2),
		"999999999999999999.1":           versionOf(999999999999999999, 1),
		"":                               {},
		"beta":                           {},
		"24G231":                         {},
		"-1":                             {},
		".5":                             {},
		"1234567890123456789":            {},
		"1.12345678901234567890":         {},
		"Version":                        {},
		"Service Pack 1":                 {},
		"٣.١":                            {},
		"1\x00":                          versionOf(1),
		"version version 1":              {},
		"macOS 15":                       {},
		"10.0.26100.4061 (WinBuild.160)": versionOf(10, 0, 26100, 4061),
	}
	for text, want := range tests {
		got, ok := parseVersion(text)
		if got != want || ok != (want.n > 0) {
			t.Errorf("parseVersion(%q) = %v, %v; want %v", text, got, ok, want)
		}
	}
}

func TestVersion_compare(t *testing.T) {
	t.Parallel()
	ascending := []string{"0.9", "1", "1.0.1", "1.9", "1.10", "1.10.0.1", "2", "10"}
	for i, a := range ascending {
		for j, b := range ascending {
			va, _ := parseVersion(a)
			vb, _ := parseVersion(b)
			if got := va.compare(vb); got != sign(i-j) {
				t.Errorf("%s against %s = %d", a, b, got)
			}
		}
	}
	a, _ := parseVersion("1.0.0")
	if b, _ := parseVersion("1"); a.compare(b) != 0 {
		t.Error("1.0.0 differs from 1")
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	default:
		return 0
	}
}

func TestWindowsBuild(t *testing.T) {
	t.Parallel()
	tests := map[string][2]uint64{
		"10.0.22631":                       {22631, 0},
		"10.0.22631.4037":                  {22631, 4037},
		"22631.4037":                       {22631, 4037},
		"10.0 (Build 22631)":               {22631, 0},
		"6.1.7601":                         {},
		"23H2":                             {},
		"":                                 {},
		"123456":                           {},
		"99999999999999999999999999 22631": {22631, 0},
	}
	for text, want := range tests {
		build, revision := windowsBuild(text)
		if build != want[0] || revision != want[1] {
			t.Errorf("windowsBuild(%q) = %d.%d, want %v", text, build, revision, want)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	for _, s := range []string{"15.7.1 (24G231)", "Build 123", "1.8.0_351", "24G231", "v1", "10.0.22631.1", "macOS 26.1", "1234567890123456789.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, ok := parseVersion(s)
		if ok != (v.n > 0) || v.n > maxParts {
			t.Fatalf("parseVersion(%q) = %v, %v", s, v, ok)
		}
		if v.compare(v) != 0 || ok && !v.hasPrefix(v) {
			t.Fatalf("%q does not equal itself", s)
		}
		if exact, ok := parseExact(s); ok && exact != v {
			t.Fatalf("%q reads as %v exactly, as %v otherwise", s, exact, v)
		}
		windowsBuild(s)
		systemName(s)
	})
}
