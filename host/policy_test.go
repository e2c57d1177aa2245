package host

import (
	"log/slog"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/config"
)

// A server that others reach must not become open by a reload that takes the key
// away: the configuration is then right for its next start only.
func TestPolicy_openOnlyToThisMachine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		settings config.Settings
		address  string
		want     bool
	}{
		"nothing set, loopback":          {config.Settings{}, "127.0.0.1", true},
		"nothing set, IPv6 loopback":     {config.Settings{}, "::1", true},
		"nothing set, every interface":   {config.Settings{}, "0.0.0.0", false},
		"nothing set, another interface": {config.Settings{}, "192.0.2.1", false},
		"allowed in so many words":       {config.Settings{AllowRemoteWithoutLogin: true}, "0.0.0.0", true},
		"a key, loopback":                {config.Settings{JWTSecretKey: "k"}, "127.0.0.1", false},
		"a log-in manager, loopback":     {config.Settings{LoginManager: "m"}, "127.0.0.1", false},
	} {
		h := &Host{}
		h.active.Store(&generation{settings: tt.settings})
		s := &server{Host: h, local: isLoopback(&net.TCPAddr{IP: net.ParseIP(tt.address)})}
		if got := s.Policy().Open; got != tt.want {
			t.Errorf("%s: open is %t, want %t", name, got, tt.want)
		}
	}
}

func TestStartOnly(t *testing.T) {
	t.Parallel()
	before := config.Settings{Listen: "127.0.0.1:1", StateDir: "a", ScanTimeout: 2, MaxConcurrentScans: 1, LogFormat: "text"}
	if keys := startOnly(before, before); len(keys) != 0 {
		t.Errorf("%v of the same settings", keys)
	}
	after := config.Settings{Listen: "127.0.0.1:2", StateDir: "b", ScanTimeout: 3, MaxConcurrentScans: 2, LogFormat: "json", LogLevel: slog.LevelWarn}
	want := []string{"listen", "state_dir", "scan_timeout", "max_concurrent_scans", "log_level", "log_format"}
	if diff := cmp.Diff(want, startOnly(before, after)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if keys := startOnly(config.Settings{ScanTimeout: 3}, config.Settings{ScanTimeout: 2, Debug: true}); len(keys) != 0 {
		t.Errorf("%v take effect at once", keys)
	}
}
