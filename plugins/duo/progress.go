package duo

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// progress is how far the log was read, and who reads it.
type progress struct {
	highWater time.Time // every event up to then is stored; zero until the first pull is through
	success   time.Time // when the log was last read to its end
	window    window    // what is being read; zero when nothing is
	claim     claim     // who reads it; zero when nobody does
	version   int64     // of the journal's progress
}

// claim says that one process reads the log, so that no other one spends
// requests on the same.
type claim struct {
	holder string
	at     time.Time     // when it was made or renewed, by the holder's clock
	lasts  time.Duration // for how long after that the holder may be silent
	waits  bool          // Duo asked the holder to wait, which goes for everybody
}

// maxSkew is how far the clocks of two machines that read Duo's log are apart at
// most: Duo refuses requests whose time is more than five minutes off (code 40105).
const maxSkew = 10 * time.Minute

// format is the version of the document below.
const format = 1

// document is the progress as the journal keeps it. Times are microseconds since
// 1970, zero when absent.
type document struct {
	Format    int    `json:"format"`
	HighWater int64  `json:"high_water,omitempty"`
	Success   int64  `json:"success,omitempty"`
	From      int64  `json:"window_from,omitempty"`
	To        int64  `json:"window_to,omitempty"`
	Offset    string `json:"next_offset,omitempty"`
	Holder    string `json:"holder,omitempty"`
	HeldAt    int64  `json:"held_at,omitempty"`
	HeldMS    int64  `json:"held_ms,omitempty"`
	Waits     bool   `json:"waits,omitempty"`
}

// maxOffset bounds an offset, in bytes. Duo's have some fifty.
const maxOffset = 4 << 10

func (p *progress) encode() ([]byte, error) {
	return json.Marshal(document{
		Format: format, HighWater: micros(p.highWater), Success: micros(p.success),
		From: micros(p.window.from), To: micros(p.window.to), Offset: p.window.offset,
		Holder: p.claim.holder, HeldAt: micros(p.claim.at), HeldMS: p.claim.lasts.Milliseconds(), Waits: p.claim.waits,
	})
}

func decodeProgress(kept sdk.JournalProgress) (progress, error) {
	p := progress{version: kept.Version}
	if len(kept.Document) == 0 {
		return p, nil
	}
	var d document
	if err := json.Unmarshal(kept.Document, &d); err != nil {
		return p, &fault.Error{Kind: fault.Internal, Source: Name, Op: "read journal", Message: "the kept progress is damaged", Err: err}
	}
	if d.Format > format {
		return p, &fault.Error{
			Kind: fault.Conflict, Source: Name, Op: "read journal",
			Message: fmt.Sprintf("the kept progress has format %d, this plugin knows up to %d", d.Format, format),
			Remedy:  "use the newer version of posture on every machine that shares the store",
		}
	}
	p.highWater, p.success = fromMicros(d.HighWater), fromMicros(d.Success)
	p.window = window{from: fromMicros(d.From), to: fromMicros(d.To), offset: d.Offset}
	p.claim = claim{holder: d.Holder, at: fromMicros(d.HeldAt), lasts: time.Duration(d.HeldMS) * time.Millisecond, waits: d.Waits}
	return p, nil
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// watch is what one process has seen of another's claim.
type watch struct {
	version int64
	since   time.Time // by this machine's steady clock
}

// held reports whether another process reads the log, and for how much longer it
// may be silent. A claim whose version has not changed for as long as it lasts is
// over: its holder is gone. Time is measured by this process's own watching, as
// another machine's clock says little; only a claim that is old by any clock is
// over at once.
func (w *watch) held(p progress, me string, now time.Time) (left time.Duration, held bool) {
	if p.claim.holder == "" || p.claim.holder == me {
		return 0, false
	}
	if w.version != p.version {
		*w = watch{version: p.version, since: time.Now()}
	}
	left = p.claim.lasts - time.Since(w.since)
	if left <= 0 || now.Sub(p.claim.at) > p.claim.lasts+maxSkew {
		return 0, false
	}
	return left, true
}

// restOf tells how long the log needs no reading because somebody, in whatever
// process, has read it to its end within the interval.
func restOf(p progress, now time.Time, interval time.Duration) time.Duration {
	age := now.Sub(p.success)
	if !p.window.isZero() || p.success.IsZero() || age >= interval || age < -maxSkew {
		return 0
	}
	return min(interval, interval-age)
}
