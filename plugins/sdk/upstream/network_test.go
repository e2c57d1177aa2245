package upstream_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

func TestTimeLimits(t *testing.T) {
	t.Parallel()
	const short = 100 * time.Millisecond
	faults := map[string]simhttp.Fault{"hangs": {Hang: true}, "never ends": {Endless: true}, "slow": {Latency: time.Minute}, "always 500": {Status: 500}}
	for name, f := range faults {
		for _, byContext := range []bool{true, false} {
			t.Run(fmt.Sprint(name, byContext), func(t *testing.T) {
				t.Parallel()
				v := newVendor(t, nil)
				v.Add(f)
				ctx, limit := t.Context(), short
				if byContext {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, short)
					defer cancel()
					limit = time.Minute
				}
				began := time.Now()
				err := get(ctx, client(t, func(o *upstream.Options) { o.Timeout, o.Settings.Retries = limit, 100 }), v.url)
				checkError(t, err, fault.Timeout, "")
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	v := newVendor(t, nil)
	v.Add(simhttp.Fault{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	err := get(ctx, client(t, nil), v.url)
	checkError(t, err, fault.Unavailable, "")
	if !errors.Is(err, context.Canceled) || fault.RemedyOf(err) != "" {
		t.Errorf("error %v, remedy %q", err, fault.RemedyOf(err))
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	quick := client(t, func(o *upstream.Options) { o.Settings.Retries = 0 })
	err = get(t.Context(), quick, address)
	checkError(t, err, fault.Unavailable, "refused")
	if !strings.Contains(fault.RemedyOf(err), "port") {
		t.Errorf("remedy %q", fault.RemedyOf(err))
	}
	err = get(t.Context(), quick, "http://no-such-host.invalid")
	checkError(t, err, fault.Unavailable, "no-such-host.invalid")
	if !strings.Contains(fault.RemedyOf(err), "DNS") {
		t.Errorf("remedy %q", fault.RemedyOf(err))
	}
	err = get(t.Context(), quick, "gopher://x")
	checkError(t, err, fault.Unavailable, "unsupported protocol")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	server := httptest.NewUnstartedServer(v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) })))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	err := get(t.Context(), client(t, nil), server.URL)
	checkError(t, err, fault.Unavailable, "certificate")
	if !strings.Contains(fault.RemedyOf(err), "CA_FILE") || v.Requests() != 0 {
		t.Errorf("remedy %q, %d requests", fault.RemedyOf(err), v.Requests())
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	trusting := client(t, func(o *upstream.Options) { o.Settings.CAFile = ca })
	if err := get(t.Context(), trusting, server.URL); err != nil {
		t.Errorf("with CA_FILE: %v", err)
	}
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	err = get(t.Context(), trusting, "https://localhost:"+port)
	checkError(t, err, fault.Unavailable, "localhost")
	plain := newVendor(t, nil)
	err = get(t.Context(), client(t, nil), strings.Replace(plain.url, "http:", "https:", 1))
	checkError(t, err, fault.Unavailable, "")
	if !strings.Contains(fault.RemedyOf(err), "certificate") && !upstream.IsTLSError(err) && !strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		t.Errorf("plain HTTP behind https: %v", err)
	}
}

func TestCAFile(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/no/such/file", empty} {
		_, err := upstream.New(upstream.Options{Timeout: time.Second, Settings: upstream.Settings{CAFile: file}})
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), "CA_FILE") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// A redirect within the host is followed, but hands on no query; another host
// gets nothing.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var referers []string
	other := newVendor(t, nil)
	mux := http.NewServeMux()
	mux.HandleFunc("/path", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/moved")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		referers = append(referers, r.Referer())
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	if err := get(t.Context(), client(t, nil), newVendor(t, mux).url); err != nil {
		t.Error(err)
	}
	if len(referers) != 1 || referers[0] != "" {
		t.Errorf("referers %q", referers)
	}
	away := newVendor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(other.url, "127.0.0.1", "localhost", 1)+"/elsewhere", http.StatusTemporaryRedirect)
	}))
	checkError(t, get(t.Context(), client(t, nil), away.url), fault.BadResponse, "307")
	round := newVendor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }))
	checkError(t, get(t.Context(), client(t, nil), round.url), fault.BadResponse, "302")
	if other.Requests() != 0 {
		t.Errorf("another host was asked %d times", other.Requests())
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	v := newVendor(t, nil)
	v.SetLatency(5 * time.Millisecond)
	c := client(t, func(o *upstream.Options) { o.Concurrency = 3 })
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			if err := get(t.Context(), c, v.url); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if peak := v.Peak(); peak > 6 || peak < 2 {
		t.Errorf("%d requests at once, want at most twice the concurrency", peak)
	}
}
