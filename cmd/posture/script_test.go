package main

import (
	"flag"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"

	"github.com/postureproject/posture/internal/simulator/company"
	"github.com/postureproject/posture/internal/simulator/fleet"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts")

func TestMain(m *testing.M) {
	// The built-in plugins are this very program, as in main.
	if len(os.Args) == 4 && os.Args[1] == "plugin" && os.Args[2] == "serve" {
		servePlugin(os.Args[3])
		return
	}
	testscript.Main(m, map[string]func(){"posture": main})
}

// TestScript runs the command line as people do. Each script finds the
// configurations of one simulated company beside it: company.yaml, in which all
// is well; partly.yaml, in which one of three sources is down; down.yaml, in which
// the only one is.
func TestScript(t *testing.T) {
	dir := t.TempDir()
	c, err := company.Start(company.Options{Fleet: fleet.New(fleet.Options{People: 3, Now: time.Now()}), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close) // after the scripts, which run side by side
	c.Plugins["vpn_labeler"] = map[string]any{"VPN_CIDRS": []string{"192.0.2.0/24"}}
	configurations, err := configurationsOf(c)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), UpdateScripts: *update, RequireUniqueNames: true, RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ADA", c.Fleet.Person(0).Email)
			env.Setenv("HOME", env.WorkDir)
			for name, text := range configurations {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), text, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"normalize": normalize, "queue": queue},
	})
}

func configurationsOf(c *company.Company) (map[string][]byte, error) {
	top := map[string]any{"state_dir": "state", "default_timeout": "20s", "plugin_dir": ""}
	all, err := c.YAML(top)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	nowhere := listener.Addr().String()
	_ = listener.Close()
	down := map[string]any{"JAMF_API_USERNAME": "posture", "JAMF_API_PASSWORD": "not-told-to-anybody", "JAMF_API_HOSTADDR": "http://" + nowhere, "RETRIES": 0}
	one, err := yaml.Marshal(map[string]any{"state_dir": "state", "plugin_dir": "", "plugins": map[string]any{"jamf": down}})
	if err != nil {
		return nil, err
	}
	partly, err := yaml.Marshal(map[string]any{
		"state_dir": "state", "plugin_dir": "",
		"plugins": map[string]any{"jamf": down, "bitfit": c.Plugins["bitfit"], "file": c.Plugins["file"]},
	})
	return map[string][]byte{"company.yaml": all, "partly.yaml": partly, "down.yaml": one}, err
}

// normalize writes what a command printed to a file, without what hangs on the
// moment: normalize stdout FILE.
func normalize(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: normalize stdout|stderr FILE")
	}
	text := ts.ReadFile(args[0])
	for _, r := range []struct{ re, with string }{
		{`\d+ (minute|hour|day)s? ago`, "AGE ago"},
		{`(127\.0\.0\.1):\d+`, "$1:PORT"},
		{` +\d+ ms +`, "  N ms  "},
		{`(?m) +TIME +$`, "  TIME"},
		{`\d{4}-\d\d-\d\dT[0-9:]+Z`, "TIME"},
		{`"duration_ms": \d+`, `"duration_ms": 0`},
		{`go1\.[0-9.]+`, "GO"},
		{`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, "UUID"},
	} {
		text = regexp.MustCompile(r.re).ReplaceAllString(text, r.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}
