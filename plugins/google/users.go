package google

import (
	"context"
	"encoding/json"
	"net/url"

	directory "google.golang.org/api/admin/directory/v1"

	"github.com/postureproject/posture/device"
)

const usersPath = "/admin/directory/v1/users"

// ListUsers gives every user who can log in: suspended and archived ones are
// left out.
func (s *Source) ListUsers(ctx context.Context, send func(device.User) error) error {
	r := request{
		api: usersAPI(), op: "list users", path: usersPath,
		query: url.Values{
			"customer": {s.customer}, "maxResults": {usersPage}, "orderBy": {"email"}, "projection": {"basic"},
			"fields": {"nextPageToken,users(primaryEmail,name/fullName,suspended,archived)"},
		},
	}
	return s.pages(ctx, r, "users", func(raw json.RawMessage) error {
		var u directory.User
		if err := json.Unmarshal(raw, &u); err != nil || u.PrimaryEmail == "" {
			s.log.WarnContext(ctx, "skipped a user without a readable address", "op", r.op)
			return nil //nolint:nilerr // one odd user costs only itself
		}
		if u.Suspended || u.Archived {
			return nil
		}
		person := device.User{Email: u.PrimaryEmail}
		if u.Name != nil {
			person.Name = u.Name.FullName
		}
		return send(person)
	})
}
