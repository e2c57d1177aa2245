package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
	"github.com/postureproject/posture/host/httpserver"
	"github.com/postureproject/posture/host/scan"
)

// SourcesHeader carries the outcome of every source beside the bare lists, as
// one line of ASCII JSON.
const SourcesHeader = "Posture-Sources"

func (a *API) posture(w http.ResponseWriter, r *http.Request, s subject) error {
	given, err := a.answer(w, r, s)
	switch {
	case err != nil:
		return err
	case given.Kept != nil:
		return replyKept(w, given.Kept)
	default:
		return reply(w, given.New)
	}
}

func (a *API) mergedDevices(w http.ResponseWriter, r *http.Request, s subject) error {
	p, err := a.pieces(w, r, s)
	if err != nil {
		return err
	}
	return list(w, p.Devices, about(p.Sources, scan.NamespaceOwnership, scan.NamespaceDevices, scan.NamespaceDeviceStages))
}

func (a *API) devicesByEmail(w http.ResponseWriter, r *http.Request, s subject) error {
	return a.lookUp(w, r, s, scan.ByEmail, s.email)
}

func (a *API) devicesBySerial(w http.ResponseWriter, r *http.Request, s subject) error {
	return a.lookUp(w, r, s, scan.BySerial, s.serial)
}

func (a *API) devicesByMAC(w http.ResponseWriter, r *http.Request, s subject) error {
	return a.lookUp(w, r, s, scan.ByMAC, string(s.mac))
}

func (a *API) lookUp(w http.ResponseWriter, r *http.Request, s subject, key scan.Key, value string) error {
	devices, outcomes, err := a.host.Pipeline().LookUp(r.Context(), key, value, s.plugin)
	if err != nil {
		return err
	}
	a.host.LookedUp(r.Context(), key, value, outcomes, asker(w, r, s))
	return list(w, recordsOf(devices), outcomes)
}

func (a *API) events(w http.ResponseWriter, r *http.Request, s subject) error {
	p, err := a.part(w, r, s, "events", scan.Parts{Events: true}, func(s scan.Source) bool { return s.Events })
	if err != nil {
		return err
	}
	return list(w, p.Events, about(p.Sources, scan.NamespaceEvents, scan.NamespaceEventStages))
}

func (a *API) accounts(w http.ResponseWriter, r *http.Request, s subject) error {
	p, err := a.part(w, r, s, "accounts", scan.Parts{Accounts: true}, func(s scan.Source) bool { return s.Accounts })
	if err != nil {
		return err
	}
	return list(w, p.Accounts, about(p.Sources, scan.NamespaceAccounts))
}

func (a *API) notifications(w http.ResponseWriter, r *http.Request, s subject) error {
	p, err := a.part(w, r, s, "notifications", scan.Parts{Notifications: true}, func(s scan.Source) bool { return s.Notifications })
	if err != nil {
		return err
	}
	return list(w, p.Notifications, about(p.Sources, scan.NamespaceNotifications))
}

// part gives the answer of all sources, kept or new, or one part of it of the
// source that the path names, which is asked.
func (a *API) part(w http.ResponseWriter, r *http.Request, s subject, what string, parts scan.Parts, offers func(scan.Source) bool) (pieces, error) {
	if s.plugin == "" {
		return a.pieces(w, r, s)
	}
	pipeline := a.host.Pipeline()
	source, err := pipeline.Find(s.plugin, what, offers)
	if err != nil {
		return pieces{}, err
	}
	p := pipeline.Scan(r.Context(), scan.Request{Email: s.email, Parts: parts, Only: []string{source.Name}})
	a.host.LookedUp(r.Context(), scan.ByEmail, s.email, p.Sources, asker(w, r, s))
	return piecesOf(p), nil
}

// about keeps the outcomes that say something about one part of an answer.
func about(outcomes []device.Outcome, namespaces ...string) []device.Outcome {
	return slices.DeleteFunc(slices.Clone(outcomes), func(o device.Outcome) bool {
		return o.Namespace != scan.NamespaceSources && !slices.Contains(namespaces, o.Namespace)
	})
}

// list answers with a bare list and the outcomes in a header. When every source
// that was asked failed, the answer is that failure: an empty list would read as
// "nothing there".
func list(w http.ResponseWriter, r records, outcomes []device.Outcome) error {
	w.Header().Set(SourcesHeader, sourcesHeader(outcomes))
	if err := allFailed(outcomes); err != nil && r.none {
		return err
	}
	if r.none {
		return reply(w, []struct{}{})
	}
	if r.kept != nil {
		return replyKept(w, r.kept)
	}
	return reply(w, r.fresh)
}

// allFailed gives the first failure if none of the sources that hold the records
// answered. Ownership sources do not count beside device sources, nor do
// transforms: that they work says nothing about what there is.
func allFailed(outcomes []device.Outcome) error {
	holdsRecords := func(o device.Outcome) bool {
		return strings.HasPrefix(o.Namespace, scan.NamespaceSources) && o.Namespace != scan.NamespaceOwnership
	}
	if slices.ContainsFunc(outcomes, holdsRecords) {
		outcomes = slices.DeleteFunc(slices.Clone(outcomes), func(o device.Outcome) bool { return !holdsRecords(o) })
	}
	var first error
	for _, o := range outcomes {
		if o.OK {
			return nil
		}
		if first == nil {
			first = o.Err()
		}
	}
	if first == nil {
		return nil
	}
	kind := fault.KindOf(first)
	if kind == fault.Unauthenticated || kind == fault.Forbidden || kind == fault.Internal || kind == fault.NotFound || kind == fault.Invalid {
		// The source's refusal of us must not read as ours of the caller.
		kind = fault.BadResponse
	}
	return &fault.Error{
		Kind: kind, Message: "no source could be asked; the first said", Err: first, Remedy: fault.RemedyOf(first), RetryAfter: fault.RetryAfterOf(first),
	}
}

// sourcesHeader keeps the header short and plain: a text of 160 characters at
// most for each failure.
func sourcesHeader(outcomes []device.Outcome) string {
	short := make([]device.Outcome, len(outcomes))
	for i, o := range outcomes {
		short[i] = o
		short[i].Remedy = ""
		if o.Error != nil && len(*o.Error) > 160 {
			text := strings.ToValidUTF8((*o.Error)[:160], "") + "…"
			short[i].Error = &text
		}
	}
	body, err := json.Marshal(short)
	if err != nil {
		return "[]"
	}
	return asciiJSON(body)
}

// asciiJSON escapes what is not printable ASCII, which a header value must be.
func asciiJSON(body []byte) string {
	var b strings.Builder
	for len(body) > 0 {
		r, size := utf8.DecodeRune(body)
		body = body[size:]
		switch {
		case r < 0x7f:
			b.WriteByte(byte(r))
		case r > 0xffff:
			r -= 0x10000
			writeEscape(&b, 0xd800+(r>>10))
			writeEscape(&b, 0xdc00+(r&0x3ff))
		default:
			writeEscape(&b, r)
		}
	}
	return b.String()
}

func writeEscape(b *strings.Builder, r rune) {
	hex := strconv.FormatInt(int64(r), 16)
	b.WriteString(`\u` + strings.Repeat("0", 4-len(hex)) + hex)
}

// feedbackIn is what a person sends. An administrator may name for whom.
type feedbackIn struct {
	UserID   string          `json:"user_id"`
	ID       string          `json:"id"`
	Feedback json.RawMessage `json:"feedback"`
	Notes    string          `json:"notes"`
}

func readFeedback(r *http.Request) (in feedbackIn, err error) {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err = dec.Decode(&in)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows it")
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return in, fault.InvalidField("body", "", "too large", "send at most "+strconv.FormatInt(large.Limit, 10)+" bytes")
	case err != nil:
		return in, fault.InvalidField("body", "", "not the expected JSON object: "+unreadable(err), `send {"id": …, "feedback": …, "notes": …}`)
	}
	return in, nil
}

func (a *API) feedback(w http.ResponseWriter, r *http.Request, s subject) error {
	in, err := readFeedback(r)
	if err != nil {
		return err
	}
	switch {
	case in.ID == "":
		return fault.InvalidField("id", "", "is missing", "send the notification's id")
	case len(in.Feedback) == 0 || string(in.Feedback) == "null":
		return fault.InvalidField("feedback", "", "is missing", "send the answer")
	}
	in.UserID = cmp.Or(in.UserID, s.who.Subject)
	if in.UserID == auth.Everyone {
		return fault.InvalidField("user_id", "", "is missing", "an administrator's answer must say for whom")
	}
	if err := a.host.Policy().Authorize(s.who, auth.SendFeedback, in.UserID); err != nil {
		return err
	}
	httpserver.AccessOf(r.Context()).Whom = in.UserID
	err = a.host.SendFeedback(r.Context(), s.plugin, device.Feedback{
		UserID: in.UserID, ID: in.ID, Feedback: in.Feedback, Notes: in.Notes, Source: "posture",
	})
	if err != nil {
		return err
	}
	return reply(w, map[string]string{"status": "accepted"})
}

// unreadable says of a body what is wrong with it, without a word of how it is
// read.
func unreadable(err error) string {
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped) && mistyped.Field != "":
		return mistyped.Field + " cannot be a JSON " + mistyped.Value
	case errors.As(err, &mistyped):
		return "it is a JSON " + mistyped.Value
	case errors.Is(err, io.EOF):
		return "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it breaks off"
	default:
		return strings.TrimPrefix(err.Error(), "json: ")
	}
}
