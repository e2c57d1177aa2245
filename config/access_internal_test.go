package config

import "testing"

func TestDefaultStateDir(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		environ   map[string]string
		superuser bool
		want      string
	}{
		{"root", map[string]string{"HOME": "/root", "XDG_STATE_HOME": "/x"}, true, "/var/lib/posture"},
		{"XDG", map[string]string{"HOME": "/home/a", "XDG_STATE_HOME": "/x"}, false, "/x/posture"},
		{"relative XDG", map[string]string{"HOME": "/home/a", "XDG_STATE_HOME": "x"}, false, "/home/a/.local/state/posture"},
		{"home", map[string]string{"HOME": "/home/a"}, false, "/home/a/.local/state/posture"},
		{"nothing", nil, false, "/var/lib/posture"},
	} {
		if got := defaultStateDir(test.environ, test.superuser); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}
