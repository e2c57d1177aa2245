package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/fault"
)

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	xdg := folder(t, map[string]string{"posture/posture.yaml": ""}, 0o600)
	home := folder(t, map[string]string{".config/posture/posture.yaml": ""}, 0o600)
	find := func(explicit string, environ ...string) (string, error) {
		return config.Find(explicit, func(name string) string {
			for _, e := range environ {
				if value, ok := strings.CutPrefix(e, name+"="); ok {
					return value
				}
			}
			return ""
		})
	}
	expect := func(want, explicit string, environ ...string) {
		t.Helper()
		if got, err := find(explicit, environ...); err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
	expect("a.yaml", "a.yaml", "POSTURE_CONFIG=b.yaml")
	expect("-", "-")
	expect("b.yaml", "", "POSTURE_CONFIG=b.yaml", "XDG_CONFIG_HOME="+xdg)
	expect(filepath.Join(xdg, "posture", "posture.yaml"), "", "XDG_CONFIG_HOME="+xdg, "HOME="+home)
	expect(filepath.Join(home, ".config", "posture", "posture.yaml"), "", "HOME="+home)
	expect(filepath.Join(home, ".config", "posture", "posture.yaml"), "", "XDG_CONFIG_HOME=relative", "HOME="+home)

	if _, err := os.Stat("/etc/posture/posture.yaml"); err != nil {
		_, err := find("", "HOME=/nowhere")
		if fault.KindOf(err) != fault.NotFound {
			t.Fatalf("got %v", err)
		}
		for _, place := range []string{"posture.yaml, /nowhere/.config/posture/posture.yaml, /etc/posture/posture.yaml"} {
			if !strings.Contains(err.Error(), place) {
				t.Errorf("%v does not name %s", err, place)
			}
		}
		if remedy := fault.RemedyOf(err); !strings.Contains(remedy, "posture config example") {
			t.Errorf("remedy %q", remedy)
		}
	}
	if err := os.Mkdir("posture.yaml", 0o700); err != nil {
		t.Fatal(err)
	}
	expect(filepath.Join(home, ".config", "posture", "posture.yaml"), "", "HOME="+home) // a folder is no file
	if err := os.Remove("posture.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("posture.yaml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect("posture.yaml", "", "HOME="+home)
}

func TestLoad_Failures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := config.Load(filepath.Join(dir, "none.yaml"), nil)
	if fault.KindOf(err) != fault.NotFound || !strings.Contains(fault.RemedyOf(err), "--config") {
		t.Errorf("no file: %v", err)
	}
	if _, err := config.Load(dir, nil); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "it is a folder") {
		t.Errorf("a folder: %v", err)
	}
}

func TestLoad_StandardInput(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = read
	t.Cleanup(func() { os.Stdin = old; _ = read.Close() })
	if _, err := write.WriteString("listn: x\n"); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = config.Load("-", nil)
	if err == nil || !strings.HasPrefix(err.Error(), "standard input:1:1: listn: unknown key") {
		t.Errorf("got %v", err)
	}
}
