package acceptance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/internal/simulator/company"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/plugins/builtin"
	"github.com/postureproject/posture/store/storetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// site is a simulated company with a folder for a configuration of it.
type site struct {
	*company.Company
	dir string
}

// newSite starts every vendor's simulator for a company of some people. Its
// present is ours, as plugins look back from the present.
func newSite(t testing.TB, people int) *site {
	t.Helper()
	dir := t.TempDir()
	c, err := company.Start(company.Options{Fleet: fleet.New(fleet.Options{People: people, Now: time.Now()}), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &site{Company: c, dir: dir}
}

func (s *site) configFile() string { return filepath.Join(s.dir, "posture.yaml") }

// ada is the person who has a device of every kind.
func (s *site) ada() string { return s.Fleet.Person(0).Email }

// write writes the configuration: the plugins (those named, or all) and the
// given keys of the top level.
func (s *site) write(t testing.TB, top map[string]any, only ...string) {
	t.Helper()
	all := map[string]any{"state_dir": "state", "listen": "127.0.0.1:0", "default_timeout": "20s"}
	for k, v := range top {
		all[k] = v
	}
	text, err := s.YAML(all, only...)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.configFile(), string(text), 0o600)
}

// set changes one key of a plugin's block before write.
func (s *site) set(plugin, key string, value any) { s.Plugins[plugin][key] = value }

// open runs the configuration in this process; the plugins are processes of the
// built program.
func (s *site) open(t testing.TB, change ...func(*host.Options)) *host.Host {
	t.Helper()
	o := host.Options{
		Load: func() (*config.File, error) {
			return config.Load(s.configFile(), nil, builtin.Names()...)
		},
		Logger: slog.New(slog.DiscardHandler), Executable: postureProgram(t), Builtin: builtin.Names(), Describe: builtin.Describe,
		// A source that failed in one case shall be asked in the next.
		Limits: supervise.Limits{BreakerFailures: 1 << 20, MaxBackoff: 20 * time.Millisecond},
	}
	for _, f := range change {
		f(&o)
	}
	if o.Store == nil { // Duo's log is kept there
		o.Store = storetest.Open(t, "sqlite:"+filepath.Join(s.dir, "state", "posture.db"), nil)
	}
	h, err := host.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// ask scans Ada within a minute.
func (s *site) ask(t testing.TB, h *host.Host) device.Posture {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return h.Pipeline().Scan(ctx, scan.Request{Email: s.ada()})
}

// outcomesOf gives all outcomes of one plugin.
func outcomesOf(a device.Posture, plugin string) []device.Outcome {
	return slices.DeleteFunc(slices.Clone(a.Sources), func(o device.Outcome) bool { return o.Plugin != plugin })
}

// comparable gives an answer as JSON without what differs between two answers to
// the same question.
func comparable(t testing.TB, a any) any {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return walk(v, func(key string, v any) any {
		if key == "duration_ms" || key == "generated_at" {
			return nil
		}
		return v
	})
}

// walk replaces every value below v by what f makes of it.
func walk(v any, f func(key string, v any) any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			v[k] = f(k, walk(child, f))
		}
	case []any:
		for i, child := range v {
			v[i] = f("", walk(child, f))
		}
	}
	return v
}

// normalized makes an answer independent of the hour of the test: times become
// distances from the company's present, and ports are left out. Dates without a
// time of day are facts of the fleet.
func normalized(t testing.TB, a any, now time.Time) []byte {
	t.Helper()
	moment := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)
	port := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	v := walk(comparable(t, a), func(key string, v any) any {
		text, ok := v.(string)
		switch {
		case !ok:
			return v
		case key == "description" || key == "directions": // the policy's texts have their own tests
			return "…"
		case recentDay(text, now):
			return "DAY"
		case key == "accounts:last_login_time": // hangs on the day, not on the hour
			return "TIME"
		}
		text = moment.ReplaceAllStringFunc(text, func(m string) string {
			at, err := time.Parse(time.RFC3339Nano, m)
			if err != nil || strings.HasSuffix(m, "T00:00:00Z") {
				return m
			}
			return "present" + at.Sub(now).Round(time.Minute).String()
		})
		return port.ReplaceAllString(text, "127.0.0.1:PORT")
	})
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// recentDay reports whether text is a day of the last month.
func recentDay(text string, now time.Time) bool {
	day, err := time.Parse(time.DateOnly, strings.TrimSuffix(text, "T00:00:00Z"))
	return err == nil && now.Sub(day).Abs() < 31*24*time.Hour
}

// golden compares text with a file in testdata.
func golden(t testing.TB, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", path, diff)
	}
}
