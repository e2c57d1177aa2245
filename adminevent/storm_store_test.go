package adminevent_test

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/store/storetest"
)

// A million failures of one broken source, each of another person, go through a
// recorder into a real database while it saves in the background: exact counts,
// bounded memory, and a list that still tells something.
func TestStored_Storm(t *testing.T) {
	t.Parallel()
	const storm = 1_000_000
	const memory = 64 << 20 // bytes
	s := storetest.Open(t, storetest.SQLite(t), nil)
	r := adminevent.New(adminevent.Options{Store: s, FlushInterval: 50 * time.Millisecond, WriteTimeout: time.Minute})
	before := heap()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(t.Context()) }()
	e := nightly(0)
	var highest uint64
	pending := 0
	for i := range storm {
		e.Resource.ID = "p" + strconv.Itoa(i)
		r.Record(t.Context(), e)
		if i%100_000 == 0 {
			highest, pending = max(highest, heap()), max(pending, r.Pending())
		}
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if pending > 1001 {
		t.Errorf("%d events in memory at once", pending)
	}
	if highest > before+memory {
		t.Errorf("%d MiB of memory are taken", (highest-before)>>20)
	}
	groups, err := r.Summary(t.Context(), adminevent.Filter{}, []adminevent.Field{adminevent.FieldResourceType})
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]int64{}
	for _, g := range groups {
		counted[*g.ResourceType] = g.NumOccurrences
	}
	if counted[adminevent.ResourceUser] != 1000 || counted[adminevent.ResourceSource] != storm-1000 {
		t.Errorf("occurrences %v; want 1000 of people and the rest of %d of the source", counted, storm)
	}
	of := list(t, r, adminevent.Filter{ResourceTypes: []string{adminevent.ResourceSource}})
	if len(of) != 1 || of[0].Source != "jamf" || !strings.Contains(of[0].Message, "more subjects failed alike") {
		t.Errorf("of the source: %+v", of)
	}
	count, err := r.Count(t.Context(), adminevent.Filter{})
	if err != nil || count != 1001 {
		t.Errorf("%d events, %v; want those of a thousand people and the source's", count, err)
	}
}

// heap is how much memory is in use, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
