package google

import (
	"slices"
	"strings"

	directory "google.golang.org/api/admin/directory/v1"
	reports "google.golang.org/api/admin/reports/v1"

	"github.com/postureproject/posture/fault"
)

// api is one part of the Admin SDK: what it is called here, and which scopes
// allow it, the narrowest first. Any one of them suffices.
type api struct {
	name   string
	scopes []string
}

func mobileAPI() api {
	return api{"mobile devices", []string{
		directory.AdminDirectoryDeviceMobileReadonlyScope, directory.AdminDirectoryDeviceMobileScope, directory.AdminDirectoryDeviceMobileActionScope,
	}}
}

func chromeAPI() api {
	return api{"ChromeOS devices", []string{directory.AdminDirectoryDeviceChromeosReadonlyScope, directory.AdminDirectoryDeviceChromeosScope}}
}

func usersAPI() api {
	return api{"users", []string{directory.AdminDirectoryUserReadonlyScope, directory.AdminDirectoryUserScope}}
}

func activityAPI() api {
	return api{"log-in events", []string{reports.AdminReportsAuditReadonlyScope}}
}

func usageAPI() api {
	return api{"usage reports", []string{reports.AdminReportsUsageReadonlyScope}}
}

// allowed reports whether the configured scopes allow an API.
func (s *Source) allowed(a api) bool {
	return slices.ContainsFunc(a.scopes, func(scope string) bool { return slices.Contains(s.scopes, scope) })
}

// notAllowed is the failure of a look-up that no configured scope allows.
func notAllowed(op, subject string, apis ...api) error {
	var names, scopes []string
	for _, a := range apis {
		names, scopes = append(names, a.name), append(scopes, a.scopes[0])
	}
	return &fault.Error{
		Kind: fault.Forbidden, Source: Name, Op: op, Subject: subject,
		Message: "no scope in GOOGLE_API_SCOPES allows to read " + strings.Join(names, " or "),
		Remedy:  "add to GOOGLE_API_SCOPES, and authorise under domain-wide delegation: " + strings.Join(scopes, " or "),
	}
}
