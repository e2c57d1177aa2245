package api

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/postureproject/posture/fault"
)

// errorBody is the shape of every error.
type errorBody struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Field   string `json:"field,omitempty"`
		Remedy  string `json:"remedy,omitempty"`
	} `json:"error"`
}

// statusOf translates a failure to an HTTP status: the one place that does.
func statusOf(k fault.Kind) int {
	switch k {
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Conflict:
		return http.StatusConflict
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.RateLimited, fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Timeout:
		return http.StatusGatewayTimeout
	case fault.BadResponse:
		return http.StatusBadGateway
	default:
		return http.StatusInternalServerError
	}
}

// fail answers with an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	kind := fault.KindOf(err)
	var body errorBody
	body.Error.Code, body.Error.Message, body.Error.Remedy = kind.String(), err.Error(), fault.RemedyOf(err)
	var e *fault.Error
	if errors.As(err, &e) && len(e.Fields) > 0 {
		body.Error.Field = e.Fields[0].Name
		if body.Error.Remedy == "" {
			body.Error.Remedy = e.Fields[0].Remedy
		}
	}
	if kind == fault.Internal {
		a.logger.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err.Error())
		body.Error.Message, body.Error.Remedy = "something went wrong on our side", "tell an administrator; the log has the cause"
	}
	a.write(w, statusOf(kind), fault.RetryAfterOf(err).Seconds(), body)
}

func (a *API) write(w http.ResponseWriter, status int, retryAfter float64, body errorBody) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="posture"`)
	}
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retryAfter))))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
