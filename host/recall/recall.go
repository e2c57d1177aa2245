// Package recall answers about people: with the kept answer while it is young
// enough, otherwise by asking the sources, once however many people wait for the
// same answer. Everything it asks, it keeps.
package recall

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/scan"
)

// Keeper keeps people's answers.
type Keeper interface {
	// KeptPosture gives the last answer about a person as JSON, and when it was
	// made; kind NotFound about who was never asked about.
	KeptPosture(ctx context.Context, email string) (doc json.RawMessage, generatedAt time.Time, err error)
	Collections(ctx context.Context, email string, plugins ...string) ([]device.Collection, error)
	SavePosture(ctx context.Context, p device.Posture, collections []device.Collection) error
}

// Options are what answers are made of. Pipeline and Logger are required.
type Options struct {
	// Pipeline gives the pipeline in force.
	Pipeline func() *scan.Pipeline
	// Keeper may be nil: then nothing is kept and everybody is asked every time.
	Keeper Keeper
	// Scanned, when set, learns of every scan that was made and who wanted it,
	// before anybody has the answer and before it is kept. It may note in the
	// outcomes what became of them.
	Scanned func(ctx context.Context, p *device.Posture, by Asker)
	// AtOnce bounds the scans that run at once, of different people; more wait.
	AtOnce int
	Logger *slog.Logger
	Now    func() time.Time // time.Now when nil
}

// Asker says who wanted an answer.
type Asker struct {
	Who     string // the identity that asked
	Through string // "api", "cli" or "web"
	Request string // the request's id, to be found in the log
}

// Look is one look at somebody's records.
type Look struct {
	Asker
	Method, Path, Remote string
	Email                string // whom at, if it is a person
	Status               int
	Shown                []byte // JSON; nil when it was too large or none
}

// keepLimit bounds reading and writing of one kept answer: a store that hangs
// must not hold up those who wait.
const keepLimit = 5 * time.Second

// Recall gives answers. Close it when no one asks any more.
type Recall struct {
	o      Options
	ctx    context.Context // of scans, which outlive who asked for them
	cancel context.CancelFunc
	group  sync.WaitGroup
	slots  chan struct{}

	mu      sync.Mutex
	running map[string]*Scan // by address in lower case
}

// New makes a Recall whose scans end with ctx.
func New(ctx context.Context, o Options) *Recall {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Recall{o: o, running: map[string]*Scan{}, slots: make(chan struct{}, max(1, o.AtOnce))}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// Close calls running scans off and waits for them.
func (r *Recall) Close() {
	r.cancel()
	r.group.Wait()
}

// Answer is an answer about a person, kept or new.
type Answer struct {
	GeneratedAt time.Time
	// Kept is the JSON of a kept answer, as it was saved; nil of a new one.
	Kept json.RawMessage
	// New is a new answer; nil of a kept one.
	New *device.Posture
}

// Answer gives the kept answer about a person if it is at most maxAge old, and
// otherwise a new one. An address that was never asked about is asked about. The
// error is the caller's context's, or that of a Recall that is closed.
func (r *Recall) Answer(ctx context.Context, email string, maxAge time.Duration, by Asker) (Answer, error) {
	if maxAge > 0 {
		kept, ok := r.Kept(ctx, email)
		age := r.o.Now().Sub(kept.GeneratedAt)
		if ok && age >= 0 && age <= maxAge { // one from the future shows a clock that jumped
			return kept, nil
		}
	}
	s, _ := r.Scan(email, by)
	p, err := s.Wait(ctx)
	return Answer{GeneratedAt: p.GeneratedAt, New: &p}, err
}

// Kept gives the kept answer about a person, however old.
func (r *Recall) Kept(ctx context.Context, email string) (Answer, bool) {
	if r.o.Keeper == nil {
		return Answer{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, keepLimit)
	defer cancel()
	doc, at, err := r.o.Keeper.KeptPosture(ctx, email)
	if err != nil && !fault.IsNotFound(err) && ctx.Err() == nil {
		r.o.Logger.ErrorContext(ctx, "cannot read a kept answer; the sources are asked instead", "error", err.Error())
	}
	return Answer{GeneratedAt: at, Kept: doc}, err == nil
}

// Scan starts asking the sources about a person, or joins a scan that is under
// way; started tells which.
func (r *Recall) Scan(email string, by Asker) (s *Scan, started bool) {
	key := strings.ToLower(email)
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, under := r.running[key]; under {
		return s, false
	}
	s = &Scan{Email: email, StartedAt: r.o.Now().UTC(), done: make(chan struct{}), changed: make(chan struct{})}
	r.running[key] = s
	r.group.Go(func() {
		defer func() {
			r.mu.Lock()
			delete(r.running, key)
			r.mu.Unlock()
			close(s.done)
		}()
		select {
		case r.slots <- struct{}{}:
			r.ask(s, by)
			<-r.slots
		case <-r.ctx.Done():
			s.err = shuttingDown(s.Email)
		}
	})
	return s, true
}

// Running gives the scan about a person that is under way, if any.
func (r *Recall) Running(email string) (*Scan, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.running[strings.ToLower(email)]
	return s, ok
}

func (r *Recall) ask(s *Scan, by Asker) {
	p := r.o.Pipeline()
	collections, outcomes := p.Collect(r.ctx, scan.Request{Email: s.Email, Progress: s.tell})
	answer := p.Assemble(s.Email, collections, outcomes)
	if r.ctx.Err() != nil {
		s.err = shuttingDown(s.Email)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), keepLimit)
	defer cancel()
	if r.o.Scanned != nil {
		r.o.Scanned(ctx, &answer, by)
	}
	s.posture = answer
	if r.o.Keeper != nil {
		r.keep(ctx, answer, collections, outcomes)
	}
}

func shuttingDown(email string) error {
	return &fault.Error{Kind: fault.Unavailable, Op: "scan", Subject: email, Message: "Posture is shutting down", Remedy: "try again in a moment"}
}

// keep saves an answer, and beside it what failed sources said before.
func (r *Recall) keep(ctx context.Context, answer device.Posture, collections []device.Collection, outcomes []device.Outcome) {
	last, err := r.o.Keeper.Collections(ctx, answer.Email)
	if err == nil || fault.IsNotFound(err) {
		collections, _ = scan.KeepLast(collections, outcomes, last)
		err = r.o.Keeper.SavePosture(ctx, answer, collections)
	}
	if err != nil {
		r.o.Logger.ErrorContext(ctx, "cannot keep an answer", "error", err.Error())
	}
}

// Scan is one scan that is under way or done.
type Scan struct {
	Email     string
	StartedAt time.Time

	done    chan struct{}
	posture device.Posture // when done
	err     error          // when done

	mu       sync.Mutex
	outcomes []device.Outcome
	changed  chan struct{} // closed at the next outcome
}

func (s *Scan) tell(o device.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes = append(s.outcomes, o)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Wait gives the answer when the scan is done.
func (s *Scan) Wait(ctx context.Context) (device.Posture, error) {
	select {
	case <-s.done:
		return s.posture, s.err
	case <-ctx.Done():
		return device.Posture{}, ctx.Err()
	}
}

// Follow hands every outcome to tell, from the scan's beginning and as they come,
// and returns with the answer. It stops when tell fails.
func (s *Scan) Follow(ctx context.Context, tell func(device.Outcome) error) (device.Posture, error) {
	for next := 0; ; {
		s.mu.Lock()
		fresh, changed := s.outcomes[next:len(s.outcomes):len(s.outcomes)], s.changed
		s.mu.Unlock()
		for _, o := range fresh {
			if err := tell(o); err != nil {
				return device.Posture{}, err
			}
		}
		if next += len(fresh); len(fresh) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-s.done:
			s.mu.Lock()
			more := len(s.outcomes) > next
			s.mu.Unlock()
			if !more {
				return s.posture, s.err
			}
		case <-ctx.Done():
			return device.Posture{}, ctx.Err()
		}
	}
}
