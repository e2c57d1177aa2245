package supervise

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
)

// How much a plugin may log: enough for trouble, too little to fill a disk.
const (
	logLinesPerSecond = 50
	logBurst          = 200
	logLineMax        = 4 << 10
	tailLines         = 5
)

// pluginLogger hands a plugin's log lines to the host's log, with a bound on
// rate and length and without the plugin's secrets. It implements go-plugin's
// hclog.Logger. What go-plugin itself has to say is debugging.
type pluginLogger struct {
	out     *slog.Logger
	output  bool                              // lines are the plugin's own, not go-plugin's
	secrets *atomic.Pointer[strings.Replacer] // shared with the loggers that go-plugin derives
	limiter *rate.Limiter
	dropped *atomic.Int64
	tail    *tail
}

// tail keeps the last lines, to tell why a plugin ended.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, " | ")
}

func newPluginLogger(out *slog.Logger, plugin string, secrets ...string) *pluginLogger {
	l := &pluginLogger{
		out: out.With("plugin", plugin), secrets: new(atomic.Pointer[strings.Replacer]),
		limiter: rate.NewLimiter(logLinesPerSecond, logBurst), dropped: new(atomic.Int64), tail: &tail{},
	}
	l.hide(secrets)
	return l
}

// hide keeps values out of the log from now on.
func (l *pluginLogger) hide(secrets []string) {
	var pairs []string
	for _, s := range secrets {
		if len(s) >= 4 { // shorter ones would maim every word
			pairs = append(pairs, s, "[redacted]")
		}
	}
	l.secrets.Store(strings.NewReplacer(pairs...))
}

// Log implements hclog.Logger.
func (l *pluginLogger) Log(level hclog.Level, msg string, args ...any) {
	if !l.output {
		l.out.Debug("go-plugin: "+l.clean(msg), l.attributes(args)...)
		return
	}
	if level >= hclog.Warn || level == hclog.Debug {
		l.tail.add(l.clean(msg))
	}
	if !l.limiter.Allow() {
		l.dropped.Add(1)
		return
	}
	if n := l.dropped.Swap(0); n > 0 {
		l.out.Warn("the plugin logs too much; lines were dropped", "dropped", n)
	}
	l.out.Log(context.Background(), slogLevel(level), l.clean(msg), l.attributes(args)...)
}

// attributes cleans values and drops the time, which the host's log has itself.
func (l *pluginLogger) attributes(args []any) []any {
	out := make([]any, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		key := fmt.Sprint(args[i])
		if key == "timestamp" {
			continue
		}
		out = append(out, key, l.clean(fmt.Sprint(args[i+1])))
	}
	return out
}

func (l *pluginLogger) clean(s string) string {
	s = l.secrets.Load().Replace(s)
	if len(s) > logLineMax {
		s = s[:logLineMax] + "…"
	}
	return s
}

func slogLevel(l hclog.Level) slog.Level {
	switch {
	case l >= hclog.Error:
		return slog.LevelError
	case l == hclog.Warn:
		return slog.LevelWarn
	case l == hclog.Info:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

// The rest of hclog.Logger.

func (l *pluginLogger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *pluginLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *pluginLogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *pluginLogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *pluginLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }
func (l *pluginLogger) IsTrace() bool                 { return false }
func (l *pluginLogger) IsDebug() bool                 { return true }
func (l *pluginLogger) IsInfo() bool                  { return true }
func (l *pluginLogger) IsWarn() bool                  { return true }
func (l *pluginLogger) IsError() bool                 { return true }
func (l *pluginLogger) ImpliedArgs() []any            { return nil }
func (l *pluginLogger) Name() string                  { return "" }
func (l *pluginLogger) SetLevel(hclog.Level)          {}
func (l *pluginLogger) GetLevel() hclog.Level         { return hclog.Debug }

func (l *pluginLogger) With(...any) hclog.Logger { return l }

// Named is what go-plugin calls to forward the plugin's standard error, under
// the executable's name, and for its own "stdio" stream.
func (l *pluginLogger) Named(name string) hclog.Logger {
	named := *l
	named.output = name != "stdio"
	return &named
}

func (l *pluginLogger) ResetNamed(name string) hclog.Logger { return l.Named(name) }

func (l *pluginLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(io.Discard, "", 0)
}

func (l *pluginLogger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return io.Discard }

var _ hclog.Logger = (*pluginLogger)(nil)

// lastWords gives what a plugin said last, for the story of its end.
func (l *pluginLogger) lastWords() string { return l.tail.last() }
