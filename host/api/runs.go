package api

import (
	"net/http"
	"strconv"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
)

// Runs are what the API tells of the runs over everybody.
type Runs = batch.Viewer

// nightly lists the routes about runs over everybody.
func (a *API) nightly() []route {
	return []route{
		{"GET /api/v1/batch/runs", auth.ViewAdministration, false, a.listRuns},
		{"GET /api/v1/batch/runs/{run}", auth.ViewAdministration, false, a.showRun},
	}
}

const (
	usualRuns = 50
	mostRuns  = 500
)

func (a *API) runs() (Runs, error) {
	if r := a.host.Runs(); r != nil {
		return r, nil
	}
	return nil, fault.New(fault.Unavailable, "there is no store, so no runs are kept")
}

func (a *API) listRuns(w http.ResponseWriter, r *http.Request, _ subject) error {
	runs, err := a.runs()
	if err != nil {
		return err
	}
	limit := usualRuns
	if text := r.URL.Query().Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > mostRuns {
			return fault.InvalidField("limit", clip(text), "must be from 1 to "+strconv.Itoa(mostRuns), "ask for further runs with before=ID of the last one")
		}
	}
	list, err := batch.List(r.Context(), runs, r.URL.Query().Get("before"), limit)
	if err != nil {
		return err
	}
	return reply(w, map[string][]batch.Detail{"runs": append([]batch.Detail{}, list...)})
}

func (a *API) showRun(w http.ResponseWriter, r *http.Request, _ subject) error {
	runs, err := a.runs()
	if err != nil {
		return err
	}
	run, err := batch.Show(r.Context(), runs, r.PathValue("run"))
	if err != nil {
		return err
	}
	return reply(w, run)
}
