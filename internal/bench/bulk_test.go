package main

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/internal/simulator/company"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/store"
)

func TestPeopleFor(t *testing.T) {
	t.Parallel()
	people, owned := peopleFor(1000)
	f := fleet.New(fleet.Options{People: people})
	last := len(f.Devices(f.Person(people - 1)))
	if owned < 1000 || owned-last >= 1000 {
		t.Errorf("%d people own %d devices, the last one %d", people, owned, last)
	}
}

func TestOptions_wanted(t *testing.T) {
	t.Parallel()
	for only, want := range map[string]int{"": len(allParts()), "reads,events": 2, "nothing": 0} {
		if got, err := (options{only: only}).wanted(); len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d parts, error %v", only, len(got), err)
		}
	}
}

// Whoever asks for what everybody has gets the same page, rendered once; the rest
// is answered anew.
func TestReplay_lists(t *testing.T) {
	t.Parallel()
	asked := 0
	p := &replay{lists: true, next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ })}
	for _, of := range []struct {
		address string
		asked   int
	}{
		{"/api/v4/computers-inventory?page=0", 1},
		{"/api/v4/computers-inventory?page=0", 1},
		{"/users?page=1", 2},
		{"/users?page=1", 2},
		{"/users?search=ada", 3},
		{"/users?search=ada", 4},
		{"/admin/directory/v1/users?query=email:a", 5},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, of.address, http.NoBody)
		r.Header.Set("Authorization", of.address+t.Name())
		p.ServeHTTP(httptest.NewRecorder(), r)
		if asked != of.asked {
			t.Errorf("%s: the simulator was asked %d times, want %d", of.address, asked, of.asked)
		}
	}
}

func TestTaker(t *testing.T) {
	t.Parallel()
	taker := &taker{next: http.NotFoundHandler()}
	w := httptest.NewRecorder()
	body := strings.Repeat("{\"create\":{}}\n{\"a\":1}\n", 3)
	taker.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/_bulk", strings.NewReader(body)))
	var answer struct {
		Items []map[string]struct{ Status int }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Items) != 3 || answer.Items[2]["create"].Status != http.StatusCreated {
		t.Errorf("%s, error %v", w.Body, err)
	}
	w = httptest.NewRecorder()
	taker.control().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/taken", http.NoBody))
	if diff := cmp.Diff(`{"documents":3,"bytes":66}`, strings.TrimSpace(w.Body.String())); diff != "" {
		t.Error(diff)
	}
}

// The bare client reads every record of every list, and everybody's answers.
func TestLister(t *testing.T) {
	t.Parallel()
	f := fleet.New(fleet.Options{People: 40, Apps: 3})
	c, err := company.Start(company.Options{Fleet: f, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	address, _ := c.Plugins["jamf"]["JAMF_API_HOSTADDR"].(string)
	w := world{Jamf: strings.TrimSuffix(address, "/JSSResource"), Plugins: c.Plugins}
	w.Bitfit, _ = c.Plugins["bitfit"]["BITFIT_BASE_URL"].(string)
	for i := range f.Len() {
		w.Emails = append(w.Emails, f.Person(i).Email)
	}
	text, err := json.Marshal(w) // as it comes to the process
	if err == nil {
		w = world{}
		err = json.Unmarshal(text, &w)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLister(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.http.CloseIdleConnections)
	if err := l.lists(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := 2 * f.Len() // the users of Google and bitFit
	windows := map[string]bool{}
	f.All(func(d fleet.Device) bool {
		switch d.Kind {
		case fleet.Mac:
			want += 3 // in Jamf's two lists and bitFit's
		case fleet.Windows:
			want += 2
			windows[d.Owner.Email] = true
		case fleet.Chromebook, fleet.Linux:
			want += 2
		case fleet.Android, fleet.IPhone:
			want++
		}
		return true
	})
	if got := int(l.records.Load()); got != want+len(windows) {
		t.Errorf("%d records were read, want %d", got, want+len(windows))
	}
	if n, err := l.questions(t.Context(), 4); err != nil || n != f.Len() {
		t.Errorf("%d people were asked about, error %v", n, err)
	}
}

// What is written bare is what a run has left, row by row.
func TestWriteRaw(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "from.db")
	s, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	const people = 150
	if err := fillStore(t.Context(), s, people); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := writeRaw(t.Context(), path, 2*people)
	if err != nil || m.Seconds <= 0 {
		t.Fatalf("%+v, error %v", m, err)
	}
	if want := int64(people * (3 + 2)); m.Count != want { // person, posture and history; two documents
		t.Errorf("%d rows were written, want %d", m.Count, want)
	}
	db, err := sql.Open("sqlite", "file:"+path+".raw")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var documents, taken int
	var doc, original []byte
	err = db.QueryRowContext(t.Context(), "SELECT count(*), sum(CASE WHEN state = 1 THEN 1 ELSE 0 END) FROM outbox").Scan(&documents, &taken)
	if err != nil || documents != 2*people || taken != 2*people {
		t.Errorf("%d documents, %d taken, error %v", documents, taken, err)
	}
	if _, err := db.ExecContext(t.Context(), "ATTACH DATABASE $1 AS original", path); err != nil {
		t.Fatal(err)
	}
	err = db.QueryRowContext(t.Context(), "SELECT a.doc, b.doc FROM postures a JOIN original.postures b ON a.email = b.email ORDER BY a.email LIMIT 1").Scan(&doc, &original)
	if err != nil || !cmp.Equal(doc, original) || len(doc) == 0 {
		t.Errorf("a row is not the same, error %v", err)
	}
}

// The parts that need no other process run through, and tell of every case.
func TestPartsWithinTheProcess(t *testing.T) {
	t.Parallel()
	for _, part := range []struct {
		part
		rows int
	}{{part{"reads", measureReads}, 2}, {part{"events", measureEvents}, 2}} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			r := &report{}
			if err := part.run(t.Context(), options{quick: true, dir: t.TempDir()}, "", nil, r); err != nil {
				t.Fatal(err)
			}
			if len(r.Tables) != 1 || len(r.Tables[0].Rows) != part.rows {
				t.Errorf("tables %+v", r.Tables)
			}
			for name, v := range r.Tables[0].Values {
				if v <= 0 {
					t.Errorf("%s is %v", name, v)
				}
			}
		})
	}
}
