package bitfit

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// ListUsers gives every person with an address.
func (s *Source) ListUsers(ctx context.Context, send func(device.User) error) error {
	return s.eachUser(ctx, func(page []user) error {
		for _, u := range page {
			if u.email == "" {
				continue
			}
			if err := send(device.User{Email: u.email, Name: u.fullName()}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Source) eachUser(ctx context.Context, receive func([]user) error) error {
	return eachPage(ctx, s.api, listing{path: "users", op: "list users"}, readUser, func(page []user) (bool, error) {
		return true, receive(page)
	})
}

// ListDevices gives every asset. It reads bitFit's list of assets, which names
// each one's owner; an entry that has no fields is read by its own. Where there
// is no such list, or it does not name owners, it goes through the people and
// gives what each of them has.
//
// An asset or a person that cannot be read costs only itself: the listing goes
// on, and ends with an error that counts them.
func (s *Source) ListDevices(ctx context.Context, send func(device.Device) error) error {
	var people []user
	emails := map[string]string{}
	err := s.eachUser(ctx, func(page []user) error {
		for _, u := range page {
			if u.id != "" && u.email != "" {
				u = user{id: strings.Clone(u.id), email: strings.Clone(u.email)} // not the page that they came with
				emails[u.id] = u.email
				people = append(people, u)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	complete, err := s.listAssets(ctx, emails, send)
	if complete || err != nil {
		return err
	}
	return s.walk(ctx, people, send)
}

// errNoOwners ends the reading of a list of assets that does not name owners.
var errNoOwners = errors.New("the list does not name owners")

// listAssets reads the list of assets. It is not complete, and has sent nothing,
// when the list does not exist or names no owners.
func (s *Source) listAssets(ctx context.Context, emails map[string]string, send func(device.Device) error) (complete bool, err error) {
	var failed failures
	first := true
	l := listing{path: "assets", op: "list assets", absentIsEmpty: true}
	sent := false
	err = eachPage(ctx, s.api, l, readAsset, func(page []asset) (bool, error) {
		if first && !namesOwners(page) {
			return false, errNoOwners
		}
		first = false
		devices, fetchErr := s.complete(ctx, page, emails)
		failed.add(fetchErr)
		for i := range devices {
			sent = true
			if err := send(devices[i]); err != nil {
				return false, err
			}
		}
		return !failed.hopeless(), ctx.Err()
	})
	kind := fault.KindOf(err)
	switch {
	case errors.Is(err, errNoOwners), !sent && (kind == fault.BadResponse || kind == fault.Forbidden):
		return false, nil
	case err != nil:
		return true, err
	}
	return true, failed.err("list assets", "")
}

// namesOwners reports whether any entry says who owns it, even if it is nobody.
func namesOwners(page []asset) bool {
	for i := range page {
		if page[i].user.given || page[i].userID.given {
			return true
		}
	}
	return false
}

// complete maps the entries of a page, reading those that lack their fields.
func (s *Source) complete(ctx context.Context, page []asset, emails map[string]string) ([]device.Device, error) {
	devices := make([]device.Device, 0, len(page))
	var missing []owned
	for i := range page {
		email := ownerOf(&page[i], emails)
		if page[i].fields == nil {
			missing = append(missing, owned{id: page[i].id, email: email})
			continue
		}
		devices = append(devices, mapAsset(&page[i], s.api.photoURL, email))
	}
	fetched, err := s.fetch(ctx, missing, "")
	return append(devices, fetched...), err
}

// ownerOf gives the address of an asset's owner, or "".
func ownerOf(a *asset, emails map[string]string) string {
	for _, o := range [...]*owner{&a.user, &a.userID} {
		if email := emails[o.id]; email != "" {
			return email
		}
		if email := o.email; email != "" {
			return email
		}
	}
	return ""
}

// walk gives what each person has, some people at a time.
func (s *Source) walk(ctx context.Context, people []user, send func(device.Device) error) error {
	var failed failures
	for some := range slices.Chunk(people, s.concurrency) {
		if err := ctx.Err(); err != nil {
			return err
		}
		found := make([][]device.Device, len(some))
		errs := make([]error, len(some))
		sdk.Each(len(some), s.concurrency, func(i int) {
			ids, err := s.assetsOf(ctx, some[i:i+1])
			devices, fetchErr := s.fetch(ctx, ids, some[i].email)
			found[i], errs[i] = devices, errors.Join(err, fetchErr)
		})
		for i, devices := range found {
			failed.add(errs[i])
			for j := range devices {
				if err := send(devices[j]); err != nil {
					return err
				}
			}
		}
		if failed.hopeless() {
			break
		}
	}
	return failed.err("list devices", "")
}
