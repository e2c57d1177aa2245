package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/recall"
)

// answer gives the answer about a person, kept or new, and says in the header Age
// (RFC 9111, 5.1) how many seconds old it is.
func (a *API) answer(w http.ResponseWriter, r *http.Request, s subject) (device.Posture, error) {
	maxAge, err := a.maxAge(r)
	if err != nil {
		return device.Posture{}, err
	}
	p, err := a.host.Answers().Answer(r.Context(), s.email, maxAge, asker(w, r, s))
	if err != nil {
		return p, err
	}
	w.Header().Set("Age", strconv.FormatInt(max(0, int64(time.Since(p.GeneratedAt)/time.Second)), 10))
	return p, nil
}

// maxAge reads the parameter max_age: seconds, or a length of time with a unit.
func (a *API) maxAge(r *http.Request) (time.Duration, error) {
	values, given := r.URL.Query()["max_age"]
	if !given {
		return a.host.MaxAge(), nil
	}
	if seconds, err := strconv.ParseUint(values[0], 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	if d, err := time.ParseDuration(values[0]); err == nil && d >= 0 {
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
// "done" with the time of the answer. Without a scan there is only "done" at once,
// with the time of the kept answer.
func (a *API) followRescan(w http.ResponseWriter, r *http.Request, s subject) error {
	answers := a.host.Answers()
	running, under := answers.Running(s.email)
	var kept device.Posture
	if !under {
		var known bool
		if kept, known = answers.Kept(r.Context(), s.email); !known {
			return &fault.Error{Kind: fault.NotFound, Subject: s.email, Message: "no scan is under way, and no answer is kept", Remedy: "start one with POST"}
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
		return ignoreWrite(send("done", scanDone{kept.Email, kept.GeneratedAt}))
	}
	p, err := running.Follow(r.Context(), func(o device.Outcome) error { return send("outcome", o) })
	if err != nil {
		return ignoreWrite(err) // the reader has gone, or Posture ends
	}
	return ignoreWrite(send("done", scanDone{p.Email, p.GeneratedAt}))
}

// scanDone says that the answer can be had.
type scanDone struct {
	Email       string    `json:"email"`
	GeneratedAt time.Time `json:"generated_at"`
}
