package acceptance_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/postureproject/posture/store/storetest"
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

// That the queue of one sink takes nothing keeps what somebody looked at from no
// other sink.
func TestSinks_Apart(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	hosts := s.Plugins["es_notifications"]["ELASTICSEARCH_HOSTS"]
	writeFile(t, filepath.Join(s.dir, "plugins", "other"), fmt.Sprintf("#!/bin/sh\nexec %s plugin serve es_logger\n", postureProgram(t)), 0o700)
	s.Plugins["es_logger"] = map[string]any{"ELASTICSEARCH_HOSTS": hosts, "ELASTICSEARCH_INDEX_PREFIX": "access-"}
	s.Plugins["other"] = map[string]any{"ELASTICSEARCH_HOSTS": hosts, "ELASTICSEARCH_INDEX_PREFIX": "other-"}
	dsn := storetest.SQLite(t)
	s.write(t, map[string]any{"plugin_dir": "plugins", "store": map[string]any{"dsn": dsn}}, "file", "es_logger", "other")
	storetest.Open(t, dsn, nil)
	db, err := sql.Open("sqlite", strings.TrimPrefix(dsn, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "CREATE TRIGGER no_room BEFORE INSERT ON outbox WHEN NEW.sink = 'es_logger' BEGIN SELECT RAISE(ABORT, 'no room'); END")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	d := s.serve(t)
	d.answer(t, s.ada(), "")
	d.log.await(t, regexp.MustCompile("an access was not passed on to the sinks.*no room"))
	await(t, "the other sink gets nothing", func() bool {
		return slices.ContainsFunc(s.Elastic.Indices(), func(index string) bool { return strings.HasPrefix(index, "other-") })
	})
}
