package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/store"
)

// measureReads measures how fast one person's page is read among many, beside
// reading the same row alone.
func measureReads(ctx context.Context, o options, _ string, _ *simulators, r *report) (err error) {
	path, from := bulkDatabase(o.dir), "that the run over the largest company has left"
	_, missing := os.Stat(path)
	if missing != nil {
		path, from = filepath.Join(o.dir, "reads.db"), "made for this: a computer with 50 applications and a phone each"
	}
	s, err := store.Open(ctx, store.Options{DSN: "sqlite:" + path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if missing != nil {
		devices := 100_000
		if o.quick {
			devices = 2_000
		}
		if err := fillStore(ctx, s, devices/2); err != nil {
			return err
		}
	}
	emails, devices, bytes, err := known(ctx, s)
	if err != nil {
		return err
	}
	raw, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)&_pragma=cache_size(-8192)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, raw.Close()) }()
	t := table{
		Title:  "One person's page read from the store",
		Header: []string{"readers", "reads/s of the bare row", "reads/s as stored JSON", "share", "reads/s decoded", "share"},
		Notes: []string{
			fmt.Sprintf("SQLite, %d people and %d devices, read at random; the answers are those %s. A page has %.1f kB of JSON on average.",
				len(emails), devices, from, bytes/1e3),
			"The bare row is the same query by database/sql, without unpacking it. As stored JSON is what serves a page; the aim for it is 5000 a second.",
		},
		Values: map[string]float64{},
	}
	seconds := 2.0
	if o.quick {
		seconds = 0.3
	}
	for _, readers := range []int{1, 8} {
		if err := t.reads(ctx, s, raw, emails, readers, seconds); err != nil {
			return err
		}
	}
	r.add(t)
	return nil
}

// reads measures with so many readers.
func (t *table) reads(ctx context.Context, s *store.Store, raw *sql.DB, emails []string, readers int, seconds float64) error {
	row := []string{fmt.Sprint(readers)}
	var bare float64
	for _, way := range []struct {
		name string
		read func(email string) error
	}{
		{"bare", func(email string) error {
			var doc []byte
			return raw.QueryRowContext(ctx, "SELECT doc FROM postures WHERE email = $1", email).Scan(&doc)
		}},
		{"json", func(email string) error { _, err := s.PostureJSON(ctx, email); return err }},
		{"decoded", func(email string) error { _, err := s.Posture(ctx, email); return err }},
	} {
		if _, err := readsPerSecond(readers, seconds/4, emails, way.read); err != nil { // opens connections
			return err
		}
		rate, err := readsPerSecond(readers, seconds, emails, way.read)
		if err != nil {
			return err
		}
		row = append(row, decimal(rate, 0))
		t.Values[fmt.Sprintf("%d readers %s", readers, way.name)] = rate
		if way.name == "bare" {
			bare = rate
		} else {
			row = append(row, percent(rate/bare))
			t.Values[fmt.Sprintf("%d readers %s share", readers, way.name)] = rate / bare
		}
	}
	t.Rows = append(t.Rows, row)
	return nil
}

// readsPerSecond reads at random with so many readers for a while.
func readsPerSecond(readers int, seconds float64, emails []string, read func(email string) error) (float64, error) {
	var (
		group sync.WaitGroup
		n     atomic.Int64
		first atomic.Pointer[error]
	)
	began := time.Now()
	until := began.Add(time.Duration(seconds * float64(time.Second)))
	for range readers {
		group.Go(func() {
			for time.Now().Before(until) {
				if err := read(emails[rand.IntN(len(emails))]); err != nil {
					first.CompareAndSwap(nil, &err)
					return
				}
				n.Add(1)
			}
		})
	}
	group.Wait()
	if err := first.Load(); err != nil {
		return 0, *err
	}
	return float64(n.Load()) / time.Since(began).Seconds(), nil
}

// known gives everybody in a store, how many devices they have, and how large an
// answer is on average.
func known(ctx context.Context, s *store.Store) (emails []string, devices int, bytes float64, err error) {
	for after := ""; ; after = emails[len(emails)-1] {
		people, err := s.KnownPeople(ctx, after, 5000)
		if err != nil {
			return nil, 0, 0, err
		}
		for _, p := range people {
			emails = append(emails, p.Email)
			devices += p.Devices
		}
		if len(people) == 0 {
			break
		}
	}
	if len(emails) == 0 {
		return nil, 0, 0, errors.New("nobody is in the store")
	}
	const some = 200
	for i := range some {
		page, err := s.PostureJSON(ctx, emails[i*len(emails)/some])
		if err != nil {
			return nil, 0, 0, err
		}
		bytes += float64(len(page)) / some
	}
	return emails, devices, bytes, nil
}

// fillStore keeps an answer about so many people.
func fillStore(ctx context.Context, s *store.Store, people int) error {
	source := newSource()
	now := time.Now().UTC()
	const atOnce = 100
	for first := 0; first < people; first += atOnce {
		var some []store.Saved
		for i := first; i < min(first+atOnce, people); i++ {
			p := device.Posture{Email: fmt.Sprintf("person%d@example.com", i), GeneratedAt: now, Sources: []device.Outcome{{Plugin: "jamf", OK: true}}}
			for n, d := range []device.Device{source.laptop, source.small[0]} {
				d.Identifiers.Serial = fmt.Sprintf("C02%07d%d", i, n)
				p.Devices = append(p.Devices, d)
			}
			some = append(some, store.Saved{Posture: p})
		}
		if err := s.SavePostures(ctx, some); err != nil {
			return err
		}
	}
	return nil
}
