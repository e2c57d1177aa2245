package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/postureproject/posture/plugins/sdk"
)

// pipeGrace is how long a dead plugin's output is still read. A descendant of it
// may hold the pipes open for ever.
const pipeGrace = 500 * time.Millisecond

// child is a plugin's process. It implements go-plugin's runner: unlike the one
// that comes with it, it gives the process no standard input, a lifeline, a
// process group of its own, and a parent-death signal.
type child struct {
	cmd            *exec.Cmd
	stdout, stderr *os.File // the host's ends
	lifeline       *os.File // its closing, even by the host's death, tells the plugin to end
	done           chan struct{}
	exit           error // valid after done

	mu      sync.Mutex
	started int  // the process's id; zero before it runs
	killed  bool // it must not be started any more
}

// newChild prepares a process. Its environment stays bare: what go-plugin needs
// is added with withEnv, nothing of the host's.
func newChild(program Program) *child {
	cmd := exec.Command(program.Path, program.Args...) //nolint:gosec,noctx // the administrator names plugins; it outlives any context
	cmd.Args[0] = "posture-plugin-" + program.Name
	cmd.Dir = program.Dir
	cmd.SysProcAttr = sysProcAttr()
	return &child{cmd: cmd, done: make(chan struct{})}
}

func (c *child) withEnv(env []string) *child {
	c.cmd.Env = append(append([]string(nil), env...), sdk.LifelineKey+"=3")
	return c
}

// Start implements go-plugin's Runner. The thread that starts the process waits
// for it too, and so lives as long: Linux sends the parent-death signal when the
// starting thread ends, not when the process does.
func (c *child) Start(context.Context) error {
	var pipes []*os.File
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			pipes = append(pipes, r, w)
		}
		return r, w, err
	}
	closeAll := func() {
		for _, f := range pipes {
			_ = f.Close()
		}
	}
	outR, outW, err1 := pipe()
	errR, errW, err2 := pipe()
	lifeR, lifeW, err3 := pipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		closeAll()
		return err
	}
	c.stdout, c.stderr, c.lifeline = outR, errR, lifeW
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.ExtraFiles = outW, errW, []*os.File{lifeR}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.run()
		_, _, _ = outW.Close(), errW.Close(), lifeR.Close()
		started <- err
		if err == nil {
			c.wait()
		}
	}()
	if err := <-started; err != nil {
		closeAll()
		return fmt.Errorf("start %s: %w", c.cmd.Path, err)
	}
	return nil
}

// run starts the process unless it was killed before.
func (c *child) run() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed {
		return context.Canceled
	}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	c.started = c.cmd.Process.Pid
	return nil
}

func (c *child) wait() {
	c.exit = c.cmd.Wait()
	_ = killGroup(c.started) // what it may have started itself
	_ = c.lifeline.Close()
	// Reading is go-plugin's; give it time to see the end, then force it.
	time.AfterFunc(pipeGrace, func() { _, _ = c.stdout.Close(), c.stderr.Close() })
	close(c.done)
}

// Wait implements go-plugin's Runner.
func (c *child) Wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.exit
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kill implements go-plugin's Runner: it ends the process and all of its group
// at once, or keeps it from starting.
func (c *child) Kill(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = true
	if c.started == 0 || isClosed(c.done) {
		return nil
	}
	if err := killGroup(c.started); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// exitReason says how the process ended; call it after done.
func (c *child) exitReason() string {
	if c.exit != nil {
		return c.exit.Error()
	}
	return "exit status 0"
}

// The rest of go-plugin's Runner.

func (c *child) Stdout() io.ReadCloser { return c.stdout }
func (c *child) Stderr() io.ReadCloser { return newSaneStderr(c.stderr) }
func (c *child) Name() string          { return c.cmd.Path }

func (c *child) ID() string {
	if pid := c.pid(); pid != 0 {
		return strconv.Itoa(pid)
	}
	return ""
}

func (c *child) pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.started
}

func (c *child) Diagnose(context.Context) string { return "" }

func (c *child) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (c *child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
