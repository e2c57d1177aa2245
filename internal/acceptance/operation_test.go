package acceptance_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// readiness is what /readyz says.
type readiness struct {
	Status, Reason string
	Store          struct{ State string }
	Outbox         []struct {
		Sink    string
		Waiting int
		Bytes   int64
		Limit   int64
		Failing bool
		Full    bool
	}
}

// ready gives what /readyz says, which must be 200.
func (d *daemon) ready(t testing.TB) readiness {
	t.Helper()
	var r readiness
	d.getJSON(t, "/readyz", &r)
	return r
}

// Runs that the command line makes are shown by the daemon, to whoever may view
// the administration and to nobody else.
func TestBatchRuns_API(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.write(t, map[string]any{"jwt_secret_key": "0123456789abcdef0123456789abcdef"}, "file", "bitfit")
	d := s.serve(t)
	out, errs, status := posture(t, s.dir, "batch", "--config", s.configFile(), "--json")
	var run batch.Run
	if err := json.Unmarshal([]byte(out), &run); err != nil || status != 0 {
		t.Fatalf("%d %s %s, %v", status, out, errs, err)
	}
	const list = "/api/v1/batch/runs"
	one := list + "/" + run.ID
	bearer := func(subject string) []string {
		token, _, _ := posture(t, s.dir, "token", "--config", s.configFile(), "--sub", subject)
		return []string{"Authorization", "Bearer " + strings.TrimSpace(token)}
	}
	for _, path := range []string{list, one, list + "/20260301T020000.000-1f2e3d4c", list + "?limit=0"} {
		if status, body := d.get(t, path); status != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d %s", path, status, body)
		}
		if status, body := d.get(t, path, bearer(s.ada())...); status != http.StatusForbidden {
			t.Errorf("%s with a person's token: %d %s", path, status, body)
		}
	}
	administrator := bearer("*")
	var listed struct{ Runs []batch.Detail }
	status, body := d.get(t, list, administrator...)
	if err := json.Unmarshal([]byte(body), &listed); err != nil || status != http.StatusOK || len(listed.Runs) != 1 || listed.Runs[0].ID != run.ID {
		t.Errorf("list: %d %s, %v", status, body, err)
	}
	var shown batch.Detail
	status, body = d.get(t, one, administrator...)
	if err := json.Unmarshal([]byte(body), &shown); err != nil || status != http.StatusOK || shown.State != "finished" || shown.People != run.People || shown.Complete != run.Complete {
		t.Errorf("one: %d %s, %v; want %+v", status, body, err, run)
	}
	for path, want := range map[string]int{list + "/20260301T020000.000-1f2e3d4c": http.StatusNotFound, list + "?limit=0": http.StatusBadRequest, list + "?before=x": http.StatusBadRequest} {
		if status, body := d.get(t, path, administrator...); status != want {
			t.Errorf("%s: %d, want %d: %s", path, status, want, body)
		}
	}
}

// Whoever sees a failure can name the event that tells of it: in the API's answer
// and in that of the command line, which is one event. The counters tell of it.
func TestAdminEvents_NamedInAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.set("jamf", "RETRIES", 0)
	s.write(t, nil, "jamf", "bitfit")
	d := s.serve(t)
	s.Faults("jamf").Add(simhttp.Fault{Status: 503})
	var p device.Posture
	d.getJSON(t, "/api/v1/posture/"+s.ada()+"?max_age=0", &p)
	failed := outcomesOf(p, "jamf")
	if len(failed) != 1 || failed[0].EventID == "" || outcomesOf(p, "bitfit")[0].EventID != "" {
		t.Fatalf("outcomes %+v", p.Sources)
	}
	out, errs, status := posture(t, s.dir, "scan", "--config", s.configFile(), "--json", s.ada())
	var answers []device.Posture
	if err := json.Unmarshal([]byte(out), &answers); err != nil || status != 2 || len(answers) != 1 {
		t.Fatalf("%d %s %s, %v", status, out, errs, err)
	}
	if again := outcomesOf(answers[0], "jamf"); len(again) != 1 || again[0].EventID != failed[0].EventID {
		t.Errorf("the command line names %+v, the API %q", again, failed[0].EventID)
	}
	if got := d.events(t, ""); len(got) != 1 || got[0].ID != failed[0].EventID || got[0].NumOccurrences != 2 {
		t.Errorf("events %+v", got)
	}
	series := `posture_admin_event_occurrences_total{code="source-unreachable",domain="Posture Checks",level="error",resource_type="User",source="jamf"}`
	if n := d.metric(t, series); n != 1 { // the command line's is not the daemon's
		t.Errorf("%v occurrences in the metrics", n)
	}
	if pending, failures := d.metric(t, "posture_admin_events_pending"), d.metric(t, "posture_admin_event_store_failures_total"); pending != 0 || failures != 0 {
		t.Errorf("%v pending, %v failures", pending, failures)
	}
}

// A daemon whose store cannot be opened comes up all the same, says so, and takes
// the store up when it can be opened, at the same address.
func TestDaemon_StoreOpensLate(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	folder := filepath.Join(s.dir, "not-mounted-yet")
	writeFile(t, folder, "in the way", 0o600)
	s.write(t, map[string]any{"store": map[string]any{"dsn": "sqlite:" + filepath.Join(folder, "posture.db")}}, "file", "bitfit")
	d := s.serve(t)
	if r := d.ready(t); r.Status != "degraded" || r.Store.State != "unreachable" || r.Reason == "" {
		t.Errorf("without the store: %+v", r)
	}
	if up := d.metric(t, "posture_store_up"); up != 0 {
		t.Errorf("up is %v", up)
	}
	var p device.Posture
	d.getJSON(t, "/api/v1/posture/"+s.ada(), &p)
	if len(p.Devices) == 0 {
		t.Error("no devices without the store")
	}
	for _, path := range []string{"/api/v1/administration/events", "/api/v1/batch/runs"} {
		if status, body := d.get(t, path); status != http.StatusServiceUnavailable {
			t.Errorf("%s without the store: %d %s", path, status, body)
		}
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	again := d.log.await(t, regexp.MustCompile(`(?s)starting anew with it.*msg=ready .*address=(http://\S+)`))
	if again[1] != d.url {
		t.Errorf("it listens at %s, before at %s", again[1], d.url)
	}
	if r := d.ready(t); r.Status != "ready" || r.Store.State != "ok" {
		t.Errorf("with the store: %+v", r)
	}
	for range 2 { // the second time from what is kept
		d.getJSON(t, "/api/v1/posture/"+s.ada(), &p)
	}
	if up, writable := d.metric(t, "posture_store_up"), d.metric(t, "posture_store_writable"); up != 1 || writable != 1 {
		t.Errorf("up %v, writable %v", up, writable)
	}
}

// While the database server is away the daemon answers without it and says so;
// when it is back, so is everything.
func TestDaemon_StoreGoesAway(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		t.Log("without PostgreSQL nothing is shown here")
		return
	}
	server := pgtest.New(t, pgtest.Options{})
	s := newSite(t, 3)
	s.set("jamf", "RETRIES", 0)
	s.write(t, map[string]any{"store": map[string]any{"dsn": server.Database(t)}}, "file", "bitfit", "jamf")
	d := s.serve(t)
	if r := d.ready(t); r.Status != "ready" || r.Store.State != "ok" {
		t.Errorf("at first: %+v", r)
	}
	server.Kill(t)
	await(t, "/readyz does not say that the store is away", func() bool {
		r := d.ready(t)
		return r.Status == "degraded" && r.Store.State == "unreachable" && r.Reason != "" && !strings.Contains(r.Reason, "127.0.0.1")
	})
	if up := d.metric(t, "posture_store_up"); up != 0 {
		t.Errorf("up is %v", up)
	}
	s.Faults("jamf").Add(simhttp.Fault{Status: 503})
	var p device.Posture
	d.getJSON(t, "/api/v1/posture/"+s.ada(), &p)
	if failed := outcomesOf(p, "jamf"); len(p.Devices) == 0 || len(failed) != 1 || failed[0].EventID != "" {
		t.Errorf("without the store: %d devices, jamf %+v", len(p.Devices), failed)
	}
	if pending := d.metric(t, "posture_admin_events_pending"); pending != 1 {
		t.Errorf("%v events wait", pending)
	}
	server.Start(t)
	await(t, "the store does not come back", func() bool { return d.ready(t).Status == "ready" })
	await(t, "the failure is not recorded when the store is back", func() bool {
		status, body := d.get(t, "/v1/administration/events")
		return status == http.StatusOK && strings.Contains(body, `"numOccurrences":1`)
	})
}

// What waits for a sink that is down shows, and that it fails.
func TestDaemon_OutboxShows(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.Plugins["restful_feedback"] = map[string]any{"URL": "http://127.0.0.1:1/", "RETRIES": 0}
	s.write(t, map[string]any{"outbox": map[string]any{"max_megabytes": 1}}, "file", "restful_feedback")
	d := s.serve(t)
	if r := d.ready(t); len(r.Outbox) != 1 || r.Outbox[0].Sink != "restful_feedback" || r.Outbox[0].Limit != 1<<20 || r.Outbox[0].Waiting != 0 {
		t.Errorf("at first: %+v", r)
	}
	answer := func(notes string) int {
		t.Helper()
		body, err := json.Marshal(map[string]string{"user_id": s.ada(), "id": "n1", "feedback": "mine", "notes": notes})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(d.url+"/api/v1/feedback/restful_feedback", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if status := answer(""); status != http.StatusOK {
		t.Fatalf("feedback: %d", status)
	}
	await(t, "the waiting document does not show", func() bool {
		r := d.ready(t)
		return r.Status == "ready" && r.Outbox[0].Waiting == 1 && r.Outbox[0].Bytes > 0 && r.Outbox[0].Failing
	})
	for series, want := range map[string]float64{"waiting": 1, "dead": 0, "limit_bytes": 1 << 20, "full": 0} {
		if got := d.metric(t, `posture_outbox_`+series+`{sink="restful_feedback"}`); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	noise := make([]byte, 40<<10)
	_, _ = rand.Read(noise) // so that it does not get smaller when it is kept
	for status, sent := http.StatusOK, 0; status == http.StatusOK; sent++ {
		if status = answer(base64.StdEncoding.EncodeToString(noise)); sent > 100 {
			t.Fatal("there is no end to what is taken")
		}
	}
	await(t, "the full outbox does not show", func() bool {
		r := d.ready(t)
		return r.Status == "degraded" && strings.Contains(r.Reason, "restful_feedback") && r.Store.State == "ok" && r.Outbox[0].Full
	})
	if full := d.metric(t, `posture_outbox_full{sink="restful_feedback"}`); full != 1 {
		t.Errorf("full is %v", full)
	}
}

// A run over everybody, and the daemon by itself, delete what is older than what
// is kept.
func TestHistory_Pruned(t *testing.T) {
	t.Parallel()
	first := time.Now().UTC().AddDate(0, 0, -store.KeepDays-10).Truncate(24 * time.Hour)
	old := func(t testing.TB, dsn string) *store.Store {
		t.Helper()
		kept := storetest.Open(t, dsn, nil)
		for n := range store.KeepDays + 5 {
			if err := kept.RecordDay(t.Context(), first.AddDate(0, 0, n), store.Census{}); err != nil {
				t.Fatal(err)
			}
		}
		return kept
	}
	left := func(t testing.TB, kept *store.Store) int {
		t.Helper()
		days, err := kept.Days(t.Context(), first, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return len(days)
	}
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, 1)
		s.write(t, nil, "file")
		kept := old(t, storetest.SQLite(t))
		h := s.open(t, func(o *host.Options) { o.Store = kept })
		if _, err := h.Night(t.Context(), host.NightOptions{}, batch.Request{}); err != nil {
			t.Fatal(err)
		}
		if n := left(t, kept); n != store.KeepDays {
			t.Errorf("%d days are left, want %d", n, store.KeepDays)
		}
	})
	t.Run("daemon", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, 1)
		dsn := storetest.SQLite(t)
		kept := old(t, dsn)
		s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}}, "file")
		d := s.serve(t)
		d.log.await(t, regexp.MustCompile(`outdated history was deleted.*days=5`))
		if n := left(t, kept); n != store.KeepDays {
			t.Errorf("%d days are left, want %d", n, store.KeepDays)
		}
	})
}

// A limit given for this process holds for every source, whatever is configured.
func TestTimeout_OverridesConfiguration(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.set("jamf", "TIMEOUT", "20s")
	s.set("jamf", "RETRIES", 0)
	s.write(t, nil, "jamf", "bitfit")
	s.Faults("jamf").Add(simhttp.Fault{Latency: 3 * time.Second})
	for _, tt := range []struct {
		timeout time.Duration
		ok      bool
	}{{time.Minute, true}, {100 * time.Millisecond, false}} {
		h := s.open(t, func(o *host.Options) { o.Timeout = tt.timeout })
		if jamf := outcomesOf(s.ask(t, h), "jamf"); len(jamf) != 1 || jamf[0].OK != tt.ok || !tt.ok && jamf[0].Kind != "timeout" {
			t.Errorf("%v: %+v", tt.timeout, jamf)
		}
	}
}
