package duo

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// store keeps the events of one Duo account, and how far its log was read, in the
// journal that the host gives. Several processes on several machines may share
// it: events are kept once by their id, and whoever sets the progress must have
// seen what it was.
type store struct {
	journal sdk.Journal
	log     string
	limit   time.Duration // for one call

	mu      sync.Mutex
	domains map[string]bool // those that are known to be kept
}

// newStore makes the store of an account, which its host names: another host is
// another log.
func newStore(j sdk.Journal, a address, limit time.Duration) *store {
	return &store{journal: j, log: a.host, limit: limit, domains: map[string]bool{}}
}

// domainLog is the log that has the mail domains of the events. An event's keys
// could say as much, but there are few domains and many events.
func (s *store) domainLog() string { return s.log + "/domains" }

// The keys. An event is found by the address or the name that Duo knows the
// person by; a name without an address beside it may also be a part of one.
const (
	keyIs      = "is:"
	keyBare    = "bare:"
	keyDomain  = "domain:"
	keyDomains = "domain" // of every domain
)

// maxWho bounds addresses and names, in bytes, that events are found by. No mail
// address is longer.
const maxWho = 320

// findable reports whether an address or a name can be looked for.
func findable(who string) bool {
	return who != "" && len(who) <= maxWho && !strings.ContainsRune(who, 0)
}

// identity is how Duo may know one person. All are normalised.
type identity struct {
	email string
	local string // the part before the @, when a bare user name may be meant; else ""
}

func (s *store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.limit)
}

// What one append may have. The journal allows more.
const (
	appendRecords = 1000
	appendBytes   = 4 << 20
)

// errMoved says that another process has set the progress since it was read.
var errMoved = errors.New("another process reads the log")

// save stores entries and then how far the log is read with them, and gives the
// progress a new version. It fails with errMoved when another process has set the
// progress meanwhile. Entries may then be stored all the same, which does no harm:
// they belong there.
func (s *store) save(ctx context.Context, entries []entry, p *progress) (added int, err error) {
	document, err := p.encode()
	if err != nil {
		return 0, err
	}
	if err := s.saveDomains(ctx, entries); err != nil {
		return 0, err
	}
	var batch []sdk.JournalRecord
	size := 0
	for i := range entries {
		r, err := entries[i].record()
		if err != nil {
			return added, err
		}
		if len(batch) == appendRecords || size+r.Size() > appendBytes && len(batch) > 0 {
			done, err := s.append(ctx, s.log, sdk.JournalBatch{Records: batch})
			if added += done.Added; err != nil {
				return added, err
			}
			batch, size = nil, 0
		}
		batch, size = append(batch, r), size+r.Size()
	}
	done, err := s.append(ctx, s.log, sdk.JournalBatch{Records: batch, Progress: &sdk.JournalProgress{Document: document, Version: p.version}})
	switch {
	case err == nil:
		p.version = done.Version
	case fault.KindOf(err) == fault.Conflict:
		return added, errMoved
	}
	return added + done.Added, err
}

func (s *store) append(ctx context.Context, log string, b sdk.JournalBatch) (sdk.JournalAppended, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return s.journal.Append(ctx, log, b)
}

// saveDomains stores the mail domains of entries, each once.
func (s *store) saveDomains(ctx context.Context, entries []entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := map[string]bool{}
	var records []sdk.JournalRecord
	for i := range entries {
		for _, who := range []string{entries[i].email, entries[i].name} {
			_, domain, ok := strings.Cut(who, "@")
			if !ok || !findable(who) || !findable(domain) || len(domain) > maxDomain || s.domains[domain] || fresh[domain] || len(records) == appendRecords {
				continue
			}
			fresh[domain] = true
			records = append(records, sdk.JournalRecord{ID: domain, At: entries[i].at, Keys: []string{keyDomains, keyDomain + domain}})
		}
	}
	if len(records) == 0 {
		return nil
	}
	if _, err := s.append(ctx, s.domainLog(), sdk.JournalBatch{Records: records}); err != nil {
		return err
	}
	for domain := range fresh {
		s.domains[domain] = true
	}
	return nil
}

// maxDomain is the longest name that the Domain Name System has, in bytes.
const maxDomain = 253

// record is the entry as the journal keeps it. Raw data that would make it too
// large are left out.
func (e *entry) record() (sdk.JournalRecord, error) {
	const enough = 128 << 10
	event := e.event
	if len(e.raw) <= enough {
		event.Raw = e.raw
	}
	body, err := json.Marshal(event)
	r := sdk.JournalRecord{ID: e.id, At: e.at, Body: body}
	add := func(key, who string) {
		if findable(who) {
			r.Keys = append(r.Keys, key+who)
		}
	}
	add(keyIs, e.email)
	if e.name != e.email {
		add(keyIs, e.name)
	}
	if e.email == "" {
		add(keyBare, e.name)
	}
	return r, err
}

// progress tells how far the log was read.
func (s *store) progress(ctx context.Context) (progress, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	kept, err := s.journal.Progress(ctx, s.log)
	if err != nil {
		return progress{}, err
	}
	return decodeProgress(kept)
}

// newest gives the time of the newest event up to a time; zero when there is
// none.
func (s *store) newest(ctx context.Context, upTo time.Time) (time.Time, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return s.journal.Newest(ctx, s.log, upTo)
}

// knowsDomain tells whether a domain may take the log's bare user names for its
// people's: it appears in the log, or none does.
func (s *store) knowsDomain(ctx context.Context, domain string) (bool, error) {
	if !findable(domain) {
		return false, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	known, err := s.journal.Has(ctx, s.domainLog(), keyDomain+domain)
	if err != nil || known {
		return known, err
	}
	some, err := s.journal.Has(ctx, s.domainLog(), keyDomains)
	return err == nil && !some, err
}

// events gives a person's events, newest first. A bare user name counts only
// where the event has no address, which would decide by itself.
func (s *store) events(ctx context.Context, who identity, limit int) ([]device.Event, error) {
	q := sdk.JournalQuery{Limit: limit}
	if findable(who.email) {
		q.Keys = append(q.Keys, keyIs+who.email)
	}
	if findable(who.local) {
		q.Keys = append(q.Keys, keyBare+who.local)
	}
	if len(q.Keys) == 0 {
		return nil, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var events []device.Event
	for {
		page, err := s.journal.Find(ctx, s.log, q)
		if err != nil {
			return events, err
		}
		for _, r := range page.Records {
			var e device.Event
			if err := json.Unmarshal(r.Body, &e); err != nil {
				return events, &fault.Error{Kind: fault.Internal, Source: Name, Op: "read journal", Subject: r.ID, Message: "a kept event is damaged", Err: err}
			}
			events = append(events, e)
		}
		q.After, q.Limit = page.Next, limit-len(events)
		if q.After == "" || q.Limit == 0 {
			return events, nil
		}
	}
}

// prune forgets the events before a time, some at once so that others get to
// write in between.
func (s *store) prune(ctx context.Context, before time.Time) error {
	some := func() (int, error) {
		ctx, cancel := s.bounded(ctx)
		defer cancel()
		return s.journal.Prune(ctx, s.log, before)
	}
	for {
		if n, err := some(); err != nil || n == 0 {
			return err
		}
	}
}
