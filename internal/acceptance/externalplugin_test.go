package acceptance_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/postureproject/posture/device"
)

// scaffolded writes a plugin with the command line's help and gives its folder.
func scaffolded(t *testing.T, name string) string {
	t.Helper()
	parent := t.TempDir()
	stdout, stderr, status := posture(t, parent, "plugin", "new", name,
		"--dir", "made", "--module", "plugins.example.com/"+name, "--posture-dir", repositoryRoot(t))
	if status != 0 || !strings.Contains(stdout, "go mod tidy") {
		t.Fatalf("posture plugin new: exit status %d\n%s%s", status, stdout, stderr)
	}
	return filepath.Join(parent, "made")
}

// goCommand runs the go command in a plugin's folder without a network: what the
// plugin needs is what Posture needs, and that is in the module cache.
func goCommand(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
}

// TestExternalPlugin takes the way of a plugin's author: write it, test it, build
// it, install it, use it, and be protected from another file in its place.
func TestExternalPlugin(t *testing.T) {
	t.Parallel()
	const token = "the-token-of-acme"
	module := scaffolded(t, "acme_mdm")
	dir := t.TempDir()
	program := filepath.Join(dir, "plugins", "posture-plugin-acme_mdm")
	goCommand(t, module, "vet", "./...")
	goCommand(t, module, "test", "./...")
	goCommand(t, module, "build", "-o", program, ".")

	var asked atomic.Int32
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"devices": []any{map[string]any{
			"name": "from the plugin", "owner": r.FormValue("owner"), "serial": "ACME0001", "system": "macOS", "disk_encrypted": true,
		}}})
	}))
	t.Cleanup(vendor.Close)
	block := func(sum string) string {
		return "  acme_mdm:\n    ACME_MDM_URL: " + vendor.URL + "\n    ACME_MDM_TOKEN: " + token + "\n    SHA256: " + sum + "\n"
	}

	configure(t, dir, block(checksum(t, program)))
	t.Run("connectivity", func(t *testing.T) {
		if stdout, stderr, status := posture(t, dir, "connectivity"); status != 0 || !strings.Contains(stdout, "read devices at") {
			t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
		}
	})
	t.Run("info", func(t *testing.T) {
		stdout, _, _ := posture(t, dir, "plugin", "info", "acme_mdm")
		for _, want := range []string{"external", "devices_by_serial", "ACME_MDM_TOKEN", "secret"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("posture plugin info does not tell %q:\n%s", want, stdout)
			}
		}
		if strings.Contains(stdout, token) {
			t.Error("the token shows")
		}
	})
	t.Run("scan", func(t *testing.T) {
		answer := scanOne(t, dir, "ada@example.com", 0)
		if o := outcome(t, answer, "acme_mdm"); !o.OK || o.Count != 1 {
			t.Errorf("outcome %+v", o)
		}
		names := deviceNames(answer.Devices)
		if !slices.Contains(names, "from the plugin") || !slices.Contains(names, "from the file") {
			t.Fatalf("devices %q", names)
		}
		for _, d := range answer.Devices {
			if d.Name == "from the plugin" && (d.Platform != "Mac" || d.Practices["encryption"].Status != device.OK || !slices.Equal(d.Sources, []string{"acme_mdm"})) {
				t.Errorf("the plugin's device is %+v", d)
			}
		}
	})
	t.Run("another file in its place", func(t *testing.T) {
		before := asked.Load()
		wrong := strings.Repeat("ab", 32)
		configure(t, dir, block(wrong))
		answer := scanOne(t, dir, "ada@example.com", 2)
		o := outcome(t, answer, "acme_mdm")
		if o.OK || o.Error == nil || !strings.Contains(*o.Error, "not the pinned "+wrong) || !strings.Contains(*o.Error, checksum(t, program)) {
			t.Errorf("outcome %+v", o)
		}
		if o := outcome(t, answer, "file"); !o.OK || o.Count != 1 {
			t.Errorf("the other plugin's outcome %+v", o)
		}
		if names := deviceNames(answer.Devices); !slices.Equal(names, []string{"from the file"}) {
			t.Errorf("devices %q", names)
		}
		if asked.Load() != before {
			t.Error("the unwanted program was run")
		}
	})
}

func deviceNames(devices []device.Device) []string {
	var names []string
	for _, d := range devices {
		names = append(names, d.Name)
	}
	return names
}

func TestPluginNew_refuses(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	writeFile(t, filepath.Join(full, "main.go"), "mine", 0o600)
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no name", nil, "accepts 1 arg"},
		{"upper case", []string{"Acme"}, "lower-case letters"},
		{"hyphen", []string{"acme-mdm"}, "lower-case letters"},
		{"a way out", []string{"../acme"}, "lower-case letters"},
		{"built in", []string{"jamf"}, "built-in plugin"},
		{"a transform", []string{"re_filter"}, "built-in plugin"},
		{"module", []string{"acme", "--module", "not a module"}, "not a module path"},
		{"no checkout", []string{"acme", "--posture-dir", full}, "go.mod"},
		{"folder in use", []string{"acme", "--dir", full}, "not empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, stderr, status := posture(t, dir, append([]string{"plugin", "new"}, tt.args...)...)
			if status != 1 || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit status %d, want 1 and %q:\n%s", status, tt.want, stderr)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("it left %v, error %v", left, err)
			}
		})
	}
	if text, err := os.ReadFile(filepath.Join(full, "main.go")); err != nil || string(text) != "mine" {
		t.Errorf("main.go was overwritten: %q, %v", text, err)
	}
}
