package adminevent

import "github.com/postureproject/posture/fault"

// The codes: why something failed, for programs and for filters.
const (
	CodeSourceUnreachable = "source-unreachable"
	CodeSourceTimeout     = "source-timeout"
	CodeSourceAuthFailed  = "source-auth-failed"
	CodeSourceRateLimited = "source-rate-limited"
	CodeSourceBadResponse = "source-bad-response"
	CodeSubjectNotFound   = "subject-not-found"
	CodeSubjectAmbiguous  = "subject-ambiguous"
	CodeInternalError     = "internal-error"
	CodeRunIncomplete     = "run-incomplete"
)

// classify gives the code and the level of a kind of failure. An invalid request
// makes no event: it is its sender's to mend.
func classify(k fault.Kind) (code string, level Level, recorded bool) {
	switch k {
	case fault.Invalid:
		return "", LevelUnknown, false
	case fault.Unavailable:
		return CodeSourceUnreachable, LevelError, true
	case fault.Timeout:
		return CodeSourceTimeout, LevelError, true
	case fault.Unauthenticated, fault.Forbidden:
		return CodeSourceAuthFailed, LevelError, true
	case fault.RateLimited:
		return CodeSourceRateLimited, LevelWarning, true
	case fault.BadResponse:
		return CodeSourceBadResponse, LevelError, true
	case fault.NotFound:
		return CodeSubjectNotFound, LevelWarning, true
	case fault.Conflict:
		return CodeSubjectAmbiguous, LevelWarning, true
	default:
		return CodeInternalError, LevelError, true
	}
}
