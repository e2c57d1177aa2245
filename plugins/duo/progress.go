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
	held := time.Duration(min(max(0, d.HeldMS), maxHold.Milliseconds())) * time.Millisecond
	p.claim = claim{holder: d.Holder, at: fromMicros(d.HeldAt), lasts: held, waits: d.Waits}
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
