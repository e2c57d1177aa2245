package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
)

// batchRuns lists the routes about runs over everybody.
func (a *API) batchRuns() []route {
	return []route{
		{"GET /api/v1/batch/runs", auth.ViewAdministration, false, a.listRuns},
		{"GET /api/v1/batch/runs/{run}", auth.ViewAdministration, false, a.showRun},
	}
}

// How many runs one answer lists: when nothing is said, and at most.
const (
	usualRuns = 50
	mostRuns  = 500
)

// runs gives the record of runs.
func (a *API) runs() (batch.Viewer, error) {
	if r := a.host.Runs(); r != nil {
		return r, nil
	}
	return nil, &fault.Error{
		Kind: fault.Unavailable, Message: "there is no store, so no runs are kept", Remedy: "set store.dsn, and see the log for why the store is not open",
	}
}

func (a *API) listRuns(w http.ResponseWriter, r *http.Request, _ subject) error {
	runs, err := a.runs()
	if err != nil {
		return err
	}
	before, limit, err := runsPage(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := batch.List(r.Context(), runs, before, limit)
	if err != nil {
		return err
	}
	return reply(w, map[string][]batch.Detail{"runs": append([]batch.Detail{}, list...)})
}

// runsPage reads which runs a request is for: so many of those before one.
func runsPage(q url.Values) (before string, limit int, err error) {
	limit = usualRuns
	if values, given := q["limit"]; given {
		if limit, err = strconv.Atoi(values[0]); err != nil || limit < 1 || limit > mostRuns {
			return "", 0, fault.InvalidField("limit", clip(values[0]), "must be a number from 1 to "+strconv.Itoa(mostRuns),
				"ask for further runs with before, the id of the last one that you have")
		}
	}
	if before = q.Get("before"); q.Has("before") && !batch.ValidID(before) {
		return "", 0, fault.InvalidField("before", clip(before), "is no run's id", "write an id as the list of runs has it, such as 20260301T020000.000-1f2e3d4c")
	}
	return before, limit, nil
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
