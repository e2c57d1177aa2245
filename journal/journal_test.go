package journal_test

import (
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/journal"
)

func FuzzQuery(f *testing.F) {
	f.Add("", "key", 1)
	f.Add("1780216200000000.17", "is:ada@example.com", 500)
	f.Add("-5.-7", "\x00", 0)
	f.Add("1.2.3", strings.Repeat("x", 600), 1001)
	f.Fuzz(func(t *testing.T, after, key string, limit int) {
		at, err := journal.Query{Keys: []string{key}, Limit: limit, After: after}.Check()
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("error %v", err)
			}
			return
		}
		again, err := journal.Query{Keys: []string{key}, Limit: limit, After: at.String()}.Check()
		if err != nil || again != at {
			t.Errorf("%q is %+v, then %+v, %v", after, at, again, err)
		}
	})
}

func TestRecord_Check(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		record journal.Record
		field  string
	}{
		"fine":          {journal.Record{ID: "1", At: at, Keys: []string{"a", "ü"}}, ""},
		"no ID":         {journal.Record{At: at}, "id"},
		"ID no text":    {journal.Record{ID: "\xff", At: at}, "id"},
		"no time":       {journal.Record{ID: "1"}, "at"},
		"far future":    {journal.Record{ID: "1", At: at.AddDate(9000, 0, 0)}, "at"},
		"large body":    {journal.Record{ID: "1", At: at, Body: make([]byte, journal.MaxBody+1)}, "body"},
		"a zero byte":   {journal.Record{ID: "1", At: at, Keys: []string{"a\x00"}}, "key"},
		"too many keys": {journal.Record{ID: "1", At: at, Keys: make([]string, journal.MaxKeys+1)}, "keys"},
	} {
		err := tt.record.Check()
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.field != "" && (fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.field)):
			t.Errorf("%s: %v, want %s named", name, err, tt.field)
		}
	}
}
