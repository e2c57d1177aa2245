package acceptance_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

const accessPrefix = "access-"

// troubled is a daemon with sinks whose other sides misbehave: one at the simulated
// search server, which is told of each look at somebody, and one that posts
// people's answers.
type troubled struct {
	*site
	*daemon
	posts *receiver
	kept  *store.Store

	looks   int // documents that must be at the search server
	answers int // answers that were given
	want    []string
}

func newTroubled(t *testing.T) *troubled {
	t.Helper()
	s := &troubled{site: newSite(t, 2), posts: newReceiver(t)}
	s.Plugins["es_logger"] = map[string]any{
		"ELASTICSEARCH_HOSTS":        s.Plugins["es_notifications"]["ELASTICSEARCH_HOSTS"],
		"ELASTICSEARCH_INDEX_PREFIX": accessPrefix, "RETRIES": 0, "TIMEOUT": "2s",
	}
	s.Plugins["restful_feedback"] = map[string]any{"URL": s.posts.url + "feedback", "RETRIES": 0, "TIMEOUT": "2s"}
	dsn := storetest.SQLite(t)
	s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}}, "file", "es_logger", "restful_feedback")
	s.daemon = s.serve(t)
	s.kept = storetest.Open(t, dsn, nil)
	return s
}

// look asks about somebody, so that a document is for the search server.
func (s *troubled) look(t testing.TB) {
	t.Helper()
	if status, body := s.get(t, "/api/v1/devices/merged/"+s.ada()); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	s.looks++
}

// tell gives an answer in Ada's name.
func (s *troubled) tell(t testing.TB) (id string) {
	t.Helper()
	s.answers++
	id = fmt.Sprintf("n%03d", s.answers)
	if status, body := s.feedback(t, "restful_feedback", s.ada(), id); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	return id
}

// stats gives what is in the queues: how many wait, and how many were set aside.
func (s *troubled) stats(t testing.TB) (waiting, dead int) {
	t.Helper()
	stats, err := s.kept.OutboxStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range stats {
		waiting, dead = waiting+st.Waiting, dead+st.Dead
	}
	return waiting, dead
}

func (s *troubled) awaitStats(t testing.TB, waiting, dead int) {
	t.Helper()
	await(t, fmt.Sprintf("it never comes to %d that wait and %d set aside", waiting, dead), func() bool {
		w, d := s.stats(t)
		return w == waiting && d == dead
	})
}

// check compares what arrived with what should have.
func (s *troubled) check(t testing.TB) {
	t.Helper()
	got := 0
	for _, index := range s.Elastic.Indices() {
		if strings.HasPrefix(index, accessPrefix) {
			got += len(s.Elastic.Documents(index))
		}
	}
	if got != s.looks {
		t.Errorf("the search server has %d documents, want %d", got, s.looks)
	}
	var ids []string
	for _, body := range s.posts.taken() {
		var answer struct{ ID string }
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, answer.ID)
	}
	if diff := cmp.Diff(s.want, ids); diff != "" {
		t.Errorf("answers in the order of their arrival (-want +got):\n%s", diff)
	}
}

// outboxList is what posture outbox list prints.
func (s *troubled) outboxList(t testing.TB, args ...string) []outbox.Entry {
	t.Helper()
	var listed struct{ Deliveries []outbox.Entry }
	if err := json.Unmarshal([]byte(s.outbox(t, append([]string{"list", "--json"}, args...)...)), &listed); err != nil {
		t.Fatal(err)
	}
	return listed.Deliveries
}

// outbox runs a command on the outbox.
func (s *troubled) outbox(t testing.TB, args ...string) string {
	t.Helper()
	out, errs, status := posture(t, s.dir, append(append([]string{"outbox"}, args...), "--config", s.configFile())...)
	if status != 0 {
		t.Errorf("posture outbox %v ended with %d: %s", args, status, errs)
	}
	return out
}

// The systems behind sinks misbehave in every way, one way after the other, while
// the daemon delivers through its plugins' processes: what passes is tried again
// until it arrives, in order and once; what is refused is set aside, and may be
// sent again or dropped by command.
func TestSinks_Faults(t *testing.T) {
	t.Parallel()
	s := newTroubled(t)
	bulk := regexp.MustCompile("_bulk$")
	for _, trial := range []struct {
		name    string
		fault   simhttp.Fault // of both systems
		atLeast time.Duration
	}{
		{"500", simhttp.Fault{Status: 500, Body: "out of order"}, 0},
		{"429 for two seconds", simhttp.Fault{Status: 429, RetryAfter: "2"}, 1900 * time.Millisecond},
		{"401", simhttp.Fault{Status: 401}, 0},
		{"connection dropped", simhttp.Fault{Drop: true}, 0},
		{"never answering", simhttp.Fault{Hang: true}, 1900 * time.Millisecond},
		{"a web page", simhttp.Fault{Status: 302, Body: "<html>log in first</html>"}, 0},
	} {
		t.Run(trial.name, func(t *testing.T) {
			fault := trial.fault
			fault.Times = 1
			s.posts.faults.Add(fault)
			if fault.Path = bulk; fault.Status == 302 { // a proxy that answers in the cluster's stead
				fault.Status = 200
			}
			s.Elastic.Faults.Add(fault)
			began := time.Now()
			s.look(t)
			s.look(t)
			s.want = append(s.want, s.tell(t), s.tell(t), s.tell(t))
			s.awaitStats(t, 0, 0)
			if took := time.Since(began); took < trial.atLeast {
				t.Errorf("everything arrived after %v", took)
			}
			s.check(t)
		})
	}
	t.Run("single documents that fail for now", func(t *testing.T) {
		s.Elastic.FailItems(elastic.ItemFault{Times: 1, Status: 429, Type: "es_rejected_execution_exception", Reason: "queue is full"})
		s.Elastic.FailItems(elastic.ItemFault{Times: 1, Status: 503, Type: "unavailable_shards_exception", Reason: "not enough shards"})
		for range 4 {
			s.look(t)
		}
		s.awaitStats(t, 0, 0)
		s.check(t)
	})
	t.Run("refused", s.refused)
	var statuses []supervise.Status
	s.getJSON(t, "/api/v1/plugins", &statuses)
	for _, status := range statuses {
		if status.Restarts > 0 {
			t.Errorf("%s had to be started again: %s", status.Name, status.LastError)
		}
	}
}

// refused has documents refused in the ways that the systems know, and decides on
// them by command.
func (s *troubled) refused(t *testing.T) {
	s.Elastic.FailItems(elastic.ItemFault{Times: 1, Status: 400, Type: "document_parsing_exception", Reason: "failed to parse field [status]"})
	s.look(t)
	s.awaitStats(t, 0, 1)
	s.Elastic.SetMaxBulk(1)
	s.look(t)
	s.awaitStats(t, 0, 2)
	s.Elastic.SetMaxBulk(0)
	s.look(t) // goes past those
	s.posts.faults.Add(simhttp.Fault{Status: 413, Times: 1})
	first := s.tell(t)
	s.posts.faults.Add(simhttp.Fault{Status: 422, Times: 1})
	s.awaitStats(t, 0, 3)
	second := s.tell(t)
	s.awaitStats(t, 0, 4)
	s.want = append(s.want, s.tell(t))
	s.awaitStats(t, 0, 4)
	s.looks -= 2
	s.check(t)

	dead := s.outboxList(t, "--dead")
	reasons := map[string]bool{}
	for _, e := range dead {
		for _, reason := range []string{"failed to parse field", "larger than the cluster", "413", "422"} {
			if strings.Contains(e.Error, reason) {
				reasons[reason] = true
				break
			}
		}
	}
	if len(dead) != 4 || len(reasons) != 4 {
		t.Errorf("set aside are %+v, for the reasons %v", dead, slices.Sorted(maps.Keys(reasons)))
	}
	events := s.events(t, "?filter.source=restful_feedback&filter.source=es_logger")
	counted := map[string]int64{}
	for _, e := range events {
		if e.Code == "sink-refused" && e.Resource.Type == adminevent.ResourceSource && e.Hint != "" {
			counted[e.Source] += e.NumOccurrences
		}
	}
	if counted["es_logger"] != 2 || counted["restful_feedback"] != 2 {
		t.Errorf("events of documents set aside: %v in %+v", counted, events)
	}

	s.outbox(t, "retry", "--all", "--dead", "--sink", "es_logger")
	s.looks += 2
	s.awaitStats(t, 0, 2)
	var again, dropped []string
	for _, e := range s.outboxList(t, "--dead") { // the newest first
		if again == nil {
			again = append(again, strconv.FormatInt(e.Number, 10))
		} else {
			dropped = append(dropped, strconv.FormatInt(e.Number, 10))
		}
	}
	s.outbox(t, append([]string{"retry"}, again...)...)
	s.want = append(s.want, second)
	s.awaitStats(t, 0, 1)
	s.outbox(t, append([]string{"drop", "--yes"}, dropped...)...)
	s.awaitStats(t, 0, 0)
	s.check(t)
	if left := s.outbox(t, "list"); !strings.Contains(left, "Nothing waits") {
		t.Errorf("left over, though %s was dropped:\n%s", first, left)
	}
}
