package sdk_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/journal"
	"github.com/postureproject/posture/journal/journaltest"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// keeper is a plugin that asks for a journal, and hands out what it got.
func keeper(got *sdk.Journal) sdk.Plugin {
	return sdk.Definition[struct{}, *fake]{
		Name: "keeper", Version: "1.0.0", Summary: "A plugin for tests", Journal: true,
		New: func(_ context.Context, _ struct{}, env sdk.Env) (*fake, error) {
			*got = env.Journal
			return &fake{}, nil
		},
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		journaltest.Run(t, func(*testing.T) journal.Journal { return sdktest.NewJournal() })
	})
	t.Run("over the protocol", func(t *testing.T) {
		t.Parallel()
		journaltest.Run(t, func(t *testing.T) journal.Journal {
			var j sdk.Journal
			sdktest.Open(t, keeper(&j), nil)
			return j
		})
	})
}

func TestJournal_description(t *testing.T) {
	t.Parallel()
	var j sdk.Journal
	for _, p := range []sdk.Plugin{keeper(&j), plugin(&fake{})} {
		want, err := p.Describe()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := sdktest.Dial(t, p).Describe(t.Context()); err != nil || got.Journal != want.Journal || got.Journal != (got.Name == "keeper") {
			t.Errorf("%s asks for a journal: %v, %v", got.Name, got.Journal, err)
		}
	}
}

// A host that has no store, or is too old to know of journals, leaves the plugin
// one that says so.
func TestJournal_none(t *testing.T) {
	t.Parallel()
	var j sdk.Journal
	client := sdktest.Dial(t, keeper(&j))
	if err := client.Configure(t.Context(), sdk.Configuration{Config: []byte("{}"), Timeout: time.Second, Concurrency: 1}); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"append":   func() error { _, err := j.Append(t.Context(), "log", sdk.JournalBatch{}); return err },
		"progress": func() error { _, err := j.Progress(t.Context(), "log"); return err },
		"find":     func() error { _, err := j.Find(t.Context(), "log", sdk.JournalQuery{}); return err },
		"has":      func() error { _, err := j.Has(t.Context(), "log", "key"); return err },
		"newest":   func() error { _, err := j.Newest(t.Context(), "log", time.Now()); return err },
		"prune":    func() error { _, err := j.Prune(t.Context(), "log", time.Now()); return err },
	}
	for name, call := range calls {
		if err := call(); fault.KindOf(err) != fault.Unavailable || fault.RemedyOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is wrong with the host's store reaches the plugin whole.
func TestJournal_failures(t *testing.T) {
	t.Parallel()
	memory := sdktest.NewJournal()
	var j sdk.Journal
	sdktest.Open(t, keeper(&j), nil, sdktest.WithJournal(memory))
	memory.Fail(&fault.Error{Kind: fault.Unavailable, Source: "store", Op: "read", Subject: "x", Message: "the disk is full", Remedy: "make room"})
	_, err := j.Progress(t.Context(), "log")
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Unavailable || e.Message != "the disk is full" || e.Remedy != "make room" || e.Source != "" {
		t.Errorf("%#v", err)
	}
	memory.Fail(errors.New("a defect"))
	if _, err := j.Has(t.Context(), "log", "key"); fault.KindOf(err) != fault.Internal {
		t.Errorf("%v", err)
	}
	memory.Fail(nil)
	if _, err := j.Has(t.Context(), "log", "key"); err != nil {
		t.Errorf("%v", err)
	}
}

// stuck never answers.
type stuck struct{ sdk.Journal }

func (stuck) Progress(ctx context.Context, _ string) (sdk.JournalProgress, error) {
	<-ctx.Done()
	return sdk.JournalProgress{}, ctx.Err()
}

func TestJournal_timeLimit(t *testing.T) {
	t.Parallel()
	var j sdk.Journal
	sdktest.Open(t, keeper(&j), nil, sdktest.WithJournal(stuck{}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := j.Progress(ctx, "log"); fault.KindOf(err) != fault.Timeout || fault.RemedyOf(err) == "" {
		t.Errorf("%v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := j.Progress(ctx, "log"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
