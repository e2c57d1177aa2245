package journal

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postureproject/posture/fault"
)

// CheckLog refuses what cannot be the name of a log.
func CheckLog(log string) error { return checkText("log", log, MaxName) }

// CheckKey refuses what cannot be a key.
func CheckKey(key string) error { return checkText("key", key, MaxKey) }

func checkText(name, text string, most int) error {
	switch {
	case text == "":
		return refuse(name, text, "is empty")
	case len(text) > most:
		return refuse(name, text, fmt.Sprintf("has %d bytes; at most %d are allowed", len(text), most))
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return refuse(name, text, "is no text")
	}
	return nil
}

func refuse(name, value, reason string) error {
	return fault.InvalidField(name, fmt.Sprintf("%.100q", value), reason, "the plugin is at fault; report it to its author")
}

func tooMuch(name string, have, most int) error {
	return fault.InvalidField(name, strconv.Itoa(have), fmt.Sprintf("is too much; at most %d", most), "the plugin is at fault; report it to its author")
}

func checkKeys(keys []string) error {
	if len(keys) > MaxKeys {
		return tooMuch("keys", len(keys), MaxKeys)
	}
	for _, key := range keys {
		if err := CheckKey(key); err != nil {
			return err
		}
	}
	return nil
}

// Size is how many bytes a record counts for.
func (r Record) Size() int {
	size := len(r.ID) + len(r.Body)
	for _, key := range r.Keys {
		size += len(key)
	}
	return size
}

// Check refuses a record beyond the limits.
func (r Record) Check() error {
	if err := checkText("id", r.ID, MaxName); err != nil {
		return err
	}
	// Others have no place in a database's microseconds, or none in anybody's log.
	if year := r.At.Year(); year < 1900 || year > 9999 {
		return refuse("at", r.At.Format(time.RFC3339), "is no time that a record can have")
	}
	if len(r.Body) > MaxBody {
		return tooMuch("body", len(r.Body), MaxBody)
	}
	return checkKeys(r.Keys)
}

// Check refuses a batch beyond the limits.
func (b Batch) Check() error {
	if len(b.Records) > MaxRecords {
		return tooMuch("records", len(b.Records), MaxRecords)
	}
	size := 0
	for _, r := range b.Records {
		if err := r.Check(); err != nil {
			return err
		}
		size += r.Size()
	}
	if size > MaxBatch {
		return tooMuch("bytes of records", size, MaxBatch)
	}
	if p := b.Progress; p != nil && len(p.Document) > MaxProgress {
		return tooMuch("bytes of progress", len(p.Document), MaxProgress)
	}
	return nil
}

// Check refuses a query beyond the limits, and gives where its page begins.
func (q Query) Check() (Cursor, error) {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return Cursor{}, tooMuch("limit", q.Limit, MaxLimit)
	}
	if err := checkKeys(q.Keys); err != nil {
		return Cursor{}, err
	}
	return parseCursor(q.After)
}

// Moved is the error of an append whose progress was read too long ago.
func Moved(log string) error {
	return &fault.Error{
		Kind: fault.Conflict, Op: "append to journal", Subject: log, Message: "another process has set the progress meanwhile",
		Remedy: "read the progress again, and go on from there",
	}
}
