package acceptance_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A sink that cannot start with the daemon, and starts later by itself, gets what is
// for it from then on, without anybody's reloading the configuration.
func TestSink_StartsLate(t *testing.T) {
	t.Parallel()
	s, posts := newSite(t, 1), newReceiver(t)
	program := fmt.Sprintf("#!/bin/sh\n[ -e licence ] || exit 3\nexec %s plugin serve restful_feedback\n", postureProgram(t))
	writeFile(t, filepath.Join(s.dir, "plugins", "late"), program, 0o700)
	s.Plugins["late"] = map[string]any{"URL": posts.url + "feedback"}
	s.write(t, map[string]any{"plugin_dir": "plugins"}, "file", "late")
	d := s.serve(t)
	if status, body := d.feedback(t, "late", s.ada(), "early"); status == http.StatusOK {
		t.Fatalf("a sink that does not run takes answers: %s", body)
	}
	writeFile(t, filepath.Join(s.dir, "licence"), "", 0o600)
	await(t, "the sink never starts", func() bool {
		status, _ := d.feedback(t, "late", s.ada(), "n1")
		return status == http.StatusOK
	})
	if status, body := d.feedback(t, "late", s.ada(), "n2"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	await(t, "what is queued for it is not delivered", func() bool {
		return slices.ContainsFunc(posts.taken(), func(body string) bool { return strings.Contains(body, `"n2"`) })
	})
}
