package api

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

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

// unprocessable is a request that is well formed and asks for what cannot be.
type unprocessable struct{ error }

func (u *unprocessable) Unwrap() error { return u.error }

// peerPrefix begins the paths that StackRox has too; their errors have its shape.
const peerPrefix = "/v1/"

// peerStatus is an error as google.rpc.Status says it.
type peerStatus struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Details []any  `json:"details"`
}

// peerError gives an error with its number among the codes of gRPC.
func peerError(k fault.Kind, message string) peerStatus {
	s := peerStatus{Code: 13, Message: message, Details: []any{}} // INTERNAL
	switch k {
	case fault.Invalid:
		s.Code = 3 // INVALID_ARGUMENT
	case fault.Timeout:
		s.Code = 4 // DEADLINE_EXCEEDED
	case fault.NotFound:
		s.Code = 5
	case fault.Forbidden:
		s.Code = 7 // PERMISSION_DENIED
	case fault.RateLimited:
		s.Code = 8 // RESOURCE_EXHAUSTED
	case fault.Conflict:
		s.Code = 10 // ABORTED
	case fault.Unavailable:
		s.Code = 14
	case fault.Unauthenticated:
		s.Code = 16
	}
	return s
}

// fail answers with an error, in the shape that clients of the path expect.
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
	status := statusOf(kind)
	if refused := (*unprocessable)(nil); errors.As(err, &refused) {
		status = http.StatusUnprocessableEntity
	}
	if strings.HasPrefix(r.URL.Path, peerPrefix) {
		a.writeJSON(w, status, fault.RetryAfterOf(err).Seconds(), peerError(kind, body.Error.Message))
		return
	}
	a.writeJSON(w, status, fault.RetryAfterOf(err).Seconds(), body)
}

func (a *API) writeJSON(w http.ResponseWriter, status int, retryAfter float64, body any) {
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
