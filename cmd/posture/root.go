package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/plugins/builtin"
)

// The exit statuses. Scripts rely on them.
const (
	exitOK         = 0 // everything worked, all sources answered
	exitUsage      = 1 // the command line or the configuration is at fault
	exitSomeFailed = 2 // some source or test failed
	exitAllFailed  = 3 // every source failed

	exitInterrupted = 130 // as shells say of a program that Ctrl-C ended
)

// exitStatus ends the program with a status when everything has been said.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// environment is the world as the commands see it.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	getenv         func(string) string

	configPath string
	verbose    bool
}

func newRoot(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "posture",
		Short: "Show people how safe their devices are, and what to do next",
		Long: `Posture asks the systems that a company already has about a person's devices and
log-ins, merges what they say into one picture, and judges it against a policy.`,
		SilenceUsage: true, SilenceErrors: true,
		Version: version,
	}
	root.PersistentFlags().StringVar(&env.configPath, "config", "",
		"configuration `FILE`, - for standard input (default: POSTURE_CONFIG, ./posture.yaml, the user's and the system's configuration folders)")
	root.PersistentFlags().BoolVarP(&env.verbose, "verbose", "v", false, "show the log, plugins' too, on standard error")
	root.AddCommand(newScan(env), newServe(env), newBatch(env), newWorker(env), newEvents(env), newOutbox(env), newConnectivity(env), newPlugin(env), newToken(env), newConfig(env), newDB(env), newVersion(env))
	root.SetFlagErrorFunc(explainFlag)
	explainArgs(root)
	return root
}

// explain tells a person what went wrong and what to do.
func (e *environment) explain(err error) {
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		_, _ = fmt.Fprintln(e.stderr, "The configuration has problems:")
		for _, p := range problems {
			_, _ = fmt.Fprintln(e.stderr, "  "+p.String())
		}
	default:
		_, _ = fmt.Fprintln(e.stderr, "posture: "+err.Error())
		if remedy := fault.RemedyOf(err); remedy != "" && !strings.Contains(err.Error(), remedy) {
			_, _ = fmt.Fprintln(e.stderr, "  "+remedy)
		}
	}
}

// load reads the configuration.
func (e *environment) load() (*config.File, error) {
	path, err := config.Find(e.configPath, e.getenv)
	if err != nil {
		return nil, err
	}
	return config.Load(path, e.environ, builtin.Names()...)
}

// loadOnce is load for commands that read the configuration more than once:
// standard input can be read only the first time.
func (e *environment) loadOnce() (*config.File, func() (*config.File, error), error) {
	file, err := e.load()
	if err != nil {
		return nil, nil, err
	}
	first := true
	return file, func() (*config.File, error) {
		if first {
			first = false
			return file, nil
		}
		return e.load()
	}, nil
}

// options are what every host of a command shares.
func (e *environment) options(load func() (*config.File, error), logger *slog.Logger) host.Options {
	return host.Options{Load: load, Logger: logger, Executable: executable(), Builtin: builtin.Names(), Describe: builtin.Describe}
}

// executable is what serves the built-in plugins. On Linux this is the file that
// runs now, even if an upgrade has put another one in its place.
func executable() string {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe"
	}
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// logger gives the log of a command that people read: only what went wrong, or
// everything with --verbose.
func (e *environment) logger() *slog.Logger {
	if !e.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// isTerminal reports whether somebody is looking at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is how many columns there are to write on: at most 100, which reads well.
func (e *environment) width() int {
	if f, ok := e.stdout.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return min(max(w, 40), 100)
		}
	}
	return 100
}

// colour reports whether to write in colour: to a terminal only, and not when
// NO_COLOR is set (no-color.org).
func (e *environment) colour() bool {
	return isTerminal(e.stdout) && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb"
}
