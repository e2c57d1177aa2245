package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
)

// administration lists the routes of the record of failures. Those without /api
// have the paths and the answers of StackRox.
func (a *API) administration() []route {
	return []route{
		{"GET /v1/administration/events", auth.ViewAdministration, false, a.adminEvents},
		{"GET /v1/administration/events/{id}", auth.ViewAdministration, false, a.adminEvent},
		{"GET /v1/count/administration/events", auth.ViewAdministration, false, a.countAdminEvents},
		{"GET /api/v1/administration/events", auth.ViewAdministration, false, a.adminEvents},
		{"GET /api/v1/administration/events/{id}", auth.ViewAdministration, false, a.adminEvent},
		{"GET /api/v1/count/administration/events", auth.ViewAdministration, false, a.countAdminEvents},
		{"GET /api/v1/administration/events/summary", auth.ViewAdministration, false, a.summarizeAdminEvents},
		{"GET /api/v1/config/administration-events", auth.ViewAdministration, false, a.adminEventsConfig},
		{"PUT /api/v1/config/administration-events", auth.ChangeAdministration, false, a.changeAdminEventsConfig},
	}
}

// recorder gives the record of failures.
func (a *API) recorder() (*adminevent.Recorder, error) {
	if r := a.host.AdminEvents(); r != nil {
		return r, nil
	}
	return nil, &fault.Error{
		Kind: fault.Unavailable, Message: "there is no store, so no administration events are kept", Remedy: "set store.dsn, and see the log for why the store is not open",
	}
}

func (a *API) adminEvents(w http.ResponseWriter, r *http.Request, _ subject) error {
	recorder, err := a.recorder()
	if err != nil {
		return err
	}
	q, err := adminevent.ParseQuery(r.URL.Query())
	if err != nil {
		return err
	}
	events, err := recorder.List(r.Context(), q)
	if err != nil {
		return err
	}
	return reply(w, map[string][]adminevent.Event{"events": events})
}

func (a *API) adminEvent(w http.ResponseWriter, r *http.Request, _ subject) error {
	recorder, err := a.recorder()
	if err != nil {
		return err
	}
	e, err := recorder.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return reply(w, map[string]adminevent.Event{"event": e})
}

func (a *API) countAdminEvents(w http.ResponseWriter, r *http.Request, _ subject) error {
	recorder, err := a.recorder()
	if err != nil {
		return err
	}
	q, err := adminevent.ParseQuery(r.URL.Query())
	if err != nil {
		return err
	}
	n, err := recorder.Count(r.Context(), q.Filter)
	if err != nil {
		return err
	}
	return reply(w, map[string]int64{"count": n})
}

func (a *API) summarizeAdminEvents(w http.ResponseWriter, r *http.Request, _ subject) error {
	recorder, err := a.recorder()
	if err != nil {
		return err
	}
	values := r.URL.Query()
	by := adminevent.ParseFields(values["by"])
	values.Del("by")
	q, err := adminevent.ParseQuery(values)
	if err != nil {
		return err
	}
	groups, err := recorder.Summary(r.Context(), q.Filter, by)
	if err != nil {
		return err
	}
	return reply(w, map[string][]adminevent.Group{"groups": groups})
}

// adminEventsConfig is what can be changed about administration events while
// Posture runs.
type adminEventsConfig struct {
	RetentionDurationDays *int64 `json:"retentionDurationDays"`
}

func (a *API) adminEventsConfig(w http.ResponseWriter, r *http.Request, _ subject) error {
	recorder, err := a.recorder()
	if err != nil {
		return err
	}
	days, err := recorder.Retention(r.Context())
	if err != nil {
		return err
	}
	shown := int64(days)
	return reply(w, adminEventsConfig{&shown})
}

func (a *API) changeAdminEventsConfig(w http.ResponseWriter, r *http.Request, s subject) error {
	recorder, err := a.recorder()
	if err != nil {
		return err
	}
	var in adminEventsConfig
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return fault.InvalidField("body", "", "not the expected JSON object: "+unreadable(err), `send {"retentionDurationDays": 4}`)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.InvalidField("body", "", "something follows the object", `send {"retentionDurationDays": 4}`)
	}
	if in.RetentionDurationDays == nil {
		return fault.InvalidField("retentionDurationDays", "", "is missing", `send {"retentionDurationDays": 4}`)
	}
	if err := adminevent.CheckRetention(*in.RetentionDurationDays); err != nil {
		return &unprocessable{err}
	}
	if err := recorder.SetRetention(r.Context(), int(*in.RetentionDurationDays)); err != nil {
		return err
	}
	return a.adminEventsConfig(w, r, s)
}
