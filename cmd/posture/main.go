// Command posture is the whole of Posture: command line, server, and the
// built-in plugins, which it serves when it is started as one by itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/postureproject/posture/plugins/builtin"
	"github.com/postureproject/posture/plugins/sdk"
)

// version is set by the build.
var version = "dev"

// gcPercent lets the heap grow to four times what is in use before it is
// collected, unless GOGC says otherwise. What is in use is a few megabytes, for
// which Go's default of twice would collect many times a second.
const gcPercent = 300

func main() {
	// First of all: as a plugin, standard output belongs to the handshake.
	if len(os.Args) == 4 && os.Args[1] == "plugin" && os.Args[2] == "serve" {
		servePlugin(os.Args[3])
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	code := run(ctx, os.Args[1:], environment{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), getenv: os.Getenv,
	})
	stop()
	os.Exit(code)
}

func servePlugin(name string) {
	p, ok := builtin.Plugin(name)
	if !ok {
		fmt.Fprintf(os.Stderr, "there is no built-in plugin %q\n", name)
		os.Exit(exitUsage)
	}
	sdk.Serve(p)
}

// run executes one command line and gives its exit status.
func run(ctx context.Context, args []string, env environment) int {
	root := newRoot(&env)
	root.SetArgs(args)
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	err := root.ExecuteContext(ctx)
	var status exitStatus
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(env.stderr, "interrupted")
		return exitInterrupted
	default:
		env.explain(err)
		return exitUsage
	}
}
