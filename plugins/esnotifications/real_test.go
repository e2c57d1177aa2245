package esnotifications_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/elastictest"
	"github.com/postureproject/posture/plugins/esnotifications"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// index writes documents into a real server's index with a mapping; empty leaves
// the types to be guessed.
func index(t *testing.T, s *elastictest.Server, name, mappings string, documents map[string]string) {
	t.Helper()
	ask := func(method, path, body string) {
		t.Helper()
		if status, answer := s.Do(t, method, path, body); status > 299 || strings.Contains(string(answer), `"errors":true`) {
			t.Fatalf("%s %s answered %d: %.400s", method, path, status, answer)
		}
	}
	if mappings != "" {
		ask(http.MethodPut, "/"+name, `{"mappings":{"properties":`+mappings+`}}`)
	}
	var bulk strings.Builder
	for id, source := range documents {
		fmt.Fprintf(&bulk, `{"index":{"_index":%q,"_id":%q}}`+"\n%s\n", name, id, source)
	}
	ask(http.MethodPost, "/_bulk?refresh=true", bulk.String())
}

// The real server finds a person's own notifications, newest first, whatever the
// types of its fields are.
func TestReal(t *testing.T) {
	t.Parallel()
	s := elastictest.Start(t)
	documents := map[string]string{
		"old":     `{"email":"ada.lovelace@example.com","timestamp":"2026-11-01T10:00:00Z","name":"a"}`,
		"new":     `{"email":"ada.lovelace@example.com","timestamp":"2026-11-02T10:00:00Z","name":"b"}`,
		"capital": `{"email":"Ada.Lovelace@Example.com","timestamp":"2026-10-01T10:00:00Z"}`,
		"other":   `{"email":"charles.babbage@example.com","timestamp":"2026-11-03T10:00:00Z"}`,
		"similar": `{"email":"lovelace@example.com","timestamp":"2026-11-04T10:00:00Z"}`,
	}
	tests := map[string]struct {
		mappings string
		want     []string
	}{
		"guessed types":     {"", []string{"new", "old", "capital"}},
		"keyword":           {`{"email":{"type":"keyword"},"timestamp":{"type":"date"}}`, []string{"new", "old"}}, // it keeps the case
		"lower-case":        {`{"email":{"type":"keyword","normalizer":"lowercase"},"timestamp":{"type":"date"}}`, []string{"new", "old", "capital"}},
		"time as text":      {`{"email":{"type":"text"},"timestamp":{"type":"text"}}`, []string{"new", "old", "capital"}}, // it cannot be sorted by
		"time not searched": {`{"email":{"type":"text"},"timestamp":{"type":"object","enabled":false}}`, []string{"new", "old", "capital"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := s.Prefix(t)
			index(t, s, prefix+"a", tc.mappings, documents)
			client := sdktest.Open(t, esnotifications.Plugin(), map[string]any{"ELASTICSEARCH_HOSTS": s.URL, "ELASTICSEARCH_INDEX": prefix + "*"})
			got, err := client.NotificationsByEmail(t.Context(), ada)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, ids(got)); diff != "" {
				t.Errorf("notifications (-want +got):\n%s", diff)
			}
			if string(got[0].Source) != documents["new"] || got[0].Index != prefix+"a" {
				t.Errorf("the first is %s of %s", got[0].Source, got[0].Index)
			}
			detail, err := client.TestConnectivity(t.Context())
			if err != nil || !strings.Contains(detail, `cluster "posture-test"`) || !strings.Contains(detail, "with 5 documents") {
				t.Errorf("connectivity %q, %v", detail, err)
			}
		})
	}
}

// The newest are delivered, and a page full of others' notifications hides none.
func TestReal_pages(t *testing.T) {
	t.Parallel()
	s := elastictest.Start(t)
	prefix := s.Prefix(t)
	documents := map[string]string{}
	for i := range 30 {
		documents[fmt.Sprintf("mine-%02d", i)] = fmt.Sprintf(`{"email":"ada.lovelace@example.com","timestamp":"2026-11-%02dT10:00:00Z"}`, 1+i)
		documents[fmt.Sprintf("foreign-%02d", i)] = fmt.Sprintf(`{"email":"example.com-ada.lovelace@x.org","timestamp":"2026-11-%02dT11:00:00Z"}`, 1+i)
	}
	index(t, s, prefix+"a", "", documents)
	client := sdktest.Open(t, esnotifications.Plugin(), map[string]any{"ELASTICSEARCH_HOSTS": s.URL, "ELASTICSEARCH_INDEX": prefix + "a", "MAX_NOTIFICATIONS": 4})
	got, err := client.NotificationsByEmail(t.Context(), ada)
	if diff := cmp.Diff([]string{"mine-29", "mine-28", "mine-27", "mine-26"}, ids(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestReal_noIndex(t *testing.T) {
	t.Parallel()
	s := elastictest.Start(t)
	for _, name := range []string{"no-such-index", "no-such-*"} {
		client := sdktest.Open(t, esnotifications.Plugin(), map[string]any{"ELASTICSEARCH_HOSTS": s.URL, "ELASTICSEARCH_INDEX": name})
		_, err := client.NotificationsByEmail(t.Context(), ada)
		checkError(t, err, fault.BadResponse, "does not exist")
		_, err = client.TestConnectivity(t.Context())
		checkError(t, err, fault.BadResponse, "does not exist")
	}
}
