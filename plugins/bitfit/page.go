package bitfit

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/postureproject/posture/fault"
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
type entry interface{ key() text }

// pageOf is one page of a list: the entries under "items" (or the bare list),
// and whatever the answer says about further pages, in one of the usual places.
type pageOf[T entry] struct {
	Items list[T] `json:"items"` // nil when the answer has none, not even an empty one
	paging
	Meta       pagingObject `json:"meta"`
	Pagination pagingObject `json:"pagination"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (p *pageOf[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return p.Items.UnmarshalJSON(b)
	}
	type plain pageOf[T]
	return json.Unmarshal(b, (*plain)(p))
}

// paging is what an answer may say about further pages.
type paging struct {
	Pages      text `json:"pages"`
	TotalPages text `json:"total_pages"`
	Total      text `json:"total"`
	TotalCount text `json:"total_count"`
	NextPage   text `json:"next_page"`
}

// pagingObject is [paging] in an object of its own; anything else says nothing.
type pagingObject struct{ paging }

// UnmarshalJSON implements [json.Unmarshaler].
func (p *pagingObject) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, &p.paging)
}

// more tells whether a page follows page number n, after which seen entries are
// known; told is false when the answer does not say.
func (p paging) more(n, seen int) (more, told bool) {
	for _, pages := range []text{p.TotalPages, p.Pages} {
		if count, err := strconv.Atoi(string(pages)); err == nil && count > 0 {
			return n < count, true
		}
	}
	if next, err := strconv.Atoi(string(p.NextPage)); err == nil {
		return next > n, true
	}
	for _, total := range []text{p.Total, p.TotalCount} {
		if count, err := strconv.Atoi(string(total)); err == nil && count > 0 {
			return seen < count, true
		}
	}
	return false, false
}

func (p *pageOf[T]) more(n, seen int) (more, told bool) {
	for _, place := range [...]paging{p.paging, p.Meta.paging, p.Pagination.paging} {
		if more, told = place.more(n, seen); told {
			return more, told
		}
	}
	return len(p.Items) >= shortPage, false
}

// eachPage hands the entries of a list to receive, page by page and each once,
// until receive wants no more. It asks for the first page without a number and
// for the next ones with the parameter "page". A page that brings nothing new
// ends the list, which is an error when the page before had promised more.
func eachPage[T entry](ctx context.Context, a *api, l listing, receive func([]T) (wantMore bool, err error)) error {
	seen := map[text]struct{}{}
	promised := false
	for n := 1; ; n++ {
		page, err := onePage[T](ctx, a, l, n)
		if err != nil {
			return err
		}
		fresh := unseen(page.Items, seen)
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
func unseen[T entry](items []T, seen map[text]struct{}) []T {
	fresh := make([]T, 0, len(items))
	for _, item := range items {
		key := item.key()
		if _, known := seen[key]; known || key == "" {
			continue
		}
		seen[key] = struct{}{}
		fresh = append(fresh, item)
	}
	return fresh
}

func onePage[T entry](ctx context.Context, a *api, l listing, n int) (*pageOf[T], error) {
	query := url.Values{}
	if l.search != "" {
		query.Set("search", l.search)
	}
	if n > 1 {
		query.Set("page", strconv.Itoa(n))
	}
	page := &pageOf[T]{}
	r := request{path: l.path, query: query, op: l.op, subject: l.subject}
	body, err := a.get(ctx, r)
	if err == nil {
		err = a.decode(body, r, page)
	}
	if err == nil && page.Items == nil && page.Total != "0" {
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
