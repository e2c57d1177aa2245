package google

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// Entries of one page at most, as the reference pages of mobiledevices.list,
// chromeosdevices.list and users.list allow.
const (
	mobilePage = "100"
	chromePage = "300"
	usersPage  = "500"
)

// listing is one of the two lists of devices that Google keeps.
type listing struct {
	api    api
	folder string // the last part of its path
	name   string // of the list in an answer
	key    string // the field that tells entries apart
	page   string // entries of one page at most
	mapped func(object) device.Device
}

func mobileListing() listing {
	return listing{mobileAPI(), "mobile", "mobiledevices", "resourceId", mobilePage, mobileDevice}
}

func chromeListing() listing {
	return listing{chromeAPI(), "chromeos", "chromeosdevices", "deviceId", chromePage, chromeDevice}
}

// DevicesByEmail gives a person's mobile devices, and the ChromeOS devices that
// the person used last. When Google refuses one of the two, the other's devices
// are given beside the error.
func (s *Source) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	email = strings.TrimSpace(email)
	if err := checkAddress(email); err != nil {
		return nil, err
	}
	mobile := lookUp{listing: mobileListing(), query: search("email", email), keep: func(o object, d *device.Device) bool {
		return ownedBy(email, o, d)
	}}
	chrome := lookUp{listing: chromeListing(), query: search("recent_user", email), keep: func(_ object, d *device.Device) bool {
		return strings.EqualFold(d.Email, email)
	}}
	return s.devices(ctx, "get devices by e-mail", email, mobile, chrome)
}

// ownedBy sets the owner of a mobile device that Google found for an address.
// Google may know the owner by more addresses than it lists, so its word is
// taken, unless the address could have read as a pattern.
func ownedBy(email string, o object, d *device.Device) bool {
	owners := textsOf(o["email"])
	i := slices.IndexFunc(owners, func(owner string) bool { return strings.EqualFold(owner, email) })
	switch {
	case i >= 0:
		d.Email = owners[i]
	case len(owners) == 0:
		d.Email = email
	}
	return i >= 0 || !needsQuotes(email)
}

// DevicesBySerial gives the devices with a serial number, compared without case.
// Google's pages "Search for devices" and "List query operators" document the
// operators, which match parts too.
func (s *Source) DevicesBySerial(ctx context.Context, serial string) ([]device.Device, error) {
	serial = strings.TrimSpace(serial)
	if serial == "" || device.IsPlaceholder(serial) {
		return nil, nil
	}
	keep := func(_ object, d *device.Device) bool { return strings.EqualFold(d.Serial, serial) }
	return s.devices(ctx, "get devices by serial", serial,
		lookUp{listing: mobileListing(), query: search("serial", serial), keep: keep},
		lookUp{listing: chromeListing(), query: search("id", serial), keep: keep})
}

// ListDevices gives every mobile device with its first owner, then every
// ChromeOS device with its most recent user.
func (s *Source) ListDevices(ctx context.Context, send func(device.Device) error) error {
	const op = "list devices"
	var (
		failures []error
		sendErr  error
	)
	for _, l := range []listing{mobileListing(), chromeListing()} {
		if !s.allowed(l.api) {
			continue
		}
		err := s.each(ctx, l, s.request(l, op, "", ""), func(_ object, d device.Device) error {
			sendErr = send(d)
			return sendErr
		})
		if sendErr != nil {
			return sendErr
		}
		failures = append(failures, err)
	}
	if len(failures) == 0 {
		return notAllowed(op, "", mobileAPI(), chromeAPI())
	}
	return together(op, "", failures...)
}

// lookUp is a question to one of the lists.
type lookUp struct {
	listing listing
	query   string
	// keep says whether an entry is one that was asked for; it may complete it.
	keep func(object, *device.Device) bool
}

// devices puts questions side by side and gives the devices of all, in the order
// of the questions. Lists that no configured scope allows are left out.
func (s *Source) devices(ctx context.Context, op, subject string, questions ...lookUp) ([]device.Device, error) {
	asked := slices.DeleteFunc(slices.Clone(questions), func(q lookUp) bool { return !s.allowed(q.listing.api) })
	if len(asked) == 0 {
		return nil, notAllowed(op, subject, mobileAPI(), chromeAPI())
	}
	var group errgroup.Group
	group.SetLimit(s.limit)
	found, failures := make([][]device.Device, len(asked)), make([]error, len(asked))
	for i, q := range asked {
		group.Go(func() error {
			found[i], failures[i] = s.gather(ctx, q, s.request(q.listing, op, subject, q.query))
			return nil // so that neither stops the other
		})
	}
	_ = group.Wait()
	return slices.Concat(found...), together(op, subject, failures...)
}

func (s *Source) request(l listing, op, subject, query string) request {
	q := url.Values{"projection": {"FULL"}, "maxResults": {l.page}}
	if query != "" {
		q.Set("query", query)
	}
	path := "/admin/directory/v1/customer/" + url.PathEscape(s.customer) + "/devices/" + l.folder
	return request{api: l.api, op: op, subject: subject, path: path, query: q}
}

// gather collects the devices of all pages, each once.
func (s *Source) gather(ctx context.Context, q lookUp, r request) ([]device.Device, error) {
	var out []device.Device
	seen := map[string]bool{}
	err := s.each(ctx, q.listing, r, func(o object, d device.Device) error {
		id, _ := textOf(o[q.listing.key])
		if id != "" && seen[id] {
			return nil
		}
		seen[id] = true
		if q.keep(o, &d) {
			out = append(out, d)
		}
		return nil
	})
	return out, err
}

// each maps the entries of all pages one by one.
func (s *Source) each(ctx context.Context, l listing, r request, visit func(object, device.Device) error) error {
	return s.pages(ctx, r, l.name, func(raw json.RawMessage) error {
		o, ok := decodeObject(raw)
		if !ok {
			s.log.WarnContext(ctx, "skipped an entry that is not an object", "op", r.op, "api", r.api.name)
			return nil
		}
		d := l.mapped(o)
		if s.debug {
			d.Raw = slices.Clone(raw)
		}
		return visit(o, d)
	})
}

// together makes one error of several, any of which may be nil. What they say
// alike, such as a refused token, is told once.
func together(op, subject string, failures ...error) error {
	var told []error
	for _, err := range failures {
		if err != nil && !slices.ContainsFunc(told, func(t error) bool { return t.Error() == err.Error() }) {
			told = append(told, err)
		}
	}
	switch len(told) {
	case 0:
		return nil
	case 1:
		return told[0]
	}
	e := &fault.Error{Kind: fault.KindOf(told[0]), Source: Name, Op: op, Subject: subject, Err: errors.Join(told...)}
	var remedies []string
	for _, err := range told {
		e.RetryAfter = max(e.RetryAfter, fault.RetryAfterOf(err))
		if remedy := fault.RemedyOf(err); remedy != "" && !slices.Contains(remedies, remedy) {
			remedies = append(remedies, remedy)
		}
	}
	e.Remedy = strings.Join(remedies, "; ")
	return e
}

// search writes a clause of Google's search language.
func search(field, value string) string {
	if !needsQuotes(value) {
		return field + ":" + value
	}
	return field + `:"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// needsQuotes reports whether a value has characters with a meaning in Google's
// search language, such as blanks, colons and asterisks.
func needsQuotes(value string) bool {
	return strings.ContainsFunc(value, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r >= 0x80:
			return false
		default:
			return !strings.ContainsRune("@._+'-", r)
		}
	}) || strings.HasPrefix(value, "-")
}
