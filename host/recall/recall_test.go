package recall_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/recall"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/practices"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ada = "Ada@example.com"

// source finds one device of whoever is asked about, after a while.
type source struct {
	scan.LookUps
	takes time.Duration

	mu    sync.Mutex
	fails error
	asked int
	now   int
	most  int
}

func (s *source) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	s.mu.Lock()
	s.asked++
	s.now++
	s.most = max(s.most, s.now)
	fails := s.fails
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if fails != nil {
		return nil, fails
	}
	return []device.Device{{Source: "jamf", Email: email, Serial: "S1"}}, nil
}

// counts tells how often it was asked, and how often at once.
func (s *source) counts() (asked, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.most
}

// keeper keeps in memory, or fails.
type keeper struct {
	mu          sync.Mutex
	fails       error
	kept        map[string]device.Posture
	collections map[string][]device.Collection
}

func (k *keeper) KeptPosture(_ context.Context, email string) (json.RawMessage, time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.kept[email]
	if k.fails == nil && !ok {
		return nil, time.Time{}, fault.New(fault.NotFound, "nobody")
	}
	doc, err := json.Marshal(p)
	return doc, p.GeneratedAt, errors.Join(k.fails, err)
}

func (k *keeper) Collections(_ context.Context, email string, _ ...string) ([]device.Collection, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.collections[email], k.fails
}

func (k *keeper) SavePosture(_ context.Context, p device.Posture, collections []device.Collection) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fails != nil {
		return k.fails
	}
	if k.kept == nil {
		k.kept, k.collections = map[string]device.Posture{}, map[string][]device.Collection{}
	}
	k.kept[p.Email], k.collections[p.Email] = p, collections
	return nil
}

func open(t *testing.T, s *source, k recall.Keeper, change func(*recall.Options)) *recall.Recall {
	t.Helper()
	policy, err := practices.New(nil, practices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &scan.Pipeline{Policy: policy, Sources: []scan.Source{{Name: "jamf", Ask: s, ByEmail: true, Practices: []string{"encryption"}}}}
	o := recall.Options{Pipeline: func() *scan.Pipeline { return p }, Keeper: k, AtOnce: 2, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	r := recall.New(context.Background(), o)
	t.Cleanup(r.Close)
	return r
}

// answer gives the posture of an answer, kept or new.
func answer(ctx context.Context, r *recall.Recall, email string, maxAge time.Duration, by recall.Asker) (device.Posture, error) {
	given, err := r.Answer(ctx, email, maxAge, by)
	if err != nil || given.New != nil {
		if given.New == nil {
			return device.Posture{}, err
		}
		return *given.New, err
	}
	var p device.Posture
	err = json.Unmarshal(given.Kept, &p)
	return p, err
}

// What is noted in the outcomes of a scan is in the answer, and in what is kept
// of it.
func TestScanned_Notes(t *testing.T) {
	t.Parallel()
	s := &source{fails: errors.New("down")}
	r := open(t, s, &keeper{}, func(o *recall.Options) {
		o.Scanned = func(_ context.Context, p *device.Posture, _ recall.Asker) { p.Sources[0].EventID = "E1" }
	})
	for _, maxAge := range []time.Duration{0, time.Hour} {
		if p, err := answer(t.Context(), r, ada, maxAge, recall.Asker{}); err != nil || len(p.Sources) != 1 || p.Sources[0].EventID != "E1" {
			t.Errorf("max age %v: %+v, %v", maxAge, p, err)
		}
	}
	if s.asked != 1 {
		t.Errorf("asked %d times", s.asked)
	}
}

// A kept answer serves until it is too old; one from the future does not.
func TestAnswer_Age(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		r := open(t, s, &keeper{}, nil)
		for _, step := range []struct {
			later, maxAge time.Duration
			asked         int
		}{{0, time.Hour, 1}, {time.Hour, time.Hour, 1}, {time.Second, time.Hour, 2}, {0, 0, 3}, {-time.Minute, time.Hour, 3}} {
			time.Sleep(max(0, step.later))
			p, err := answer(t.Context(), r, ada, step.maxAge, recall.Asker{})
			if asked, _ := s.counts(); err != nil || len(p.Devices) != 1 || asked != step.asked {
				t.Errorf("%+v: asked %d times, %+v, %v", step, asked, p, err)
			}
		}
		future := &keeper{}
		_ = future.SavePosture(t.Context(), device.Posture{Email: ada, GeneratedAt: time.Now().Add(time.Minute)}, nil)
		if p, err := answer(t.Context(), open(t, s, future, nil), ada, time.Hour, recall.Asker{}); err != nil || len(p.Devices) != 1 {
			t.Errorf("an answer from the future was given: %+v, %v", p, err)
		}
	})
}

// However many want an answer, in whatever letters, there is one scan; other
// people's run beside it, as many as may.
func TestScan_Once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: time.Second}
		var (
			telling sync.Mutex
			scanned []recall.Asker
		)
		r := open(t, s, nil, func(o *recall.Options) {
			o.Scanned = func(_ context.Context, _ *device.Posture, by recall.Asker) {
				telling.Lock()
				defer telling.Unlock()
				scanned = append(scanned, by)
			}
		})
		var group sync.WaitGroup
		for range 10 {
			for _, email := range []string{ada, "ADA@example.com", "ada@EXAMPLE.com"} {
				group.Go(func() {
					if p, err := answer(t.Context(), r, email, time.Hour, recall.Asker{Who: "eve"}); err != nil || len(p.Devices) != 1 {
						t.Errorf("%+v, %v", p, err)
					}
				})
			}
		}
		group.Wait()
		if asked, _ := s.counts(); asked != 1 || len(scanned) != 1 || scanned[0].Who != "eve" {
			t.Errorf("asked %d times, told of %v", asked, scanned)
		}
		for _, email := range []string{"a@x.org", "b@x.org", "c@x.org", "d@x.org"} {
			r.Scan(email, recall.Asker{})
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		if asked, most := s.counts(); asked != 5 || most != 2 {
			t.Errorf("asked %d times, %d at once", asked, most)
		}
	})
}

// A store that fails costs nobody the answer.
func TestAnswer_StoreFails(t *testing.T) {
	t.Parallel()
	r := open(t, &source{}, &keeper{fails: errors.New("disk full")}, nil)
	for range 2 {
		if p, err := answer(t.Context(), r, ada, time.Hour, recall.Asker{}); err != nil || len(p.Devices) != 1 {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

// What a source said before is kept beside the answer that it failed to give.
func TestAnswer_KeepsWhatWasSaid(t *testing.T) {
	t.Parallel()
	s, k := &source{}, &keeper{}
	r := open(t, s, k, nil)
	for _, fails := range []error{nil, errors.New("down"), errors.New("down")} {
		s.fails = fails
		p, err := answer(t.Context(), r, ada, 0, recall.Asker{})
		if err != nil || (len(p.Devices) == 1) != (fails == nil) || p.Sources[0].OK != (fails == nil) {
			t.Errorf("%+v, %v", p, err)
		}
		if c := k.collections[ada]; len(c) != 1 || len(c[0].Devices) != 1 {
			t.Errorf("kept %+v", c)
		}
	}
}

// Whoever gives up waiting does not end the scan; the end of Posture does.
func TestScan_GivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, k := &source{takes: time.Second}, &keeper{}
		r := open(t, s, k, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := answer(ctx, r, ada, 0, recall.Asker{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, ok := r.Kept(t.Context(), ada); !ok {
			t.Error("the answer was not kept")
		}
		running, _ := r.Scan(ada, recall.Asker{})
		waiting, _ := r.Scan("b@x.org", recall.Asker{})
		late, _ := r.Scan("c@x.org", recall.Asker{}) // there is no room for it yet
		synctest.Wait()
		r.Close()
		for _, s := range []*recall.Scan{running, waiting, late} {
			if _, err := s.Wait(t.Context()); fault.KindOf(err) != fault.Unavailable {
				t.Errorf("error %v", err)
			}
		}
	})
}

// Who follows late is told everything from the beginning.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, &source{takes: time.Second}, nil, nil)
		s, started := r.Scan(ada, recall.Asker{})
		if _, again := r.Scan(ada, recall.Asker{}); !started || again {
			t.Error("started twice")
		}
		for range 2 { // the second time it is done
			var told []string
			p, err := s.Follow(t.Context(), func(o device.Outcome) error { told = append(told, o.Plugin); return nil })
			if err != nil || len(told) != 1 || len(p.Devices) != 1 {
				t.Errorf("told %v, %+v, %v", told, p, err)
			}
		}
		enough := errors.New("enough")
		if _, err := s.Follow(t.Context(), func(device.Outcome) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("error %v", err)
		}
		if _, under := r.Running(ada); under {
			t.Error("it is still under way")
		}
	})
}
