package elastictest_test

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/internal/elastictest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The node is what it says: it keeps what it is given, per test.
func TestStart(t *testing.T) {
	t.Parallel()
	s := elastictest.Start(t)
	if again := elastictest.Start(t); again != s {
		t.Error("a second node was started")
	}
	if status, body := s.Do(t, http.MethodGet, "/", ""); status != http.StatusOK || !strings.Contains(string(body), `"cluster_name":"posture-test"`) {
		t.Errorf("GET / answered %d %s", status, body)
	}
	var prefix string
	t.Run("index", func(t *testing.T) {
		prefix = s.Prefix(t)
		bulk := `{"create":{"_index":"` + prefix + `a","_id":"1"}}` + "\n" + `{"email":"ada@example.com"}` + "\n"
		if status, body := s.Do(t, http.MethodPost, "/_bulk?refresh=true", bulk); status != http.StatusOK {
			t.Fatalf("bulk answered %d %s", status, body)
		}
		if _, body := s.Do(t, http.MethodGet, "/"+prefix+"*/_search?q=email:ada", ""); !strings.Contains(string(body), `"_id":"1"`) {
			t.Errorf("search answered %s", body)
		}
	})
	if status, _ := s.Do(t, http.MethodHead, "/"+prefix+"a", ""); status != http.StatusNotFound {
		t.Errorf("the index outlives its test: %d", status)
	}
}
