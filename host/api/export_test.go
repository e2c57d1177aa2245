package api

import "github.com/postureproject/posture/host/auth"

// Line is one line of the route table, for tests that hold others to it.
type Line struct {
	Pattern string
	Action  auth.Action
}

// Table gives the routes.
func (a *API) Table() []Line {
	var table []Line
	for _, r := range a.routes() {
		table = append(table, Line{r.pattern, r.action})
	}
	return table
}
