package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2/google"
	"golang.org/x/sync/errgroup"
)

// lister is the bare client of a whole company: it reads the lists that a run
// reads, page by page and all lists side by side, decodes each record into a
// struct, and keeps nothing.
type lister struct {
	*bare
	google  *http.Client
	customs string // address of Google's APIs
	landesk string // connection string
	search  string // address of the search for notifications
	files   []string
	emails  []string
	day     string // of the newest usage report
	records atomic.Int64
}

func newLister(ctx context.Context, w world) (*lister, error) {
	b, err := newBare(ctx, w)
	if err != nil {
		return nil, err
	}
	l := &lister{bare: b, emails: w.Emails}
	text := func(plugin, key string) string { s, _ := w.Plugins[plugin][key].(string); return s }
	secrets, err := json.Marshal(w.Plugins["google"]["GOOGLE_API_SECRETS"])
	if err != nil {
		return nil, err
	}
	config, err := google.JWTConfigFromJSON(
		secrets,
		"https://www.googleapis.com/auth/admin.directory.device.mobile.readonly", "https://www.googleapis.com/auth/admin.directory.device.chromeos.readonly",
		"https://www.googleapis.com/auth/admin.directory.user.readonly", "https://www.googleapis.com/auth/admin.reports.audit.readonly",
		"https://www.googleapis.com/auth/admin.reports.usage.readonly",
	)
	if err != nil {
		return nil, err
	}
	config.Subject = text("google", "GOOGLE_API_USERNAME")
	l.customs, l.google = text("google", "GOOGLE_API_ENDPOINT"), b.http
	token, err := config.TokenSource(ctx).Token()
	if err != nil {
		return nil, err
	}
	l.google = &http.Client{Timeout: time.Minute, Transport: bearing{b.http.Transport, "Bearer " + token.AccessToken}}
	q := url.Values{
		"database": {text("landesk", "LANDESK_SQL_DATABASE")}, "encrypt": {"true"}, "certificate": {text("landesk", "CA_FILE")},
		"app name": {"bench"},
	}
	port, _ := w.Plugins["landesk"]["LANDESK_SQL_HOSTPORT"].(float64)
	l.landesk = (&url.URL{
		Scheme: "sqlserver", User: url.UserPassword(text("landesk", "LANDESK_SQL_USERNAME"), text("landesk", "LANDESK_SQL_PASSWORD")),
		Host: text("landesk", "LANDESK_SQL_HOSTNAME") + ":" + strconv.Itoa(int(port)), RawQuery: q.Encode(),
	}).String()
	hosts, _ := w.Plugins["es_notifications"]["ELASTICSEARCH_HOSTS"].([]any)
	if len(hosts) > 0 {
		l.search = fmt.Sprint(hosts[0], "/", text("es_notifications", "ELASTICSEARCH_INDEX"), "/_search")
	}
	files, _ := w.Plugins["file"]["DEVICES_FILES"].([]any)
	for _, f := range files {
		l.files = append(l.files, fmt.Sprint(f))
	}
	return l, nil
}

// bearing adds a token to requests.
type bearing struct {
	next   http.RoundTripper
	header string
}

// RoundTrip implements [http.RoundTripper].
func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", b.header)
	return b.next.RoundTrip(r)
}

// lists reads every list once.
func (l *lister) lists(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, list := range []func(context.Context) error{
		l.jamfUsers, l.jamfComputers, l.bitfitUsers, l.bitfitAssets, l.googleUsers, l.googleDevices, l.landeskUsers, l.landeskComputers, l.linux,
	} {
		group.Go(func() error { return list(ctx) })
	}
	return group.Wait()
}

const jamfPage = 100

// inventory reads the pages of Jamf's inventory, four at once as the source does.
func inventory[T any](ctx context.Context, l *lister, sections []string) error {
	read := func(ctx context.Context, page int) (int, error) {
		q := url.Values{"page": {strconv.Itoa(page)}, "page-size": {strconv.Itoa(jamfPage)}, "sort": {"id:asc"}, "section": sections}
		var answer struct {
			Total   int `json:"totalCount"`
			Results []T `json:"results"`
		}
		err := l.get(ctx, l.http, l.jamf+"/api/v4/computers-inventory?"+q.Encode(), l.bearer, &answer)
		l.records.Add(int64(len(answer.Results)))
		return answer.Total, err
	}
	total, err := read(ctx, 0)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for page := 1; page*jamfPage < total; page++ {
		group.Go(func() error { _, err := read(ctx, page); return err })
	}
	return group.Wait()
}

func (l *lister) jamfUsers(ctx context.Context) error {
	return inventory[listedOwner](ctx, l, []string{"GENERAL", "USER_AND_LOCATION"})
}

func (l *lister) jamfComputers(ctx context.Context) error {
	return inventory[listedComputer](ctx, l, []string{
		"GENERAL", "HARDWARE", "OPERATING_SYSTEM", "USER_AND_LOCATION", "PURCHASING", "STORAGE", "APPLICATIONS", "SERVICES",
		"SOFTWARE_UPDATES", "EXTENSION_ATTRIBUTES",
	})
}

func bitfitList[T any](ctx context.Context, l *lister, path string) error {
	for page, pages := 1, 1; page <= pages; page++ {
		var answer struct {
			Items []T `json:"items"`
			Pages int `json:"pages"`
		}
		q := url.Values{"api_token": {l.token}, "page": {strconv.Itoa(page)}}
		if err := l.get(ctx, l.http, l.bitfit+path+"?"+q.Encode(), "", &answer); err != nil {
			return err
		}
		l.records.Add(int64(len(answer.Items)))
		pages = answer.Pages
	}
	return nil
}

func (l *lister) bitfitUsers(ctx context.Context) error {
	return bitfitList[listedUser](ctx, l, "users")
}

func (l *lister) bitfitAssets(ctx context.Context) error {
	return bitfitList[listedAsset](ctx, l, "assets")
}

func googleList[T any](ctx context.Context, l *lister, path, member string, q url.Values) error {
	for {
		answer := map[string]json.RawMessage{}
		if err := l.get(ctx, l.google, l.customs+"/admin/directory/v1/"+path+"?"+q.Encode(), "", &answer); err != nil {
			return err
		}
		var entries []T
		if raw := answer[member]; raw != nil {
			if err := json.Unmarshal(raw, &entries); err != nil {
				return err
			}
		}
		l.records.Add(int64(len(entries)))
		var next string
		if raw := answer["nextPageToken"]; raw != nil {
			if err := json.Unmarshal(raw, &next); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		q.Set("pageToken", next)
	}
}

func (l *lister) googleUsers(ctx context.Context) error {
	return googleList[listedAccount](ctx, l, "users", "users", url.Values{"customer": {"my_customer"}, "maxResults": {"500"}, "orderBy": {"email"}})
}

func (l *lister) googleDevices(ctx context.Context) error {
	err := googleList[listedPhone](ctx, l, "customer/my_customer/devices/mobile", "mobiledevices", url.Values{"projection": {"FULL"}, "maxResults": {"100"}})
	if err != nil {
		return err
	}
	return googleList[listedBook](ctx, l, "customer/my_customer/devices/chromeos", "chromeosdevices", url.Values{"projection": {"FULL"}, "maxResults": {"300"}})
}

// linux reads the files of the company's Linux computers.
func (l *lister) linux(ctx context.Context) error {
	for _, name := range l.files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() && ctx.Err() == nil {
			var c listedLinux
			if err = errors.Join(err, json.Unmarshal(lines.Bytes(), &c)); err != nil {
				break
			}
			l.records.Add(1)
		}
		if err := errors.Join(err, lines.Err(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// asked is of how many people at most the bare client asks, evenly spread.
const asked = 5_000

// questions asks about people what no list says, as many people at once as a run
// has in hand: log-ins and accounts at Google, notifications at the search
// server. What other sources know is in files of their own. It tells how many
// people it asked about.
func (l *lister) questions(ctx context.Context, atOnce int) (n int, err error) {
	if err := l.findDay(ctx); err != nil {
		return 0, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	every := max(1, len(l.emails)/asked)
	for i := 0; i < len(l.emails); i += every {
		n++
		group.Go(func() error { return l.question(ctx, l.emails[i]) })
	}
	return n, group.Wait()
}

func (l *lister) question(ctx context.Context, email string) error {
	var side errgroup.Group
	side.Go(func() error {
		return l.get(ctx, l.google, l.customs+"/admin/reports/v1/activity/users/"+url.PathEscape(email)+"/applications/login?maxResults=500", "", new(activities))
	})
	side.Go(func() error { return l.get(ctx, l.google, l.usage(email, l.day), "", new(usageReports)) })
	return errors.Join(l.notifications(ctx, email), side.Wait())
}

func (l *lister) usage(email, day string) string {
	return l.customs + "/admin/reports/v1/usage/users/" + url.PathEscape(email) + "/dates/" + day
}

// findDay finds the newest day that has usage reports.
func (l *lister) findDay(ctx context.Context) (err error) {
	for day := range 8 {
		l.day = time.Now().UTC().AddDate(0, 0, -day).Format(time.DateOnly)
		if err = l.get(ctx, l.google, l.usage(l.emails[0], l.day), "", new(usageReports)); err == nil {
			return nil
		}
	}
	return err
}

func (l *lister) notifications(ctx context.Context, email string) error {
	body, err := json.Marshal(map[string]any{
		"query": map[string]any{"match": map[string]any{"email": map[string]any{"query": email, "operator": "and"}}}, "size": 100,
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.search, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	_, err = l.do(req, new(hits))
	return err
}

// get asks with a client and decodes; an answer that is not 200 is an error.
func (l *lister) get(ctx context.Context, client *http.Client, address, authorization string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	found, err := (&bare{http: client}).do(req, out)
	if err == nil && !found {
		err = fmt.Errorf("%s was not found", req.URL.Path)
	}
	return err
}
