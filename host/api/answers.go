package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/recall"
	"github.com/postureproject/posture/timespan"
)

// answer gives the answer about a person, kept or new, and says in the header Age
// (RFC 9111, 5.1) how many seconds old it is.
func (a *API) answer(w http.ResponseWriter, r *http.Request, s subject) (recall.Answer, error) {
	maxAge, err := a.maxAge(r)
	if err != nil {
		return recall.Answer{}, err
	}
	given, err := a.host.Answers().Answer(r.Context(), s.email, maxAge, asker(w, r, s))
	if err != nil {
		return given, err
	}
	w.Header().Set("Age", strconv.FormatInt(max(0, int64(time.Since(given.GeneratedAt)/time.Second)), 10))
	return given, nil
}

// pieces are an answer as far as one list of it is asked for: of a kept one the
// records stay the JSON that they are, since to decode them only to encode them
// again takes most of the time.
type pieces struct {
	Email         string           `json:"email"`
	Devices       records          `json:"devices"`
	Events        records          `json:"events"`
	Accounts      records          `json:"accounts"`
	Notifications records          `json:"notifications"`
	Sources       []device.Outcome `json:"sources"`
	GeneratedAt   time.Time        `json:"generated_at"`
}

// records are a list of an answer.
type records struct {
	none  bool
	kept  json.RawMessage // of a kept answer
	fresh any             // of a new one
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *records) UnmarshalJSON(text []byte) error {
	r.none = string(text) == "null" || string(text) == "[]"
	r.kept = bytes.Clone(text)
	return nil
}

func recordsOf[T any](list []T) records { return records{none: len(list) == 0, fresh: list} }

func piecesOf(p device.Posture) pieces {
	return pieces{
		Email: p.Email, Devices: recordsOf(p.Devices), Events: recordsOf(p.Events), Accounts: recordsOf(p.Accounts),
		Notifications: recordsOf(p.Notifications), Sources: p.Sources, GeneratedAt: p.GeneratedAt,
	}
}

// takeApart gives a kept answer in pieces.
func takeApart(kept json.RawMessage) (pieces, error) {
	p := pieces{
		Devices: records{none: true}, Events: records{none: true}, Accounts: records{none: true}, Notifications: records{none: true},
	}
	if err := json.Unmarshal(kept, &p); err != nil {
		return p, fault.New(fault.Internal, "read the kept answer: %w", err)
	}
	return p, nil
}

// pieces gives the answer about a person, kept or new, in pieces.
func (a *API) pieces(w http.ResponseWriter, r *http.Request, s subject) (pieces, error) {
	given, err := a.answer(w, r, s)
	switch {
	case err != nil:
		return pieces{}, err
	case given.Kept != nil:
		return takeApart(given.Kept)
	default:
		return piecesOf(*given.New), nil
	}
}

// maxAge reads the parameter max_age: seconds, or a length of time with a unit.
func (a *API) maxAge(r *http.Request) (time.Duration, error) {
	values, given := r.URL.Query()["max_age"]
	if !given {
		return a.host.MaxAge(), nil
	}
	if d, err := timespan.Parse(values[0]); err == nil {
		return d, nil
	}
	return 0, fault.InvalidField("max_age", clip(values[0]), "not a length of time", "write seconds, or a number with a unit such as 15m; 0 asks the sources")
}

// asker says on whose behalf the sources are asked.
func asker(w http.ResponseWriter, r *http.Request, s subject) recall.Asker {
	through := "api"
	if r.Header.Get("Posture-Client") == "cli" {
		through = "cli"
	}
	return recall.Asker{Who: s.who.Subject, Through: through, Request: w.Header().Get("X-Request-Id")}
}

// scanStarted tells where a scan's progress can be followed.
type scanStarted struct {
	Email     string    `json:"email"`
	StartedAt time.Time `json:"started_at"`
	Joined    bool      `json:"joined"` // it was under way already
	Progress  string    `json:"progress"`
}

// rescan has the sources asked now, whatever is kept.
func (a *API) rescan(w http.ResponseWriter, r *http.Request, s subject) error {
	running, started := a.host.Answers().Scan(s.email, asker(w, r, s))
	progress := "/api/v1/posture/" + url.PathEscape(s.email) + "/rescan"
	w.Header().Set("Location", progress)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	return ignoreWrite(json.NewEncoder(w).Encode(scanStarted{Email: s.email, StartedAt: running.StartedAt, Joined: !started, Progress: progress}))
}

// followRescan tells the progress of the scan that is under way as server-sent
// events: "outcome" with each source's outcome, from the scan's beginning, and
// "done" with the time of the answer and the outcomes that failed, now with their
// administration events. Without a scan there is only "done" at once, of the kept
// answer.
func (a *API) followRescan(w http.ResponseWriter, r *http.Request, s subject) error {
	answers := a.host.Answers()
	running, under := answers.Running(s.email)
	var kept pieces
	if !under {
		given, known := answers.Kept(r.Context(), s.email)
		if !known {
			return &fault.Error{Kind: fault.NotFound, Subject: s.email, Message: "no scan is under way, and no answer is kept", Remedy: "start one with POST"}
		}
		var err error
		if kept, err = takeApart(given.Kept); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // so that proxies pass events on as they come
	flush := http.NewResponseController(w).Flush
	send := func(event string, v any) error {
		body, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, body); err != nil {
			return err
		}
		return flush()
	}
	if !under {
		return ignoreWrite(send("done", done(kept.Email, kept.GeneratedAt, kept.Sources)))
	}
	p, err := running.Follow(r.Context(), func(o device.Outcome) error { return send("outcome", o) })
	if err != nil {
		return ignoreWrite(err) // the reader has gone, or Posture ends
	}
	return ignoreWrite(send("done", done(p.Email, p.GeneratedAt, p.Sources)))
}

// scanDone says that the answer can be had, and what of it failed.
type scanDone struct {
	Email       string           `json:"email"`
	GeneratedAt time.Time        `json:"generated_at"`
	Failures    []device.Outcome `json:"failures"`
}

func done(email string, at time.Time, outcomes []device.Outcome) scanDone {
	failures := slices.DeleteFunc(slices.Clone(outcomes), func(o device.Outcome) bool { return o.OK })
	return scanDone{email, at, append([]device.Outcome{}, failures...)}
}
