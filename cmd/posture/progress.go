package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/postureproject/posture/device"
)

// progress tells somebody who waits at a terminal how far the work is. To
// anything else it says nothing.
type progress struct {
	mu      sync.Mutex
	bar     *progressbar.ProgressBar
	env     *environment
	visible bool
}

func (e *environment) newProgress() *progress {
	return &progress{env: e, visible: isTerminal(e.stderr) && !e.verbose}
}

func (p *progress) start(total int, what string) {
	if !p.visible {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(p.env.stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(50*time.Millisecond), progressbar.OptionSetWidth(20),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true))
	_ = p.bar.RenderBlank()
}

// say shows what is going on while nothing can be counted.
func (p *progress) say(what string) {
	if p.visible {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, _ = fmt.Fprintf(p.env.stderr, "\r\033[K%s …", what)
	}
}

func (p *progress) people(n int) {
	if p.visible {
		_, _ = fmt.Fprint(p.env.stderr, "\r\033[K")
	}
	p.start(n, "scanning")
}

// source notes that a source has answered.
func (p *progress) source(o device.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("scanning (%s answered)", o.Plugin))
	}
}

func (p *progress) person() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Add(1)
	}
}

// done takes the progress off the screen.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Finish()
		_ = p.bar.Clear()
		p.bar = nil
	} else if p.visible {
		_, _ = fmt.Fprint(p.env.stderr, "\r\033[K")
	}
}
