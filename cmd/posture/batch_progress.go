package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/postureproject/posture/batch"
)

// tellEvery is how often a run tells how far it is where nobody sees a bar.
const tellEvery = 10 * time.Second

// runProgress tells how far a run is: a bar with rate, failures and time left on a
// terminal, a line now and then elsewhere.
type runProgress struct {
	env *environment
	bar *progress // for what comes before people can be counted

	mu      sync.Mutex
	id      string
	people  *progressbar.ProgressBar
	phase   batch.Phase
	since   time.Time // when the scanning began
	before  int       // who was through by then
	told    time.Time
	stopped bool
}

func (e *environment) newRunProgress() *runProgress {
	return &runProgress{env: e, bar: e.newProgress()}
}

// started prints the run's id, before anything else.
func (p *runProgress) started(id string) {
	p.bar.done()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id, p.told = id, time.Now()
	_, _ = fmt.Fprintln(p.env.stderr, id)
}

func (p *runProgress) begun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id != ""
}

// show takes what a run tells.
func (p *runProgress) show(now batch.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	if now.Phase != p.phase || p.since.IsZero() {
		p.phase, p.since, p.before = now.Phase, time.Now(), done(now)
		if p.people != nil { // another bar, with a rate of its own
			_ = p.people.Clear()
			p.people = nil
		}
	}
	switch {
	case !p.bar.visible:
		if time.Since(p.told) >= tellEvery {
			p.told = time.Now()
			_, _ = fmt.Fprintln(p.env.stderr, p.line(now))
		}
	case now.Phase == batch.Reading:
		if time.Since(p.told) >= 100*time.Millisecond {
			p.told = time.Now()
			p.bar.say("reading the sources' lists: " + listed(now))
		}
	default:
		p.draw(now)
	}
}

// draw shows the bar.
func (p *runProgress) draw(now batch.Progress) {
	if p.people == nil {
		_, _ = fmt.Fprint(p.env.stderr, "\r\033[K")
		p.people = progressbar.NewOptions(now.People, progressbar.OptionSetWriter(p.env.stderr), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(50*time.Millisecond), progressbar.OptionSetWidth(20), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString("people"), progressbar.OptionSetPredictTime(true))
	}
	p.people.Describe(now.Phase.String() + failures(now))
	p.people.ChangeMax(now.People)
	_ = p.people.Set(done(now))
}

// done counts who is through with what goes on: while people are scanned, also
// those who are put back for the second try.
func done(now batch.Progress) int {
	if now.Phase == batch.Scanning {
		return now.Settled() + now.Waiting
	}
	return now.Settled()
}

// listed says what was read; how many people they are of is known at the end only.
func listed(now batch.Progress) string {
	text := plural(now.Listed, "device")
	if now.People > 0 {
		text += ", " + people(now.People)
	}
	return text
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

func failures(now batch.Progress) string {
	text := ""
	add := func(n int, what string) {
		if n > 0 {
			text += fmt.Sprintf(", %d %s", n, what)
		}
	}
	add(now.Waiting, "to be tried again")
	add(now.Partial, "partial")
	add(now.Failed, "failed")
	return text
}

// line says in one line how far the run is.
func (p *runProgress) line(now batch.Progress) string {
	if now.Phase == batch.Reading {
		return now.Phase.String() + ": " + listed(now)
	}
	text := fmt.Sprintf("%s: %d of %s%s", now.Phase, done(now), people(now.People), failures(now))
	rate := float64(done(now)-p.before) / time.Since(p.since).Seconds()
	if rate > 0 {
		left := time.Duration(float64(now.People-done(now)) / rate * float64(time.Second))
		text += fmt.Sprintf(", %.1f a second, %s left", rate, left.Round(time.Second))
	}
	return text
}

// done takes the progress off the screen.
func (p *runProgress) done() {
	p.bar.done()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if p.people != nil {
		_ = p.people.Clear()
		p.people = nil
	}
}
