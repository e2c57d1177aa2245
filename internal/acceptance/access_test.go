package acceptance_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// remoteSources are those that a network lies before.
func remoteSources() []string {
	return []string{"bitfit", "duo", "es_notifications", "google", "jamf", "landesk"}
}

// failsWith scans Ada with every remote source at fault and wants each of them
// to say so with one of the kinds, and the one local source to answer.
func (s *site) failsWith(t *testing.T, failing []string, kinds ...string) {
	t.Helper()
	answer := scanOne(t, s.dir, s.ada(), 2)
	for _, source := range failing {
		checkFailure(t, answer, source, kinds)
	}
	for _, o := range outcomesOf(answer, "file") {
		if !o.OK || o.Count == 0 {
			t.Errorf("outcome %+v", o)
		}
	}
	text, _, status := posture(t, s.dir, "scan", s.ada())
	if status != 2 {
		t.Errorf("exit status %d, want 2", status)
	}
	for _, source := range failing {
		if !regexp.MustCompile(`Failed: ` + source + ` \(`).MatchString(text) {
			t.Errorf("the report does not name %s:\n%s", source, text)
		}
	}
	if checks, _, status := posture(t, s.dir, "connectivity"); status != 2 || strings.Count(checks, "failed") < len(failing) {
		t.Errorf("connectivity: exit status %d, want 2\n%s", status, checks)
	}
}

func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	stranger := maps.Clone(s.Plugins["google"]["GOOGLE_API_SECRETS"].(map[string]any))
	stranger["private_key"] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	s.set("google", "GOOGLE_API_SECRETS", stranger)
	s.set("jamf", "JAMF_API_PASSWORD", "wrong-password")
	s.set("landesk", "LANDESK_SQL_PASSWORD", "wrong-password")
	s.set("bitfit", "BITFIT_API_TOKEN", "wrong-token")
	s.set("duo", "DUO_SECRET_KEY", "wrong-secret")
	s.write(t, nil)
	failing := slices.DeleteFunc(remoteSources(), func(name string) bool { return name == "es_notifications" }) // open to all
	s.failsWith(t, failing, "unauthenticated")
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	s.moveTo(t, "http://"+address)
	s.write(t, nil)
	s.failsWith(t, remoteSources(), "unavailable")
}

func TestUntrustedCertificate(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	var asked atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	server.StartTLS()
	t.Cleanup(server.Close)
	landesk := s.Plugins["landesk"]["LANDESK_SQL_HOSTPORT"]
	s.moveTo(t, server.URL)
	s.set("landesk", "LANDESK_SQL_HOSTPORT", landesk)
	delete(s.Plugins["landesk"], "CA_FILE")
	s.write(t, nil)
	s.failsWith(t, remoteSources(), "unavailable")
	if n := asked.Load(); n > 0 {
		t.Errorf("%d requests were sent to a server that is not trusted", n)
	}
	answer := scanOne(t, s.dir, s.ada(), 2)
	for _, source := range remoteSources() {
		for _, o := range outcomesOf(answer, source) {
			if !strings.Contains(o.Remedy, "certificate") {
				t.Errorf("%s: no advice about the certificate: %q", source, o.Remedy)
			}
		}
	}
}

// moveTo has every remote source ask at another address.
func (s *site) moveTo(t *testing.T, address string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	secrets := maps.Clone(s.Plugins["google"]["GOOGLE_API_SECRETS"].(map[string]any))
	secrets["token_uri"] = address + "/token"
	s.set("google", "GOOGLE_API_SECRETS", secrets)
	s.set("google", "GOOGLE_API_ENDPOINT", address)
	s.set("jamf", "JAMF_API_HOSTADDR", address)
	s.set("bitfit", "BITFIT_BASE_URL", address+"/")
	s.set("duo", "DUO_API_HOSTNAME", address)
	s.set("es_notifications", "ELASTICSEARCH_HOSTS", []string{address})
	s.set("landesk", "LANDESK_SQL_HOSTPORT", port)
	for _, plugin := range remoteSources() {
		s.set(plugin, "TIMEOUT", "10s")
		if plugin != "duo" {
			s.set(plugin, "RETRIES", 1)
		}
	}
}

// TestTokensExpire takes away the tokens that plugins hold: they get others
// without anybody noticing.
func TestTokensExpire(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.write(t, nil, "google", "jamf", "file")
	h := s.open(t)
	before := s.ask(t, h)
	google, jamf := s.Google.TokensIssued(), s.Jamf.Issued()
	s.Google.RevokeTokens()
	s.Jamf.Revoke()
	if diff := cmp.Diff(comparable(t, before), comparable(t, s.ask(t, h))); diff != "" {
		t.Errorf("the answer is another one (-before +now):\n%s", diff)
	}
	if s.Google.TokensIssued() == google || s.Jamf.Issued() == jamf {
		t.Error("no new token was asked for")
	}
}

// TestPages lets vendors give the same page for ever, and every record twice.
func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.write(t, nil, "google", "bitfit", "file")
	h := s.open(t)
	before := s.ask(t, h)
	path := regexp.MustCompile("^/admin/directory")
	t.Run("cyclic", func(t *testing.T) {
		s.Google.Faults.Add(simhttp.Fault{Path: path, Rewrite: rewriteObject(func(answer map[string]any) { answer["nextPageToken"] = "again" })})
		defer s.Google.Faults.Clear()
		now := s.ask(t, h)
		for _, o := range outcomesOf(now, "google") {
			if o.Namespace == "sources.devices" && (o.OK || o.Kind != "bad_response") {
				t.Errorf("outcome %+v", o)
			}
		}
		checkOthers(t, before, now, "google")
	})
	t.Run("records twice", func(t *testing.T) {
		s.Google.Faults.Add(simhttp.Fault{Path: path, Rewrite: rewriteObject(func(answer map[string]any) {
			for k, v := range answer {
				if list, ok := v.([]any); ok {
					answer[k] = slices.Concat(list, list)
				}
			}
		})})
		defer s.Google.Faults.Clear()
		if now := s.ask(t, h); len(now.Devices) != len(before.Devices) {
			t.Errorf("%d devices, want %d", len(now.Devices), len(before.Devices))
		}
	})
}

// rewriteObject changes an answer that is a JSON object.
func rewriteObject(change func(map[string]any)) func([]byte) []byte {
	return func(body []byte) []byte {
		var answer map[string]any
		if json.Unmarshal(body, &answer) != nil {
			return body
		}
		change(answer)
		out, err := json.Marshal(answer)
		if err != nil {
			return body
		}
		return out
	}
}
