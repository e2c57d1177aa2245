// Package journaltest has the conformance test of journals. It is for tests only.
package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/journal"
)

// at is a time in the log that the tests write, with microseconds.
func at(minute int) time.Time {
	return time.Date(2026, 6, 1, 12, minute, 0, 123456000, time.UTC)
}

// Run checks that what open gives behaves as [journal.Journal] says. Each call
// of open gives an empty one.
func Run(t *testing.T, open func(t *testing.T) journal.Journal) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, journal.Journal){
		"empty": empty, "append": appends, "progress": progress, "all or nothing": atomic, "find": find, "pages": pages, "large pages": largePages,
		"newest": newest, "prune": prune, "logs apart": apart, "limits": limits, "side by side": sideBySide, "called off": calledOff,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

const log = "log"

func record(id string, minute int, keys ...string) journal.Record {
	return journal.Record{ID: id, At: at(minute), Keys: keys, Body: []byte(`{"id":"` + id + `"}`)}
}

func add(t *testing.T, j journal.Journal, records ...journal.Record) journal.Appended {
	t.Helper()
	done, err := j.Append(t.Context(), log, journal.Batch{Records: records})
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return done
}

// ids reads all pages of a query.
func ids(t *testing.T, j journal.Journal, limit int, keys ...string) []string {
	t.Helper()
	var all []string
	q := journal.Query{Keys: keys, Limit: limit}
	for range 1000 {
		page, err := j.Find(t.Context(), log, q)
		if err != nil {
			t.Fatalf("find: %v", err)
		}
		if len(page.Records) > limit {
			t.Fatalf("a page of %d records, with a limit of %d", len(page.Records), limit)
		}
		for _, r := range page.Records {
			all = append(all, r.ID)
		}
		if q.After = page.Next; q.After == "" {
			return all
		}
	}
	t.Fatal("the pages have no end")
	return nil
}

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s gives %q, want %q", what, got, want)
	}
}

func expectKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Errorf("%s: error %v, want one of kind %v", what, err, kind)
	}
}

func empty(t *testing.T, j journal.Journal) {
	if p, err := j.Progress(t.Context(), log); err != nil || p.Version != 0 || len(p.Document) != 0 {
		t.Errorf("progress %+v, %v", p, err)
	}
	expect(t, "find", ids(t, j, 10, "a"), nil)
	expect(t, "find by nothing", ids(t, j, 10), nil)
	if has, err := j.Has(t.Context(), log, "a"); err != nil || has {
		t.Errorf("has %v, %v", has, err)
	}
	if newest, err := j.Newest(t.Context(), log, at(59)); err != nil || !newest.IsZero() {
		t.Errorf("newest %v, %v", newest, err)
	}
	if n, err := j.Prune(t.Context(), log, at(59)); err != nil || n != 0 {
		t.Errorf("pruned %d, %v", n, err)
	}
	if done := add(t, j); done != (journal.Appended{}) {
		t.Errorf("appending nothing did %+v", done)
	}
}

func appends(t *testing.T, j journal.Journal) {
	first := record("1", 1, "a", "b")
	first.Body = bytes.Repeat([]byte("long and not JSON \x00\xff "), 1000)
	if done := add(t, j, first, record("2", 2, "a"), record("2", 3, "c")); done.Added != 2 {
		t.Errorf("added %d, want 2", done.Added)
	}
	// What is there stays as it is, and gets no further keys.
	again := record("1", 9, "z")
	if done := add(t, j, again, record("3", 3)); done.Added != 1 {
		t.Errorf("added %d, want 1", done.Added)
	}
	expect(t, "a", ids(t, j, 10, "a"), []string{"2", "1"})
	expect(t, "z", ids(t, j, 10, "z"), nil)
	expect(t, "c", ids(t, j, 10, "c"), nil)
	page, err := j.Find(t.Context(), log, journal.Query{Keys: []string{"b"}, Limit: 1})
	if err != nil || len(page.Records) != 1 {
		t.Fatalf("%d records, %v", len(page.Records), err)
	}
	if r := page.Records[0]; r.ID != "1" || !r.At.Equal(first.At) || !bytes.Equal(r.Body, first.Body) {
		t.Errorf("got %s at %v with %d bytes", r.ID, r.At, len(r.Body))
	}
	for key, want := range map[string]bool{"a": true, "b": true, "c": false, "A": false, "a ": false, "%": false} {
		if has, err := j.Has(t.Context(), log, key); err != nil || has != want {
			t.Errorf("has %q: %v, %v", key, has, err)
		}
	}
}

func progress(t *testing.T, j journal.Journal) {
	set := func(document string, version int64) (journal.Appended, error) {
		return j.Append(t.Context(), log, journal.Batch{Progress: &journal.Progress{Document: []byte(document), Version: version}})
	}
	check := func(document string, version int64) {
		t.Helper()
		p, err := j.Progress(t.Context(), log)
		if err != nil || string(p.Document) != document || p.Version != version {
			t.Errorf("progress %q of version %d, %v; want %q of %d", p.Document, p.Version, err, document, version)
		}
	}
	if done, err := set("one", 0); err != nil || done.Version != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	check("one", 1)
	for _, version := range []int64{0, 2, -1} {
		_, err := set("late", version)
		expectKind(t, fmt.Sprint("set of version ", version), err, fault.Conflict)
	}
	check("one", 1)
	if done, err := set("", 1); err != nil || done.Version != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	check("", 2)
	// Records alone change nothing about it.
	if done := add(t, j, record("1", 1)); done.Version != 2 {
		t.Errorf("version %d", done.Version)
	}
	check("", 2)
}

// atomic checks that an append that comes too late leaves nothing.
func atomic(t *testing.T, j journal.Journal) {
	_, err := j.Append(t.Context(), log, journal.Batch{Records: []journal.Record{record("1", 1, "a")}, Progress: &journal.Progress{Version: 7}})
	expectKind(t, "late append", err, fault.Conflict)
	expect(t, "after a late append", ids(t, j, 10, "a"), nil)
	if done := add(t, j, record("1", 1, "a")); done.Added != 1 || done.Version != 0 {
		t.Errorf("%+v", done)
	}
}

func find(t *testing.T, j journal.Journal) {
	add(t, j, record("old", 1, "ada", "example"), record("new", 5, "ada"), record("other", 3, "alan", "example"))
	add(t, j, record("same", 5, "ada"), record("none", 4))
	expect(t, "one key", ids(t, j, 10, "ada"), []string{"same", "new", "old"})
	expect(t, "two keys", ids(t, j, 10, "ada", "example"), []string{"same", "new", "other", "old"})
	expect(t, "one key twice", ids(t, j, 10, "ada", "ada"), []string{"same", "new", "old"})
	expect(t, "an unknown key", ids(t, j, 10, "nobody"), nil)
	page, err := j.Find(t.Context(), log, journal.Query{Keys: []string{"ada", "example"}, Limit: 2})
	if err != nil || len(page.Records) != 2 || page.Next == "" {
		t.Errorf("%d records, next %q, %v", len(page.Records), page.Next, err)
	}
	if page, err = j.Find(t.Context(), log, journal.Query{Keys: []string{"ada"}, Limit: 3}); err != nil || page.Next != "" {
		t.Errorf("the last page has a next one: %q, %v", page.Next, err)
	}
}

func pages(t *testing.T, j journal.Journal) {
	var records []journal.Record
	var want []string
	for i := range 57 {
		keys := []string{"all"}
		if i%3 == 0 {
			keys = append(keys, "third")
		}
		records = append(records, record(fmt.Sprintf("%02d", i), i/7, keys...))
		want = append(want, fmt.Sprintf("%02d", i))
	}
	add(t, j, records...)
	slices.Reverse(want)
	for _, limit := range []int{1, 5, 7, 57, 1000} {
		expect(t, fmt.Sprint("limit ", limit), ids(t, j, limit, "all", "third"), want)
	}
	_, err := j.Find(t.Context(), log, journal.Query{Keys: []string{"all"}, Limit: 1, After: "nowhere"})
	expectKind(t, "an unknown place", err, fault.Invalid)
}

// largePages checks that no answer is larger than a page may be.
func largePages(t *testing.T, j journal.Journal) {
	body := bytes.Repeat([]byte("0123456789abcdef"), journal.MaxBody/16)
	var want []string
	for i := range 40 {
		r := record(fmt.Sprintf("%02d", i), i, "all")
		r.Body = body
		add(t, j, r)
		want = append(want, r.ID)
	}
	slices.Reverse(want)
	page, err := j.Find(t.Context(), log, journal.Query{Keys: []string{"all"}, Limit: 40})
	if err != nil || page.Next == "" || len(page.Records) == 0 || len(page.Records)*len(body) > journal.MaxPage {
		t.Errorf("%d records, next %q, %v", len(page.Records), page.Next, err)
	}
	expect(t, "all pages", ids(t, j, 40, "all"), want)
}

func newest(t *testing.T, j journal.Journal) {
	add(t, j, record("1", 1), record("3", 3), record("2", 2))
	for upTo, want := range map[time.Time]time.Time{
		at(59): at(3), at(3): at(3), at(3).Add(-time.Microsecond): at(2), at(0): {}, {}: {},
	} {
		if got, err := j.Newest(t.Context(), log, upTo); err != nil || !got.Equal(want) {
			t.Errorf("newest up to %v is %v, %v; want %v", upTo, got, err, want)
		}
	}
}

func prune(t *testing.T, j journal.Journal) {
	var records []journal.Record
	for i := range journal.MaxRecords {
		records = append(records, record(fmt.Sprint("old", i), 1, "a", fmt.Sprint("key", i)))
	}
	add(t, j, records...)
	add(t, j, record("older", 0, "a"), record("edge", 2, "a"), record("young", 3, "a"))
	total := 0
	for {
		n, err := j.Prune(t.Context(), log, at(2))
		if err != nil {
			t.Fatalf("prune: %v", err)
		}
		if n > journal.MaxRecords {
			t.Fatalf("%d removed at once", n)
		}
		if total += n; n == 0 {
			break
		}
	}
	if want := journal.MaxRecords + 1; total != want {
		t.Errorf("removed %d, want %d", total, want)
	}
	expect(t, "what is left", ids(t, j, 100, "a", "key5"), []string{"young", "edge"})
	if has, err := j.Has(t.Context(), log, "key5"); err != nil || has {
		t.Errorf("the key of a removed record: %v, %v", has, err)
	}
	// What was removed may come again.
	if done := add(t, j, record("old5", 1, "key5")); done.Added != 1 {
		t.Errorf("added %d", done.Added)
	}
	expect(t, "what came again", ids(t, j, 100, "key5"), []string{"old5"})
}

func apart(t *testing.T, j journal.Journal) {
	const other = "another log"
	b := journal.Batch{Records: []journal.Record{record("1", 1, "a")}, Progress: &journal.Progress{Document: []byte("x")}}
	for _, name := range []string{log, other} {
		if done, err := j.Append(t.Context(), name, b); err != nil || done.Added != 1 || done.Version != 1 {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
	}
	if n, err := j.Prune(t.Context(), other, at(59)); err != nil || n != 1 {
		t.Errorf("pruned %d, %v", n, err)
	}
	expect(t, "the first log", ids(t, j, 10, "a"), []string{"1"})
	if has, err := j.Has(t.Context(), other, "a"); err != nil || has {
		t.Errorf("the other log: %v, %v", has, err)
	}
}

func limits(t *testing.T, j journal.Journal) {
	long := func(n int) string { return strings.Repeat("x", n+1) }
	big := record("1", 1)
	big.Body = make([]byte, journal.MaxBody+1)
	noTime := record("1", 1)
	noTime.At = time.Time{}
	var many []journal.Record
	for i := range journal.MaxRecords + 1 {
		many = append(many, record(fmt.Sprint(i), 1))
	}
	full := make([]journal.Record, journal.MaxBatch/journal.MaxBody+1)
	for i := range full {
		full[i] = record(fmt.Sprint(i), 1)
		full[i].Body = make([]byte, journal.MaxBody)
	}
	for name, records := range map[string][]journal.Record{
		"no ID": {record("", 1)}, "long ID": {record(long(journal.MaxName), 1)}, "long key": {record("1", 1, long(journal.MaxKey))},
		"empty key": {record("1", 1, "")}, "many keys": {record("1", 1, make([]string, journal.MaxKeys+1)...)}, "large body": {big}, "no time": {noTime},
		"no text": {record("1", 1, "a\x00b")}, "many records": many, "large batch": full,
	} {
		_, err := j.Append(t.Context(), log, journal.Batch{Records: records})
		expectKind(t, name, err, fault.Invalid)
	}
	_, err := j.Append(t.Context(), log, journal.Batch{Progress: &journal.Progress{Document: make([]byte, journal.MaxProgress+1)}})
	expectKind(t, "large progress", err, fault.Invalid)
	for name, q := range map[string]journal.Query{
		"no limit": {Keys: []string{"a"}}, "high limit": {Keys: []string{"a"}, Limit: journal.MaxLimit + 1},
		"many keys": {Keys: make([]string, journal.MaxKeys+1), Limit: 1}, "empty key": {Keys: []string{""}, Limit: 1},
	} {
		_, err := j.Find(t.Context(), log, q)
		expectKind(t, "find: "+name, err, fault.Invalid)
	}
	_, err = j.Has(t.Context(), log, long(journal.MaxKey))
	expectKind(t, "has", err, fault.Invalid)
	_, err = j.Progress(t.Context(), "")
	expectKind(t, "log without a name", err, fault.Invalid)
}

// sideBySide has many append the same records at once, and each advance the
// progress until all have: nothing is there twice, and no step is lost.
func sideBySide(t *testing.T, j journal.Journal) {
	const workers, steps = 6, 5
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for step := range steps {
				if err := advance(t.Context(), j, fmt.Sprint(w, ".", step)); err != nil {
					t.Errorf("advance: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	p, err := j.Progress(t.Context(), log)
	if err != nil || p.Version != workers*steps || len(p.Document) != workers*steps {
		t.Errorf("progress %q of version %d, %v", p.Document, p.Version, err)
	}
	// Each step has a record of its own, and one that all share.
	if got := len(ids(t, j, 1000, "step")); got != workers*steps+1 {
		t.Errorf("%d records", got)
	}
}

func advance(ctx context.Context, j journal.Journal, id string) error {
	for {
		p, err := j.Progress(ctx, log)
		if err != nil {
			return err
		}
		p.Document = append(slices.Clone(p.Document), 'x')
		_, err = j.Append(ctx, log, journal.Batch{Records: []journal.Record{record("shared", 1, "step"), record(id, 2, "step")}, Progress: &p})
		if err == nil || fault.KindOf(err) != fault.Conflict {
			return err
		}
	}
}

func calledOff(t *testing.T, j journal.Journal) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Append(ctx, log, journal.Batch{Records: []journal.Record{record("1", 1, "a")}}); err == nil || !errors.Is(ctx.Err(), context.Canceled) {
		t.Error("an append that was called off succeeded")
	}
	expect(t, "after an append that was called off", ids(t, j, 1, "a"), nil)
}
