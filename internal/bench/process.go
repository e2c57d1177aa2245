package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is another run of this program, which speaks JSON with it over
// standard input and output. It ends when its input does.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func start(ctx context.Context, program string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, in: in, out: json.NewDecoder(out)}, nil
}

func (p *process) send(v any) error    { return json.NewEncoder(p.in).Encode(v) }
func (p *process) receive(v any) error { return p.out.Decode(v) }

// call sends a question and waits for the answer.
func (p *process) call(question, answer any) error {
	if err := p.send(question); err != nil {
		return err
	}
	return p.receive(answer)
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.in.Close()
	_ = p.cmd.Wait()
}

// ownCPU is the processor time, user and system, that this process has used.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// ticksPerSecond is the unit of /proc's processor times, which Linux fixes at
// this value for user space on every machine that Go runs on.
const ticksPerSecond = 100

// cpuOf is the processor time, user and system, that another process has used,
// to a hundredth of a second.
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return 0, err
	}
	// The fields behind the name, which may hold anything: utime is the 12th.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s has %d fields", procFile(pid, "stat"), len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond, errors.Join(err1, err2)
}

// memory is what a process occupies, in bytes: all of its resident pages, and
// those that no other process shares.
type memory struct{ Resident, Private int64 }

// memoryOf reads /proc/PID/smaps_rollup, which counts in kB.
func memoryOf(pid int) (m memory, err error) {
	text, err := os.ReadFile(procFile(pid, "smaps_rollup"))
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		kB, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return m, err
		}
		switch {
		case fields[0] == "Rss:":
			m.Resident += kB << 10
		case strings.HasPrefix(fields[0], "Private_"):
			m.Private += kB << 10
		}
	}
	return m, nil
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }
