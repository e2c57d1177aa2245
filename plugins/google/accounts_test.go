package google_test

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
	simulator "github.com/postureproject/posture/internal/simulator/google"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/google"
)

const usagePrefix = "/admin/reports/v1/usage/users/" + ada + "/dates/"

func TestAccountsByEmail_golden(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	accounts, err := b.open(t, nil).AccountsByEmail(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/accounts.golden.json", accounts)
}

func TestAccountsByEmail_lag(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lag      int
		day      string // "" when no report is recent enough
		requests int
	}{
		{1, "2026-05-31", 1},
		{2, "2026-05-30", 2},
		{7, "2026-05-25", 2},
		{8, "", 1},
		{30, "", 1},
	} {
		b := setup(t, simulator.Options{ReportLag: tt.lag})
		accounts, err := b.open(t, nil).AccountsByEmail(t.Context(), ada)
		switch {
		case tt.day == "" && fault.KindOf(err) != fault.Unavailable:
			t.Errorf("lag %d: error %v, want Unavailable", tt.lag, err)
		case tt.day != "" && (err != nil || len(accounts) != 1 || accounts[0].Date != tt.day):
			t.Errorf("lag %d: %v, %v; want the report of %s", tt.lag, accounts, err, tt.day)
		}
		if n := b.sim.Faults.RequestsMatching(regexp.MustCompile("/usage/")); n != tt.requests {
			t.Errorf("lag %d: %d requests, want %d", tt.lag, n, tt.requests)
		}
	}
}

// Which day is the newest is the same for everybody: it is found out once.
func TestAccountsByEmail_remembersTheNewestDay(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{ReportLag: 4})
	client := b.open(t, nil)
	for i := range 10 {
		if accounts, err := client.AccountsByEmail(t.Context(), b.fleet.Person(i).Email); err != nil || len(accounts) != 1 {
			t.Fatalf("person %d: %v, %v", i, accounts, err)
		}
	}
	if n := b.sim.Faults.RequestsMatching(regexp.MustCompile("/usage/")); n != 11 {
		t.Errorf("%d requests for ten people, want 11", n)
	}
}

func TestAccountsByEmail_unknownPersonHasNone(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	if accounts, err := b.open(t, nil).AccountsByEmail(t.Context(), "nobody@example.com"); err != nil || len(accounts) != 0 {
		t.Errorf("got %v, %v; want nothing", accounts, err)
	}
}

func TestAccountsByEmail_walksBackOverDaysWithoutData(t *testing.T) {
	t.Parallel()
	const data = `"usageReports":[{"parameters":[{"name":"accounts:is_2sv_enrolled","boolValue":false}]}]`
	partial := `{"warnings":[{"code":"PARTIAL_DATA_AVAILABLE","data":[{"key":"date","value":"x"},{"key":"application","value":"accounts"}]}],
		"usageReports":[{"parameters":[{"name":"gmail:num_emails_sent","intValue":"3"}]}]}`
	for _, tt := range []struct {
		name string
		days map[string]string
		want string // the date of the account, "" for none
	}{
		{"empty days", map[string]string{"2026-05-31": `{}`, "2026-05-30": `{"usageReports":[]}`, "2026-05-29": `{` + data + `}`}, "2026-05-29"},
		{"report without parameters", map[string]string{"2026-05-31": `{"usageReports":[{"parameters":null}]}`, "2026-05-30": `{` + data + `}`}, "2026-05-30"},
		{"account's part missing yet", map[string]string{"2026-05-31": partial, "2026-05-30": `{` + data + `}`}, "2026-05-30"},
		{"another part missing", map[string]string{"2026-05-31": `{"warnings":[{"data":[{"key":"application","value":"docs"}]}],` + data + `}`}, "2026-05-31"},
		{"never complete", map[string]string{"2026-05-31": partial}, "2026-05-31"},
		{"only too old", map[string]string{"2026-05-24": `{` + data + `}`}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			handlers := map[string]http.HandlerFunc{}
			for day, body := range tt.days {
				handlers[usagePrefix+day] = says(body)
			}
			accounts, err := answers(t, handlers).open(t, nil).AccountsByEmail(t.Context(), ada)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if len(accounts) > 0 {
				got = accounts[0].Date
			}
			if got != tt.want {
				t.Errorf("report of %q, want %q", got, tt.want)
			}
		})
	}
}

// A refusal that names a later day than the one asked for must not go on for ever.
func TestAccountsByEmail_senselessRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("/usage/"), Status: 400, Body: `{"error":{"code":400,
		"message":"Data for dates later than 2027-01-01 is not yet available. Please check back later","errors":[{"reason":"invalid"}]}}`})
	if _, err := b.open(t, nil).AccountsByEmail(t.Context(), ada); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("error %v, want Unavailable", err)
	}
	if n := b.sim.Faults.RequestsMatching(regexp.MustCompile("/usage/")); n != 7 {
		t.Errorf("%d requests, want one for each of 7 days", n)
	}
}

func TestMapUsage(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 5, 29, 0, 0, 0, 0, time.UTC)
	a, ok := google.MapUsage([]byte(`{"date":"2026-05-28","entity":{"userEmail":"ada@example.com"},"parameters":[
		{"name":"accounts:is_2sv_enrolled","boolValue":false},{"name":"b","boolValue":true},{"name":"i","intValue":"42"},{"name":"zero","intValue":0},
		{"name":"s","stringValue":"text"},{"name":"t","datetimeValue":"2026-05-28T01:02:03.000Z"},{"name":"m","msgValue":[{"k":[1,"x"]}]},
		{"name":"n","boolValue":null},{"name":"odd","intValue":"many"},{"name":null,"intValue":"1"},null,"x"]}`), "asked@example.com", day)
	if !ok {
		t.Fatal("not mapped")
	}
	want := map[string]any{
		"accounts:is_2sv_enrolled": false, "b": true, "i": 42.0, "zero": 0.0, "s": "text", "t": "2026-05-28T01:02:03.000Z",
		"m": []any{map[string]any{"k": []any{1.0, "x"}}},
	}
	if diff := cmp.Diff(want, a.UserUsage); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	if a.Name != "ada@example.com" || a.Date != "2026-05-28" || !a.LastUpdated.Equal(day.AddDate(0, 0, -1)) {
		t.Errorf("account %v", a)
	}
	for _, none := range []string{`{}`, `null`, `[]`, `{"parameters":{}}`, `{"parameters":[{"name":"x"}]}`} {
		if a, ok := google.MapUsage([]byte(none), ada, day); ok {
			t.Errorf("%s was mapped to %v", none, a)
		}
	}
}
