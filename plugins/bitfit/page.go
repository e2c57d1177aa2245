package bitfit

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/jsonscan"
)

// shortPage is the number of entries under which a page is taken for the last
// one when the answer says nothing about further pages.
const shortPage = 10

// listing is a list that may come in pages.
type listing struct {
	path    string
	search  string // of the parameter of that name, when not empty
	op      string // for errors
	subject string
	// absentIsEmpty says that 404 means "nothing there". Otherwise it means that
	// the address is wrong, as the list itself always exists.
	absentIsEmpty bool
}

// entry is what a listing lists.
type entry interface{ key() string }

// pageOf is one page of a list: the entries under "items" (or the bare list),
// and whatever the answer says about further pages, in one of the usual places.
type pageOf[T entry] struct {
	items  []T // nil when the answer has none, not even an empty one
	places [3]paging
}

func readPage[T entry](body []byte, read func(*jsonscan.Scanner) T) (*pageOf[T], error) {
	s, p := jsonscan.New(body), &pageOf[T]{}
	if s.Peek() == '[' {
		p.items = readList(s, read)
		return p, s.End()
	}
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch key := s.Key(); key {
		case "items":
			p.items = readList(s, read)
		case "meta":
			p.places[1].readObject(s)
		case "pagination":
			p.places[2].readObject(s)
		default:
			p.places[0].read(s, key)
		}
	}
	return p, s.End()
}

// paging is what an answer may say about further pages.
type paging struct{ pages, totalPages, total, totalCount, nextPage string }

func (p *paging) readObject(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		p.read(s, s.Key())
	}
}

// read reads the value of one member.
func (p *paging) read(s *jsonscan.Scanner, key string) {
	switch key {
	case "pages":
		p.pages = s.Text()
	case "total_pages":
		p.totalPages = s.Text()
	case "total":
		p.total = s.Text()
	case "total_count":
		p.totalCount = s.Text()
	case "next_page":
		p.nextPage = s.Text()
	default:
		s.Skip()
	}
}

// more tells whether a page follows page number n, after which seen entries are
// known; told is false when the answer does not say.
func (p paging) more(n, seen int) (more, told bool) {
	for _, pages := range []string{p.totalPages, p.pages} {
		if count, err := strconv.Atoi(pages); err == nil && count > 0 {
			return n < count, true
		}
	}
	if next, err := strconv.Atoi(p.nextPage); err == nil {
		return next > n, true
	}
	for _, total := range []string{p.total, p.totalCount} {
		if count, err := strconv.Atoi(total); err == nil && count > 0 {
			return seen < count, true
		}
	}
	return false, false
}

func (p *pageOf[T]) more(n, seen int) (more, told bool) {
	for _, place := range p.places {
		if more, told = place.more(n, seen); told {
			return more, told
		}
	}
	return len(p.items) >= shortPage, false
}

// eachPage hands the entries of a list to receive, page by page and each once,
// until receive wants no more. It asks for the first page without a number and
// for the next ones with the parameter "page". A page that brings nothing new
// ends the list, which is an error when the page before had promised more.
func eachPage[T entry](
	ctx context.Context, a *api, l listing, read func(*jsonscan.Scanner) T, receive func([]T) (wantMore bool, err error),
) error {
	seen := map[string]struct{}{}
	promised := false
	for n := 1; ; n++ {
		page, err := onePage(ctx, a, l, n, read)
		if err != nil {
			return err
		}
		fresh := unseen(page.items, seen)
		if len(fresh) == 0 && promised {
			return &fault.Error{
				Kind: fault.BadResponse, Source: Name, Op: l.op, Subject: l.subject,
				Message: "page " + strconv.Itoa(n) + " of the list repeats earlier ones or is empty, though more was announced",
				Remedy:  "the list is incomplete; try again, and report it to bitFit if it stays so",
			}
		}
		if len(fresh) == 0 && n > 1 {
			return nil
		}
		wantMore, err := receive(fresh)
		if err != nil || !wantMore {
			return err
		}
		var more bool
		if more, promised = page.more(n, len(seen)); !more {
			return nil
		}
	}
}

// unseen gives the entries that no earlier page had, without those that nothing
// identifies.
func unseen[T entry](items []T, seen map[string]struct{}) []T {
	fresh := make([]T, 0, len(items))
	for _, item := range items {
		key := item.key()
		if _, known := seen[key]; known || key == "" {
			continue
		}
		seen[strings.Clone(key)] = struct{}{} // not the page that it came with
		fresh = append(fresh, item)
	}
	return fresh
}

func onePage[T entry](ctx context.Context, a *api, l listing, n int, read func(*jsonscan.Scanner) T) (*pageOf[T], error) {
	query := url.Values{}
	if l.search != "" {
		query.Set("search", l.search)
	}
	if n > 1 {
		query.Set("page", strconv.Itoa(n))
	}
	r := request{path: l.path, query: query, op: l.op, subject: l.subject}
	body, err := a.get(ctx, r)
	page := &pageOf[T]{}
	if err == nil {
		if page, err = readPage(body, read); err != nil {
			err = a.badDocument(err, r)
		}
	}
	if err == nil && page.items == nil && page.places[0].total != "0" {
		return nil, &fault.Error{
			Kind: fault.BadResponse, Source: Name, Op: l.op, Subject: l.subject, Message: "the answer holds no list",
			Remedy: "check that BITFIT_BASE_URL is the API's address",
		}
	}
	if !fault.IsNotFound(err) {
		return page, err
	}
	if l.absentIsEmpty || n > 1 {
		return &pageOf[T]{}, nil
	}
	return nil, &fault.Error{
		Kind: fault.BadResponse, Source: Name, Op: l.op, Subject: l.subject, Message: "answered 404 Not Found",
		Remedy: "check that BITFIT_BASE_URL is the API's address, with its path if it has one",
	}
}
