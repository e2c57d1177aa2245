// Package api is Posture's HTTP API: JSON under /api/v1. Every route stands in
// one table with the action that it needs; what a route does not say is denied.
// The description at /api/v1/openapi.json is held to the same table by a test.
package api

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
	"github.com/postureproject/posture/host/httpserver"
	"github.com/postureproject/posture/host/recall"
	"github.com/postureproject/posture/host/scan"
)

// Host is what the API needs of the host.
type Host interface {
	// Pipeline gives the pipeline in force.
	Pipeline() *scan.Pipeline
	// Answers gives answers about people, kept or new.
	Answers() *recall.Recall
	// LookedUp is told how the sources fared that were asked directly, and notes in
	// failed outcomes the administration events that they became.
	LookedUp(ctx context.Context, key scan.Key, value string, outcomes []device.Outcome, by recall.Asker)
	// LogsAccess reports whether every look at records is to be passed on, and
	// Accessed passes one on.
	LogsAccess() bool
	Accessed(ctx context.Context, l recall.Look)
	// MaxAge is how old a kept answer may be unless a request says otherwise.
	MaxAge() time.Duration
	// Policy says who may do what.
	Policy() auth.Policy
	// SendFeedback passes on a person's answer through a plugin.
	SendFeedback(ctx context.Context, plugin string, f device.Feedback) error
	// PluginStatus tells how every plugin is, as a JSON value.
	PluginStatus() any
	// AdminEvents has the record of what failed; nil without a store.
	AdminEvents() *adminevent.Recorder
	// Runs has the record of runs over everybody; nil without a store.
	Runs() batch.Viewer
}

// API answers requests.
type API struct {
	host   Host
	logger *slog.Logger
	slots  chan struct{} // scans that may run at once
}

// New makes the API. At most maxScans scans run at once; more wait their turn.
func New(host Host, logger *slog.Logger, maxScans int) *API {
	return &API{host: host, logger: logger, slots: make(chan struct{}, max(1, maxScans))}
}

//go:embed openapi.json
var openAPI []byte

// route is one line of the table.
type route struct {
	pattern string
	action  auth.Action
	// scans marks routes that ask the sources, whose number at once is bounded.
	scans  bool
	handle func(http.ResponseWriter, *http.Request, subject) error
}

// subject is what a request is about, checked and canonical.
type subject struct {
	who    auth.Identity
	email  string
	serial string
	mac    device.MAC
	plugin string
}

// target names the subject for the access log.
func (s subject) target() string {
	switch {
	case s.email != "":
		return s.email
	case s.serial != "":
		return s.serial
	default:
		return string(s.mac)
	}
}

func (a *API) routes() []route {
	return slices.Concat([]route{
		{"GET /api/v1/openapi.json", auth.Public, false, a.describe},
		{"GET /api/v1/posture/{email}", auth.ViewPerson, true, a.posture},
		{"POST /api/v1/posture/{email}/rescan", auth.ViewPerson, false, a.rescan},
		{"GET /api/v1/posture/{email}/rescan", auth.ViewPerson, false, a.followRescan},
		{"GET /api/v1/devices/merged/{email}", auth.ViewPerson, true, a.mergedDevices},
		{"GET /api/v1/devices/staged/{email}", auth.ViewPerson, true, a.mergedDevices},
		{"GET /api/v1/devices/email/{email}", auth.ViewPerson, true, a.devicesByEmail},
		{"GET /api/v1/devices/serial/{serial}", auth.ViewAny, true, a.devicesBySerial},
		{"GET /api/v1/devices/macaddr/{mac}", auth.ViewAny, true, a.devicesByMAC},
		{"GET /api/v1/devices/{plugin}/email/{email}", auth.ViewPerson, true, a.devicesByEmail},
		{"GET /api/v1/devices/{plugin}/serial/{serial}", auth.ViewAny, true, a.devicesBySerial},
		{"GET /api/v1/devices/{plugin}/macaddr/{mac}", auth.ViewAny, true, a.devicesByMAC},
		{"GET /api/v1/events/merged/{email}", auth.ViewPerson, true, a.events},
		{"GET /api/v1/events/{plugin}/email/{email}", auth.ViewPerson, true, a.events},
		{"GET /api/v1/accounts/merged/{email}", auth.ViewPerson, true, a.accounts},
		{"GET /api/v1/account/{plugin}/email/{email}", auth.ViewPerson, true, a.accounts},
		{"GET /api/v1/notifications/merged/{email}", auth.ViewPerson, true, a.notifications},
		{"GET /api/v1/notifications/{plugin}/email/{email}", auth.ViewPerson, true, a.notifications},
		{"POST /api/v1/feedback/{plugin}", auth.SendFeedback, false, a.feedback},
		{"GET /api/v1/plugins", auth.Administer, false, a.plugins},
	}, a.administration(), a.batchRuns())
}

// Register adds the routes to a mux.
func (a *API) Register(mux *http.ServeMux) {
	for _, r := range a.routes() {
		mux.Handle(r.pattern, a.guard(r))
	}
}

// guard is the way into every handler: who asks, may they, about whom, and is
// there room.
func (a *API) guard(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		access := httpserver.AccessOf(r.Context())
		access.What = string(rt.action)
		s, err := a.admit(rt, r, access)
		if err == nil && rt.scans {
			var release func()
			if release, err = a.slot(r.Context()); err == nil {
				defer release()
			}
		}
		// Whoever did not say who they are was shown nothing, and shall not fill a queue.
		looks := (rt.action == auth.ViewPerson || rt.action == auth.ViewAny) && fault.KindOf(err) != fault.Unauthenticated
		if looks && a.host.LogsAccess() {
			shown := &shownWriter{ResponseWriter: w}
			w = shown
			defer func() { a.host.Accessed(r.Context(), shown.look(r, s)) }()
		}
		if err == nil {
			err = rt.handle(w, r, s)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	})
}

// shownWriter keeps what is shown, for the log of accesses.
type shownWriter struct {
	http.ResponseWriter
	status int
	body   []byte
	large  bool
}

// maxShown is how much of an answer the log of accesses takes.
const maxShown = device.MaxDelivery / 2

// WriteHeader implements [http.ResponseWriter].
func (w *shownWriter) WriteHeader(status int) {
	w.status = cmp.Or(w.status, status)
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *shownWriter) Write(b []byte) (int, error) {
	w.status = cmp.Or(w.status, http.StatusOK)
	if w.large = w.large || len(w.body)+len(b) > maxShown; !w.large {
		w.body = append(w.body, b...)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *shownWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// look says who saw what. What is no JSON or too large is left out.
func (w *shownWriter) look(r *http.Request, s subject) recall.Look {
	l := recall.Look{
		Asker: asker(w, r, s), Method: r.Method, Path: r.URL.Path, Remote: r.RemoteAddr, Email: s.email, Status: w.status,
	}
	if !w.large && json.Valid(w.body) {
		l.Shown = w.body
	}
	return l
}

// admit identifies and authorises before it looks at the rest of the request, so
// that strangers learn nothing about it.
func (a *API) admit(rt route, r *http.Request, access *httpserver.Access) (subject, error) {
	var s subject
	if rt.action == auth.Public {
		return s, nil
	}
	policy := a.host.Policy()
	who, err := policy.Identify(r)
	if err != nil {
		return s, err
	}
	s.who, access.Who = who, who.Subject
	s.email = r.PathValue("email")
	access.Whom = s.email
	target := s.email
	if rt.action == auth.SendFeedback {
		target = who.Subject // one's own; the handler fixes it
	}
	if err := policy.Authorize(who, rt.action, target); err != nil {
		return s, err
	}
	if err := s.read(r); err != nil {
		return s, err
	}
	access.Whom = s.target()
	return s, nil
}

// read checks what the path says.
func (s *subject) read(r *http.Request) (err error) {
	s.plugin = r.PathValue("plugin")
	if s.email != "" {
		if s.email, err = parseEmail(s.email); err != nil {
			return err
		}
	}
	if v := r.PathValue("serial"); v != "" {
		if s.serial, err = parseSerial(v); err != nil {
			return err
		}
	}
	if v := r.PathValue("mac"); v != "" {
		if s.mac, err = device.ParseMAC(v); err != nil {
			return fault.InvalidField("mac", clip(v), "not a MAC address", "write 12 or 16 hexadecimal digits, such as 00:1B:63:84:45:E6")
		}
	}
	return nil
}

// parseEmail accepts a bare address.
func parseEmail(v string) (string, error) {
	parsed, err := mail.ParseAddress(v)
	if err != nil || parsed.Address != v || len(v) > 254 || strings.ContainsAny(v, " \t\r\n\"<>()") {
		return "", fault.InvalidField("email", clip(v), "not an e-mail address", "write an address such as ada@example.com")
	}
	return v, nil
}

// parseSerial accepts what can be printed on a device.
func parseSerial(v string) (string, error) {
	v = strings.TrimSpace(v)
	bad := strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f })
	if v == "" || len(v) > 128 || bad {
		return "", fault.InvalidField("serial", clip(v), "not a serial number", "write up to 128 printable characters")
	}
	return v, nil
}

func clip(v string) string {
	if len(v) > 80 {
		return strings.ToValidUTF8(v[:80], "") + "…"
	}
	return v
}

// slot waits for room for one more scan.
func (a *API) slot(ctx context.Context) (release func(), err error) {
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots }, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, &fault.Error{
		Kind: fault.Unavailable, Message: "too many people are being scanned right now", Remedy: "try again in a moment",
		RetryAfter: 10 * time.Second,
	}
}

func (a *API) describe(w http.ResponseWriter, _ *http.Request, _ subject) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(openAPI)
	return ignoreWrite(err)
}

func (a *API) plugins(w http.ResponseWriter, _ *http.Request, _ subject) error {
	return reply(w, a.host.PluginStatus())
}

// reply answers with a JSON value. What fails while writing is the reader's
// going away: there is nobody to tell.
func reply(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fault.New(fault.Internal, "encode the answer: %w", err)
	}
	return writeBody(w, append(body, '\n'))
}

// replyKept answers with what is JSON already. Like [json.Marshal] it escapes
// what a browser might take for markup.
func replyKept(w http.ResponseWriter, kept json.RawMessage) error {
	var b bytes.Buffer
	b.Grow(len(kept) + len(kept)/8)
	json.HTMLEscape(&b, kept)
	b.WriteByte('\n')
	return writeBody(w, b.Bytes())
}

func writeBody(w http.ResponseWriter, body []byte) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(body)
	return ignoreWrite(err)
}

func ignoreWrite(error) error { return nil }
