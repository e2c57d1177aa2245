package jamf

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

const (
	// newestInventory and oldestInventory are the versions of computers-inventory
	// that this source reads: v4 came with Jamf Pro 11.30 and v3 with 11.23, by
	// Jamf's changelog; what is read here they all spell alike.
	newestInventory = 4
	oldestInventory = 1

	pageSize = 100
	// pagesAhead is how many pages are read at once: Jamf asks its clients for no
	// more than five requests at a time ("Jamf Pro API Scalability Best
	// Practices").
	pagesAhead = 4
	opList     = "list computers"
)

// ListDevices gives every computer. Where the server has the Jamf Pro API's
// inventory it is read page by page, else every computer by itself.
func (s *Source) ListDevices(ctx context.Context, send func(device.Device) error) error {
	visit := func(c *computer) error { return send(c.record(s.owners)) }
	found, err := s.eachInventory(ctx, sections(), visit)
	if found || err != nil {
		return err
	}
	return s.eachClassic(ctx, visit)
}

// ListUsers gives everybody to whom Jamf assigns a computer, once each.
func (s *Source) ListUsers(ctx context.Context, send func(device.User) error) error {
	seen := make(map[string]bool)
	once := func(u device.User) error {
		key := strings.ToLower(u.Email)
		if key == "" || seen[key] {
			return nil
		}
		seen[strings.Clone(key)] = true // not the page that it came with
		return send(u)
	}
	found, err := s.eachInventory(ctx, []string{"GENERAL", "USER_AND_LOCATION"}, func(c *computer) error {
		return once(device.User{Email: s.owners.address(c.email, c.username), Name: c.realName})
	})
	if found || err != nil {
		return err
	}
	return s.eachClassicUser(ctx, func(u classicUser) error {
		if len(u.computers) == 0 {
			return nil
		}
		return once(device.User{Email: s.owners.address(u.email, u.name), Name: u.fullName})
	})
}

// eachInventory visits all computers of the inventory with the given sections;
// found is false when the server has no inventory. The newest version that it has
// is looked for every time, as a server may be upgraded below a plugin that runs
// for months.
func (s *Source) eachInventory(ctx context.Context, sections []string, visit func(*computer) error) (found bool, err error) {
	g, _, err := s.api.auth.grant(ctx)
	if err != nil || g.basic { // the Jamf Pro API takes no passwords
		return false, err
	}
	for version := newestInventory; version >= oldestInventory; version-- {
		l := listing{source: s, version: version, sections: sections}
		first, err := l.page(ctx, 0)
		switch {
		case fault.IsNotFound(err):
			continue
		case err != nil:
			return true, err
		}
		return true, l.each(ctx, first, visit)
	}
	return false, nil
}

// listing reads one version of the inventory, page by page.
type listing struct {
	source   *Source
	version  int
	sections []string
}

func (l listing) page(ctx context.Context, number int) (page, error) {
	subject := "page " + strconv.Itoa(number)
	q := url.Values{
		"page": {strconv.Itoa(number)}, "page-size": {strconv.Itoa(pageSize)}, "sort": {"id:asc"}, "section": l.sections,
	}
	path := "/api/v" + strconv.Itoa(l.version) + "/computers-inventory?" + q.Encode()
	body, err := l.source.api.get(ctx, path, opList, subject)
	if err != nil {
		return page{}, err
	}
	p, err := readInventory(body, l.source.env.Debug)
	if err != nil {
		return page{}, badDocument(err, opList, subject)
	}
	return p, nil
}

// pageResult is a page that was read ahead.
type pageResult struct {
	page page
	err  error
}

// each visits the computers of all pages in order, each computer once even when
// the pages shift below the reading. Some pages are read ahead.
func (l listing) each(ctx context.Context, p page, visit func(*computer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()

	var ahead []chan pageResult
	seen := make(map[string]bool)
	read, odd, next := 0, 0, 1
	for {
		for len(ahead) < pagesAhead && (next*pageSize < p.total || p.total == 0 && p.entries == pageSize && len(ahead) == 0) {
			number, result := next, make(chan pageResult, 1)
			readers.Go(func() {
				p, err := l.page(ctx, number)
				result <- pageResult{p, err}
			})
			ahead, next = append(ahead, result), next+1
		}
		fresh, err := visitFresh(p.computers, seen, visit)
		if err != nil {
			return err
		}
		read, odd = read+fresh, odd+p.entries-len(p.computers)
		switch {
		case fresh == 0 && len(p.computers) > 0:
			return incomplete(read, p.total, "the server repeats a page")
		case p.entries == 0 && read+odd < p.total:
			return incomplete(read, p.total, "the server ends the list early")
		case len(ahead) == 0:
			return lost(read, odd, p.total)
		}
		var r pageResult
		r, ahead = <-ahead[0], ahead[1:]
		if r.err != nil {
			return r.err
		}
		p = r.page
	}
}

// visitFresh visits the computers that were not seen before and counts them.
func visitFresh(computers []computer, seen map[string]bool, visit func(*computer) error) (fresh int, err error) {
	for i := range computers {
		c := &computers[i]
		if c.id != "" {
			if seen[c.id] {
				continue
			}
			seen[strings.Clone(c.id)] = true // not the page that it came with
		}
		fresh++
		if err := visit(c); err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// lost reports what is missing after the last page.
func lost(read, odd, total int) error {
	switch {
	case read+odd < total:
		return incomplete(read, total, "the server ends the list early")
	case odd > 0:
		return incomplete(read, total, fmt.Sprintf("%d entries are no computers", odd))
	default:
		return nil
	}
}

func incomplete(read, total int, why string) error {
	return &fault.Error{
		Kind: fault.BadResponse, Source: Name, Op: opList, Message: fmt.Sprintf("read %d of %d computers: %s", read, total, why),
		Remedy: "run it again; if it stays so, look into Jamf Pro's own log",
	}
}
