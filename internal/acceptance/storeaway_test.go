package acceptance_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/store"
)

// send makes a request with a body and gives status and answer.
func (d *daemon) send(t testing.TB, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// answer asks about somebody, wants an answer, and gives it.
func (d *daemon) answer(t testing.TB, email, query string) device.Posture {
	t.Helper()
	var p device.Posture
	d.getJSON(t, "/api/v1/posture/"+email+query, &p)
	if len(p.Devices) == 0 {
		t.Errorf("no devices of %s", email)
	}
	return p
}

// feedback sends a person's answer to a notification.
func (d *daemon) feedback(t testing.TB, sink, email, id string) (int, string) {
	t.Helper()
	return d.send(t, http.MethodPost, "/api/v1/feedback/"+sink, fmt.Sprintf(`{"user_id":%q,"id":%q,"feedback":{"answer":"mine"}}`, email, id))
}

// wantRefused fails unless an answer says that the store takes nothing, why, and
// what to do.
func wantRefused(t testing.TB, what string, status int, body, reason string) {
	t.Helper()
	var answer struct {
		Error struct{ Code, Message, Remedy string }
	}
	err := json.Unmarshal([]byte(body), &answer)
	if e := answer.Error; err != nil || status != http.StatusServiceUnavailable || e.Code != "unavailable" || !strings.Contains(e.Message, reason) || e.Remedy == "" {
		t.Errorf("%s: %d %s, want to be told that %s", what, status, body, reason)
	}
}

// wantDegraded waits until the probe says that nothing can be written, and why.
func (d *daemon) wantDegraded(t testing.TB, reason string) {
	t.Helper()
	await(t, "the probe does not tell of the store", func() bool {
		status, body := d.get(t, "/readyz")
		return status == http.StatusOK && strings.Contains(body, `"degraded"`) && strings.Contains(body, reason)
	})
}

// wantReady waits until the probe has no complaint.
func (d *daemon) wantReady(t testing.TB) {
	t.Helper()
	await(t, "the probe goes on to complain", func() bool {
		status, body := d.get(t, "/readyz")
		return status == http.StatusOK && strings.Contains(body, `"ready"`)
	})
}

// While PostgreSQL is away the daemon answers live, says in its probe and to those
// whose words must be kept that it can keep nothing, and counts what fails. When
// the database is back it goes on by itself, and nothing is missing.
func TestDaemon_PostgreSQLAway(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		return
	}
	const reason = "the database"
	posts := newReceiver(t)
	s := newSite(t, 3)
	s.set("jamf", "RETRIES", 0)
	s.Plugins["restful_feedback"] = map[string]any{"URL": posts.url + "feedback", "RETRIES": 0}
	server := pgtest.New(t, pgtest.Options{Durable: true})
	s.write(t, map[string]any{"store": map[string]any{"dsn": server.Database(t)}})
	d := s.serve(t)
	d.wantReady(t)
	first := d.answer(t, s.ada(), "")
	server.Stop(t)
	s.Faults("jamf").Add(simhttp.Fault{Status: 503})
	const failures = 4
	for range failures {
		d.answer(t, s.ada(), "?max_age=0")
	}
	d.wantDegraded(t, reason)
	status, body := d.feedback(t, "restful_feedback", s.ada(), "lost")
	wantRefused(t, "feedback", status, body, reason)
	status, body = d.send(t, http.MethodPut, "/api/v1/config/administration-events", `{"retentionDurationDays":9}`)
	wantRefused(t, "another retention", status, body, reason)
	status, body = d.get(t, "/api/v1/administration/events")
	wantRefused(t, "events", status, body, reason)
	if _, errs, code := posture(t, s.dir, "outbox", "list", "--config", s.configFile()); code != 1 || !strings.Contains(errs, reason) {
		t.Errorf("posture outbox list ended with %d: %s", code, errs)
	}
	server.Start(t)
	d.wantReady(t)
	s.Faults("jamf").Clear()
	if got := d.events(t, "?filter.source=jamf"); len(got) != 1 || got[0].NumOccurrences != failures {
		t.Errorf("events %+v, want one of %d occurrences", got, failures)
	}
	if again := d.answer(t, s.ada(), ""); !again.GeneratedAt.Equal(first.GeneratedAt) {
		t.Errorf("answered as of %v, want the answer kept before, of %v", again.GeneratedAt, first.GeneratedAt)
	}
	if status, body = d.feedback(t, "restful_feedback", s.ada(), "kept"); status != http.StatusOK {
		t.Errorf("feedback: %d %s", status, body)
	}
	await(t, "the feedback does not arrive", func() bool { return len(posts.taken()) > 0 })
	if got := posts.taken(); len(got) != 1 || !strings.Contains(got[0], "kept") {
		t.Errorf("posted %q", got)
	}
}

// smallDisk is a small file system that can be filled up.
type smallDisk struct{ folder, ballast string }

const smallDiskSize = 3 << 20

// newSmallDisk mounts one; nil without the right to.
func newSmallDisk(t testing.TB) *smallDisk {
	t.Helper()
	d := &smallDisk{folder: t.TempDir()}
	d.ballast = filepath.Join(d.folder, "ballast")
	if err := syscall.Mount("tmpfs", d.folder, "tmpfs", 0, fmt.Sprintf("size=%d", smallDiskSize)); err != nil {
		t.Logf("no small file system, which needs root: %v", err)
		return nil
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.folder, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return d
}

// fill leaves no room.
func (d *smallDisk) fill(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(d.ballast, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
}

// free makes room again.
func (d *smallDisk) free(t testing.TB) {
	t.Helper()
	if err := os.Remove(d.ballast); err != nil {
		t.Fatal(err)
	}
}

// The disk of the SQLite database is full: the daemon stays up, answers from memory
// and live, and says what is the matter in its probe, its log, and to whoever asks
// for what must be written. With room again it goes on by itself, and nothing is
// damaged.
func TestDaemon_DiskFull(t *testing.T) {
	t.Parallel()
	const reason = "the disk is full"
	disk := newSmallDisk(t)
	if disk == nil {
		return
	}
	posts := newReceiver(t)
	s := newSite(t, 60)
	s.set("jamf", "RETRIES", 0)
	s.addRunSinks(posts)
	s.Plugins["restful_feedback"] = map[string]any{"URL": posts.url + "feedback", "RETRIES": 0}
	dsn := "sqlite:" + filepath.Join(disk.folder, "posture.db")
	s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}, "max_age": "1h"})
	d := s.serve(t)
	kept := d.answer(t, s.ada(), "")
	disk.fill(t)
	// Small writes may still find room within the write-ahead log, once.
	asked := 1
	await(t, "nothing fails on a full disk", func() bool {
		d.answer(t, s.Fleet.Person(asked%s.Fleet.Len()).Email, "?max_age=0")
		asked++
		return strings.Contains(d.log.String(), reason)
	})
	d.wantDegraded(t, reason)
	d.log.await(t, regexp.MustCompile(`level=ERROR msg="the database cannot be written; what is stored is still read".*`+reason))
	for range 3 {
		if again := d.answer(t, s.ada(), ""); !again.GeneratedAt.Equal(kept.GeneratedAt) {
			t.Errorf("answered as of %v, want the answer kept before, of %v", again.GeneratedAt, kept.GeneratedAt)
		}
		if live := d.answer(t, s.ada(), "?max_age=0"); !live.GeneratedAt.After(kept.GeneratedAt) {
			t.Error("not asked live")
		}
	}
	// What must be written is refused with the reason. Large enough for the room
	// that the log may have found.
	refused := 0
	for i := range 40 {
		status, body := d.feedback(t, "restful_feedback", s.ada(), fmt.Sprint("n", i))
		if status != http.StatusOK {
			wantRefused(t, "feedback", status, body, reason)
			refused++
		}
	}
	if refused == 0 {
		t.Error("no feedback was refused")
	}
	if out, errs, code := posture(t, s.dir, "batch", "--config", s.configFile()); code != 1 || !strings.Contains(errs, reason) {
		t.Errorf("posture batch ended with %d: %s%s", code, out, errs)
	}
	select {
	case <-d.ended:
		t.Fatalf("the daemon has ended:\n%s", d.log)
	default:
	}
	disk.free(t)
	d.wantReady(t)
	d.log.await(t, regexp.MustCompile(`the database can be written again`))
	live := d.answer(t, s.ada(), "?max_age=0")
	if again := d.answer(t, s.ada(), ""); !again.GeneratedAt.Equal(live.GeneratedAt) {
		t.Error("the answer was not kept after there was room again")
	}
	if status, body := d.feedback(t, "restful_feedback", s.ada(), "afterwards"); status != http.StatusOK {
		t.Errorf("feedback: %d %s", status, body)
	}
	accepted := 40 - refused + 1
	await(t, "what was accepted does not arrive", func() bool { return len(posts.keys()) >= accepted })
	if n := len(posts.keys()); n != accepted {
		t.Errorf("%d answers arrived, %d were accepted", n, accepted)
	}
	d.signal(t, syscall.SIGTERM)
	if code := d.wait(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
	wantSound(t, s, dsn)
}

// wantSound fails unless the database is whole.
func wantSound(t testing.TB, s *site, dsn string) {
	t.Helper()
	out, errs, code := posture(t, s.dir, "db", "status", "--json", "--config", s.configFile())
	var status store.Status
	if err := json.Unmarshal([]byte(out), &status); err != nil || code != 0 || !status.Current() {
		t.Errorf("posture db status ended with %d: %s%s", code, out, errs)
	}
	db, err := sql.Open("sqlite", strings.TrimPrefix(dsn, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var said string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		t.Errorf("integrity: %q, %v", said, err)
	}
}
