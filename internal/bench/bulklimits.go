package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/store"
)

// limit is what the limits' process is to measure.
type limit struct {
	What   string `json:"what"` // lists, questions, store or documents
	AtOnce int    `json:"at_once"`
	// Documents is how many to send.
	Documents int `json:"documents"`
}

// measured is what it took, for the whole company also where only a share of it
// was measured.
type measured struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`
	Count   int64   `json:"count"` // records, people or documents
	Bytes   int64   `json:"bytes"`
	Error   string  `json:"error,omitempty"`
}

// bulkLimits is the process that does by itself each thing that a run does,
// without whatever makes Posture of it. It takes its tasks until its input ends.
func bulkLimits(ctx context.Context, in io.Reader, out io.Writer) error {
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	var s bulkSetup
	if err := requests.Decode(&s); err != nil {
		return err
	}
	l, err := newLister(ctx, s.World)
	if err != nil {
		return err
	}
	for {
		var task limit
		if err := requests.Decode(&task); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		m, err := l.measure(ctx, s, task)
		if err != nil {
			m.Error = err.Error()
		}
		if err := answers.Encode(m); err != nil {
			return err
		}
	}
}

func (l *lister) measure(ctx context.Context, s bulkSetup, task limit) (m measured, err error) {
	before, err := ownCPU()
	if err != nil {
		return m, err
	}
	began, share := time.Now(), 1.0
	switch task.What {
	case "lists":
		l.records.Store(0)
		err = l.lists(ctx)
		m.Count = l.records.Load()
	case "questions":
		var n int
		n, err = l.questions(ctx, task.AtOnce)
		m.Count, share = int64(n), float64(n)/float64(len(l.emails))
	case "store":
		return writeRaw(ctx, s.Database, task.Documents)
	case "documents":
		return postRaw(ctx, l.http, s, task.Documents)
	default:
		err = fmt.Errorf("there is no limit %q", task.What)
	}
	m.Seconds = time.Since(began).Seconds() / share
	after, cpuErr := ownCPU()
	m.CPU = (after - before).Seconds() / share
	return m, errors.Join(err, cpuErr)
}

// sampled is of how many people the documents are made that the raw writing and
// sending use, over and over: making them is no part of the limit.
const sampled = 500

// sample gives the documents of some people of a finished run.
func sample(ctx context.Context, database string) (documents []json.RawMessage, err error) {
	s, err := store.Open(ctx, store.Options{DSN: "sqlite:" + database, NoMigrate: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	people, err := s.KnownPeople(ctx, "", sampled)
	if err != nil {
		return nil, err
	}
	run := batch.Run{ID: batch.NewID(time.Now()), StartedAt: time.Now()}
	for _, p := range people {
		posture, err := s.Posture(ctx, p.Email)
		if err != nil {
			return nil, err
		}
		deliveries, err := batch.Documents{}.Person(run, posture)
		if err != nil {
			return nil, err
		}
		for _, d := range deliveries {
			documents = append(documents, d.Body)
		}
	}
	if len(documents) == 0 {
		return nil, errors.New("the run has left no documents")
	}
	return documents, nil
}

const (
	// bulkDocuments and bulkBytes bound a request as they do Posture's.
	bulkDocuments = 500
	bulkBytes     = 5 << 20
)

// postRaw sends as many documents as a run has sent, in requests as large and one
// at a time. Only the sending counts.
func postRaw(ctx context.Context, client *http.Client, s bulkSetup, n int) (m measured, err error) {
	documents, err := sample(ctx, s.Database)
	if err != nil {
		return m, err
	}
	var body bytes.Buffer
	var taken struct {
		Items []map[string]struct {
			Status int `json:"status"`
		} `json:"items"`
	}
	for i := 0; i < n; {
		body.Reset()
		first := i
		for ; i < n && i-first < bulkDocuments && body.Len() < bulkBytes; i++ {
			_, _ = fmt.Fprintf(&body, `{"create":{"_index":"bench-202611","_id":"%d"}}`+"\n%s\n", i, documents[i%len(documents)])
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.World.Sink+"/_bulk", bytes.NewReader(body.Bytes()))
		if err != nil {
			return m, err
		}
		req.Header.Set("Content-Type", "application/x-ndjson")
		began := time.Now()
		taken.Items = taken.Items[:0]
		_, err = (&bare{http: client}).do(req, &taken)
		m.Seconds += time.Since(began).Seconds()
		if err != nil {
			return m, err
		}
		if len(taken.Items) != i-first {
			return m, fmt.Errorf("%d of %d documents were taken", len(taken.Items), i-first)
		}
		m.Bytes += int64(body.Len())
	}
	m.Count = int64(n)
	return m, nil
}

// packed gives documents as the outbox keeps them.
func packed(documents []json.RawMessage) ([][]byte, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(documents))
	for i, d := range documents {
		out[i] = e.EncodeAll(d, []byte{1})
	}
	return out, e.Close()
}

// writeRaw writes what a finished run has left, row by row and byte by byte the
// same, into an empty database of the same schema, in transactions as large and
// flushed alike. Only the writing counts, not the reading of the rows.
func writeRaw(ctx context.Context, database string, documents int) (m measured, err error) {
	bodies, err := sample(ctx, database)
	if err != nil {
		return m, err
	}
	w, closeAll, err := openRaw(ctx, database, database+".raw")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	w.per = documents
	if w.bodies, err = packed(bodies); err != nil {
		return m, err
	}
	if err := w.all(ctx); err != nil {
		return m, err
	}
	return measured{Seconds: w.took.Seconds(), Count: w.rows, Bytes: w.bytes}, nil
}

// openRaw opens a database to read rows of, and makes an empty one of the same
// schema to write them to, which flushes what it commits as Posture's does.
func openRaw(ctx context.Context, database, fresh string) (w *rawWriter, closeAll func() error, err error) {
	s, err := store.Open(ctx, store.Options{DSN: "sqlite:" + fresh})
	if err != nil {
		return nil, nil, err
	}
	if err := s.Close(); err != nil {
		return nil, nil, err
	}
	w = &rawWriter{}
	if w.from, err = sql.Open("sqlite", "file:"+database+"?_pragma=query_only(1)"); err != nil {
		return nil, nil, err
	}
	w.to, err = sql.Open("sqlite", "file:"+fresh+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)")
	if err != nil {
		return nil, nil, errors.Join(err, w.from.Close())
	}
	w.to.SetMaxOpenConns(1)
	return w, func() error { return errors.Join(w.to.Close(), w.from.Close()) }, nil
}

// sequence names the documents of the raw writing.
func sequence(n int) string { return "raw/" + strconv.Itoa(n) }
