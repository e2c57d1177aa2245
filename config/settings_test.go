package config_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/config"
)

func parse(t testing.TB, data string, environ ...string) *config.File {
	t.Helper()
	f, err := config.Parse("posture.yaml", []byte(data), environ)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func stateDir(user string) string {
	if os.Geteuid() == 0 {
		return "/var/lib/posture"
	}
	return user
}

// kept gives the defaults of what is kept in a folder for state.
func kept(s config.Settings) config.Settings {
	s.StoreDSN = config.Secret("sqlite:" + filepath.Join(s.StateDir, "posture.db"))
	s.MaxAge, s.OutboxBytes = 5*time.Minute, 1<<30
	s.Batch = config.BatchSettings{Limit: 10}
	s.AdministrationEvents = config.EventSettings{DedupeWindow: time.Hour, RetentionDays: 4, RecordAdHoc: true, RecordNightly: true}
	return s
}

func TestSettings_Kept(t *testing.T) {
	t.Parallel()
	f := parse(t, "store: {dsn: 'sqlite:x.db'}\nmax_age: 0\nbatch: {schedule: '0 2 * * *', time_zone: Europe/Berlin, limit: 3}\noutbox: {max_megabytes: 2}",
		"POSTURE_STATE_DIR=/s", "POSTURE_BATCH_RUN_MISSED=yes", "POSTURE_ADMINISTRATION_EVENTS_RETENTION_DAYS=9", "POSTURE_BATCH_LIMIT=4")
	s := f.Settings()
	if s.StoreDSN.Reveal() != "sqlite:/s/x.db" || s.MaxAge != 0 || s.OutboxBytes != 2<<20 || s.AdministrationEvents.RetentionDays != 9 {
		t.Errorf("%+v", s)
	}
	if b := s.Batch; b.Schedule != "0 2 * * *" || b.TimeZone != "Europe/Berlin" || b.Limit != 4 || !b.RunMissed {
		t.Errorf("%+v", b)
	}
	if got := parse(t, "", "POSTURE_STORE_DSN=postgres://u:p@h/d").Settings().StoreDSN; got.Reveal() != "postgres://u:p@h/d" || fmt.Sprint(got) != "[redacted]" {
		t.Errorf("%v", got)
	}
	for data, want := range map[string]string{
		"store: {dsn: 'mysql://u:geheim@h/d'}": "store.dsn: names no store", "batch: {time_zone: Mars}": `"Mars" is not a time zone`, "batch: {shedule: x}": "batch.shedule",
		"administration_events: {retention_days: 0}": "administration_events.retention_days",
	} {
		if _, err := config.Parse("posture.yaml", []byte(data), nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", data, err)
		}
	}
}

func TestSettings_Defaults(t *testing.T) {
	t.Parallel()
	want := kept(config.Settings{
		Listen: "127.0.0.1:5000", Admins: []string{},
		DefaultTimeout: 5 * time.Second, ScanTimeout: time.Minute, MaxConcurrentScans: 50,
		DeviceTransforms: []string{"mac_manufacturer"}, EventTransforms: []string{},
		PlaceholderIdentifiers: []string{}, StaleAfter: 720 * time.Hour, RetiredStatuses: []string{"E-Waste"},
		StateDir: stateDir("/home/a/.local/state/posture"), PluginDir: "/usr/local/lib/posture/plugins",
		LogLevel: slog.LevelInfo, LogFormat: "text",
	})
	for name, data := range map[string]string{"empty": "", "comments": "# nothing\n", "document start": "---\n", "byte order mark": "\ufeffdebug: false\r\n", "nulls": "listen:\nplugins:\npractices: ~\nadmins: null\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(want, parse(t, data, "HOME=/home/a").Settings()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSettings_File(t *testing.T) {
	t.Parallel()
	f, err := config.Load("testdata/full.yaml", []string{"JAMF_PASSWORD=x"})
	if err != nil {
		t.Fatal(err)
	}
	want := kept(config.Settings{
		Listen: "127.0.0.1:6000", JWTSecretKey: "hunter2secret-jwt-signing-key",
		Admins:         []string{"helpdesk@example.com", "it@example.com"},
		DefaultTimeout: 7 * time.Second, ScanTimeout: 2 * time.Minute, MaxConcurrentScans: 5,
		DeviceTransforms: []string{"re_filter", "mac_manufacturer"}, EventTransforms: []string{},
		PlaceholderIdentifiers: []string{"XXXX"}, StaleAfter: 336 * time.Hour, RetiredStatuses: []string{"E-Waste"},
		StateDir: "testdata/state", LogLevel: slog.LevelWarn, LogFormat: "json", Debug: true,
	})
	if diff := cmp.Diff(want, f.Settings()); diff != "" {
		t.Error(diff)
	}
	plugins := []string{"bitfit", "jamf", "es_notifications", "es", "google", "landesk", "re_filter"}
	if diff := cmp.Diff(plugins, f.Plugins()); diff != "" {
		t.Error(diff)
	}
}

func TestSettings_AreACopy(t *testing.T) {
	t.Parallel()
	f := parse(t, "admins: [a]")
	f.Settings().Admins[0] = "b"
	if got := f.Settings().Admins[0]; got != "a" {
		t.Errorf("admins changed to %s", got)
	}
}

func TestSettings_Environment(t *testing.T) {
	t.Parallel()
	f := parse(t, "listen: 127.0.0.1:6000\ndebug: false\nadmins: [a]\nplugins: {vpn_labeler: {}, re_filter: {}}",
		"POSTURE_LISTEN=0.0.0.0:80", "POSTURE_DEBUG=yes", "POSTURE_ADMINS=b@example.com, c@example.com",
		"POSTURE_JWT_SECRET_KEY=env:KEY", "KEY=0123456789abcdef", "POSTURE_MAX_CONCURRENT_SCANS=7",
		`POSTURE_RETIRED_STATUSES=["a,b", c]`, "POSTURE_PLACEHOLDER_IDENTIFIERS=- x\n- y",
		"POSTURE_DEFAULT_TIMEOUT=0.5", "POSTURE_STALE_AFTER=1d12h", "POSTURE_log_level=Error", "POSTURE_LOGIN_MANAGER=null",
		"POSTURE_STATE_DIR=~/state", "HOME=/home/a", "POSTURE_LOG_FORMAT=", "POSTURE_DEVICE_TRANSFORMS=re_filter",
		"POSTURE_CONFIG=x", "POSTURE_PLUGIN=x", "POSTURE_LIFELINE_FD=3", "POSTURE_TEST_ANYTHING=1", "OTHER=1", "nonsense")
	want := kept(config.Settings{
		Listen: "0.0.0.0:80", JWTSecretKey: "0123456789abcdef", Admins: []string{"b@example.com", "c@example.com"},
		DefaultTimeout: 500 * time.Millisecond, ScanTimeout: time.Minute, MaxConcurrentScans: 7,
		DeviceTransforms: []string{"re_filter"}, EventTransforms: []string{"vpn_labeler"},
		PlaceholderIdentifiers: []string{"x", "y"}, StaleAfter: 36 * time.Hour, RetiredStatuses: []string{"a,b", "c"},
		StateDir: "/home/a/state", PluginDir: "/usr/local/lib/posture/plugins",
		LogLevel: slog.LevelError, LogFormat: "text", Debug: true,
	})
	if diff := cmp.Diff(want, f.Settings()); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironment_Problems(t *testing.T) {
	t.Parallel()
	schemas, practices := pluginSchemas(t)
	const file = "plugins: {vpn_labeler: {VPN_CIDRS: []}, mac_manufacturer: {}}"
	for _, test := range []struct{ variable, want string }{
		{"POSTURE_LISTN=x", "environment: POSTURE_LISTN: unknown key; did you mean POSTURE_LISTEN?"},
		{"POSTURE_NOTHING_LIKE_IT=x", "environment: POSTURE_NOTHING_LIKE_IT: unknown key; posture config example lists the keys"},
		{"POSTURE_OIDC_CLIENT_ID=x", "environment: POSTURE_OIDC_CLIENT_ID: this version has no OpenID Connect log-in"},
		{"POSTURE_DEBUG=perhaps", "environment: POSTURE_DEBUG: must be true or false, not text"},
		{"POSTURE_MAX_CONCURRENT_SCANS=0", "environment: POSTURE_MAX_CONCURRENT_SCANS: must be at least 1"},
		{"POSTURE_LISTEN=:5000", "environment: POSTURE_LISTEN: others can reach this address"},
		{"POSTURE_PRACTICES=x", "environment: POSTURE_PRACTICES: practices are set in the configuration file"},
		{"POSTURE_PLUGINS={}", "environment: POSTURE_PLUGINS: plugins are set in the configuration file"},
		{"POSTURE_PLUGINS_JMAF_URL=x", "environment: POSTURE_PLUGINS_JMAF_URL: no plugin of this name is configured; add it under plugins"},
		{"POSTURE_PLUGINS_VPN_LABELER_VPN_CIDR=x", "environment: POSTURE_PLUGINS_VPN_LABELER_VPN_CIDR: unknown key; did you mean POSTURE_PLUGINS_VPN_LABELER_VPN_CIDRS?"},
		{"POSTURE_PLUGINS_VPN_LABELER_CONCURRENCY=-1", "environment: POSTURE_PLUGINS_VPN_LABELER_CONCURRENCY: must be at least 1"},
		{"POSTURE_PLUGINS_VPN_LABELER_TIMEOUT=file:/not/there", "environment: POSTURE_PLUGINS_VPN_LABELER_TIMEOUT: file:/not/there refers to a file that does not exist"},
	} {
		t.Run(test.variable, func(t *testing.T) {
			t.Parallel()
			f, err := config.Parse("posture.yaml", []byte(file), []string{test.variable})
			if err == nil {
				err = f.Check(schemas, practices)
			}
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestSettings_Listen(t *testing.T) {
	t.Parallel()
	const key = "jwt_secret_key: 0123456789abcdef\n"
	for _, test := range []struct {
		data string
		ok   bool
	}{
		{"listen: 127.0.0.1:0", true},
		{"listen: 127.9.9.9:5000", true},
		{"listen: localhost:5000", true},
		{"listen: '[::1]:5000'", true},
		{"listen: ':5000'", false},
		{"listen: 10.0.0.1:5000", false},
		{"listen: '[::]:5000'", false},
		{"listen: posture.example.com:5000", false},
		{key + "listen: ':5000'", true},
		{key + "listen: posture.example.com:443", true},
		{"allow_remote_without_login: true\nlisten: 0.0.0.0:5000", true},
		{"allow_remote_without_login: false\nlisten: 0.0.0.0:5000", false},
		{key + "listen: 0.0.0.0:65536", false},
		{key + "listen: 0.0.0.0:http", false},
		{key + "listen: 0.0.0.0", false},
		{key + "listen: ''", false},
	} {
		t.Run(test.data, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse("posture.yaml", []byte(test.data), nil)
			if (err == nil) != test.ok {
				t.Errorf("got %v, want ok %t", err, test.ok)
			}
		})
	}
}

func TestSettings_LoginManager(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"login_manager:", "LOGIN_MANAGER: null", "Login_Manager: 'null'", "login_manager: \"NULL\"", "login_manager: ''"} {
		if got := parse(t, data).Settings().LoginManager; got != "" {
			t.Errorf("%s: got %q", data, got)
		}
	}
}

func TestSettings_Transforms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, data      string
		devices, events []string
	}{
		{"none configured", "", []string{"mac_manufacturer"}, []string{}},
		{"all configured", "plugins: {VPN_Labeler: {}, re_filter: {}}", []string{"re_filter", "mac_manufacturer"}, []string{"vpn_labeler"}},
		{"switched off", "plugins: {vpn_labeler: {enabled: false}, re_filter: {ENABLED: 'env:OFF'}, mac_manufacturer: {ENABLED: false}}", []string{}, []string{}},
		{"named and off", "device_transforms: [re_filter]\nplugins: {re_filter: {enabled: false}}", []string{}, []string{}},
		{"own order", "device_transforms: [mac_manufacturer, own, re_filter]\nplugins: {own: {}, re_filter: {}}", []string{"mac_manufacturer", "own", "re_filter"}, []string{}},
		{"none wanted", "device_transforms: []\nevent_transforms: []\nplugins: {vpn_labeler: {}, re_filter: {}}", []string{}, []string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := parse(t, test.data, "OFF=false").Settings()
			if diff := cmp.Diff(test.devices, s.DeviceTransforms); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.events, s.EventTransforms); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSettings_Durations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"5": 5 * time.Second, "0.25": 250 * time.Millisecond, "90s": 90 * time.Second, "'90'": 90 * time.Second,
		"1h30m": 90 * time.Minute, "30d": 720 * time.Hour, "1.5d": 36 * time.Hour, "1d1h": 25 * time.Hour, "0": time.Minute,
		"-5": 0, "-5s": 0, "d": 0, "1d-1h": 0, "forever": 0, "1e300": 0, "'NaN'": 0, "1w": 0, "''": 0, "300000000d": 0, "100000d9000000h": 0,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			f, err := config.Parse("posture.yaml", []byte("scan_timeout: "+text), nil)
			if want == 0 {
				if err == nil || !strings.Contains(err.Error(), "is not a length of time") {
					t.Errorf("got %v, want a problem", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Settings().ScanTimeout; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestSettings_Paths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := config.Parse(filepath.Join(dir, "posture.yaml"), []byte("state_dir: a/b\nplugin_dir: ../p"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := f.Settings()
	if want := filepath.Join(dir, "a", "b"); s.StateDir != want {
		t.Errorf("state_dir %s, want %s", s.StateDir, want)
	}
	if want := filepath.Join(filepath.Dir(dir), "p"); s.PluginDir != want {
		t.Errorf("plugin_dir %s, want %s", s.PluginDir, want)
	}
}

func TestFile_Locate(t *testing.T) {
	t.Parallel()
	f := parse(t, `listen: 127.0.0.1:5000
plugins:
  jamf:
    JAMF_API_HOSTADDR: x
practices:
  uptodate:
    REQUIRED_VERSIONS:
      Mac OS X: "10.12"
      "10.2": {a.b: 1}
    NA_PLATFORMS:
      - iOS
      - Android
`)
	for path, want := range map[string][2]int{
		"listen": {1, 1}, "LISTEN": {1, 1}, "plugins.jamf": {3, 3}, "plugins.jamf.jamf_api_hostaddr": {4, 5},
		"plugins.jamf.TIMEOUT": {3, 3}, "plugins.duo": {2, 1}, "nothing": {1, 1}, "": {1, 1},
		"practices.uptodate.REQUIRED_VERSIONS": {7, 5}, "practices.uptodate.REQUIRED_VERSIONS.Mac OS X": {8, 7},
		"practices.uptodate.REQUIRED_VERSIONS.10.2": {9, 7}, "practices.uptodate.REQUIRED_VERSIONS.10.2.a.b": {9, 16},
		"practices.uptodate.NA_PLATFORMS.1": {12, 9}, "practices.uptodate.NA_PLATFORMS.7": {10, 5},
		"practices.uptodate.REQUIRED_VERSIONSX": {6, 3},
	} {
		if line, column := f.Locate(path); line != want[0] || column != want[1] {
			t.Errorf("%s is at %d:%d, want %v", path, line, column, want)
		}
	}
}
