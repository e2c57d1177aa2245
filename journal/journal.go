// Package journal says what a plugin may keep in Posture's store: logs of
// records that are found by keys, each with how far the plugin has read whatever
// the log is a copy of. It is the contract between plugins, which write and read
// their own journal, and the store, which keeps all of them.
package journal

import (
	"context"
	"time"
)

// Journal is what one plugin keeps. Several processes may use it at once, on
// several machines where the store is on a server. Its errors are
// [fault.Error]s: Invalid for what is beyond the limits, Conflict for an append
// that came too late, Unavailable and Timeout when the store cannot be asked.
//
// A plugin may keep several logs, such as one for each account. Each comes into
// being with the first append; one that nobody has written to is empty.
type Journal interface {
	// Append adds records, each once by its ID, and sets the progress: all of it
	// or nothing. A record whose ID the log has stays as it is.
	Append(ctx context.Context, log string, b Batch) (Appended, error)
	// Progress gives what the last append that set it has set; the zero Progress
	// before that.
	Progress(ctx context.Context, log string) (Progress, error)
	// Find gives the records that have one of the keys, newest first, each once.
	// Of those of one time, the one that was appended later is first.
	Find(ctx context.Context, log string, q Query) (Page, error)
	// Has reports whether a record has the key.
	Has(ctx context.Context, log, key string) (bool, error)
	// Newest gives the time of the newest record up to a time; zero when there is
	// none.
	Newest(ctx context.Context, log string, upTo time.Time) (time.Time, error)
	// Prune removes records from before a time, [MaxRecords] at most, and tells how
	// many: ask again until it is none.
	Prune(ctx context.Context, log string, before time.Time) (removed int, err error)
}

// Record is one entry of a log.
type Record struct {
	// ID names the record within its log.
	ID string
	// At is when it happened, to the microsecond.
	At time.Time
	// Keys are what it is found by. Those that [Journal.Find] gives have none.
	Keys []string
	// Body is the plugin's own affair.
	Body []byte
}

// Progress is a document of the plugin's own, which says how far a log has got.
type Progress struct {
	Document []byte
	// Version counts how often it was set; 0: never.
	Version int64
}

// Batch is what is appended at once.
type Batch struct {
	Records []Record
	// Progress is set with the records, unless it is nil. Its Version is the one
	// that was read: when another process has set the progress since, nothing is
	// appended, and the error is of kind Conflict.
	Progress *Progress
}

// Appended tells what an append did.
type Appended struct {
	Added   int   // records whose IDs were new
	Version int64 // of the progress, from now on
}

// Query says which records are wanted.
type Query struct {
	Keys  []string
	Limit int    // records of one page; from 1 to [MaxLimit]
	After string // Next of the page before; empty for the first
}

// Page is an answer, or a part of it.
type Page struct {
	Records []Record
	// Next is where the next page begins; empty when this is the last one. A page
	// may end before the limit, when its records are large.
	Next string
}

// The limits. They keep one plugin from burdening the others, and every message
// far below what one may have.
const (
	MaxName     = 300       // bytes of a log's name, and of an ID
	MaxKey      = 512       // bytes
	MaxKeys     = 16        // of one record, and of one query
	MaxBody     = 256 << 10 // bytes
	MaxProgress = 64 << 10  // bytes
	MaxRecords  = 1000      // of one append
	MaxBatch    = 8 << 20   // bytes of the records of one append
	MaxLimit    = 1000      // records of one page
	MaxPage     = 4 << 20   // bytes of the bodies of one page, unless it has one record only
)
