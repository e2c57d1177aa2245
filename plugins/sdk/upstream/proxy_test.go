package upstream_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

func TestProxy(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("asked for " + r.URL.String() + " as " + r.Header.Get("Proxy-Authorization")))
	}))
	t.Cleanup(proxy.Close)
	address := strings.Replace(proxy.URL, "http://", "http://user:s3cret@", 1)
	client, err := upstream.New(upstream.Options{Source: "vendor", Timeout: 5 * time.Second, Settings: upstream.Settings{Proxy: address}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.HTTPClient().CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.example.com/devices", nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := client.Do(req, "list", "")
	if got := string(body); err != nil || !strings.HasPrefix(got, "asked for http://vendor.example.com/devices as Basic ") {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"proxy:s3cret", "ftp://user:s3cret@proxy", "://s3cret"} {
		_, err := upstream.New(upstream.Options{Source: "vendor", Timeout: time.Second, Settings: upstream.Settings{Proxy: bad}})
		if fault.KindOf(err) != fault.Invalid || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s gives %v", bad, err)
		}
	}
}
