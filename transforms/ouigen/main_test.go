package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// list writes a list with n prefixes of each size.
func list(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%02X:%02X:%02X\tOwner %d\n", i>>16, i>>8&0xFF, i&0xFF, i)
		fmt.Fprintf(&b, "%02X:%02X:%02X:10/28\tOwner %d\n%02X:%02X:%02X:20:10/36\tOwner %d\n", i>>16, i>>8&0xFF, i&0xFF, i, i>>16, i>>8&0xFF, i&0xFF, i)
	}
	path := filepath.Join(t.TempDir(), "manuf")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRun(t *testing.T) {
	t.Parallel()
	input, output := list(t, 20_000), filepath.Join(t.TempDir(), "out.gz")
	var report bytes.Buffer
	if err := run([]string{output, input, input}, &report); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(report.String(), "of 24 bits: 20000, of 28: 20000, of 36: 20000") {
		t.Errorf("report: %s", report.String())
	}
	if info, err := os.Stat(output); err != nil || info.Size() == 0 {
		t.Errorf("output: %v, %v", info, err)
	}
}

func TestRun_problems(t *testing.T) {
	t.Parallel()
	output := filepath.Join(t.TempDir(), "out.gz")
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no list", []string{output}, "usage"},
		{"list missing", []string{output, "missing"}, "missing"},
		{"list of something else", []string{output, "main.go"}, "main.go: line 1"},
		{"list too short", []string{output, list(t, 10)}, "too few"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := run(tt.args, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run: %v, want %q", err, tt.want)
			}
			if _, err := os.Stat(output); err == nil {
				t.Error("an output was written")
			}
		})
	}
}
