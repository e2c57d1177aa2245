package jamf

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/postureproject/posture/fault"
)

// hopeless is how many failures end a listing of the Classic API when they
// outnumber what could be read: the server is in trouble, not the records.
const hopeless = 10

// ids reads the numbers of everything of one sort in the Classic API.
func (s *Source) ids(ctx context.Context, list, element string) ([]string, error) {
	body, err := s.api.get(ctx, "/JSSResource/"+list, "list "+list, "")
	if fault.IsNotFound(err) {
		return nil, &fault.Error{
			Kind: fault.BadResponse, Source: Name, Op: "list " + list, Message: "there is no Classic API at this address",
			Remedy: "check JAMF_API_HOSTADDR",
		}
	}
	if err != nil {
		return nil, err
	}
	ids, err := readClassicIDs(body, list, element)
	if err != nil {
		return nil, badDocument(err, "list "+list, "")
	}
	return ids, nil
}

// eachClassic visits all computers of the Classic API, one request for each.
func (s *Source) eachClassic(ctx context.Context, visit func(*computer) error) error {
	ids, err := s.ids(ctx, "computers", "computer")
	if err != nil {
		return err
	}
	return eachID(ctx, ids, s.env.Concurrency, func(ctx context.Context, id string) (func() error, error) {
		c, err := s.computer(ctx, "/JSSResource/computers/id/", id)
		return func() error { return visit(&c) }, err
	})
}

// eachClassicUser visits all users of the Classic API, one request for each.
func (s *Source) eachClassicUser(ctx context.Context, visit func(classicUser) error) error {
	ids, err := s.ids(ctx, "users", "user")
	if err != nil {
		return err
	}
	return eachID(ctx, ids, s.env.Concurrency, func(ctx context.Context, id string) (func() error, error) {
		const op = "get user"
		body, err := s.api.get(ctx, "/JSSResource/users/id/"+url.PathEscape(id), op, id)
		if err != nil {
			return nil, err
		}
		users, err := readClassicUsers(body)
		if err != nil {
			return nil, badDocument(err, op, id)
		}
		return func() error {
			for _, u := range users {
				if err := visit(u); err != nil {
					return err
				}
			}
			return nil
		}, nil
	})
}

// eachID calls read for every number, several at once, and one after another
// the visits that it gives. What is gone meanwhile is left out; failures of some
// do not keep the others from being visited and are reported at the end.
func eachID(ctx context.Context, ids []string, limit int, read func(context.Context, string) (visit func() error, err error)) error {
	var (
		mu      sync.Mutex
		visited int
		failed  []error
		seen    = make(map[string]bool, len(ids))
	)
	g, reading := errgroup.WithContext(ctx)
	g.SetLimit(max(1, limit))
	for _, id := range ids {
		if reading.Err() != nil {
			break
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		g.Go(func() error {
			visit, err := read(reading, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				visited++
				return visit()
			case fault.IsNotFound(err):
				return nil
			}
			failed = append(failed, err)
			if len(failed) >= hopeless && len(failed) > visited {
				return &fault.Error{
					Kind: fault.KindOf(err), Source: Name, Op: "get one by one", Message: fmt.Sprintf("given up after %d failures", len(failed)),
					Err: err, Remedy: fault.RemedyOf(err), RetryAfter: fault.RetryAfterOf(err),
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fault.Wrap(err, opList, "")
	}
	return someFailed(failed, len(seen))
}
