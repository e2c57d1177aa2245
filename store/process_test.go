package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// These tests need further processes: they run this test program again, which
// then does what TestProcess says.
const (
	processJob = "POSTURE_TEST_STORE_JOB"
	processDSN = "POSTURE_TEST_STORE_DSN"
)

// TestProcess is what a further process runs. It says each thing it has done in
// a line of its own.
func TestProcess(t *testing.T) {
	job, number, _ := strings.Cut(os.Getenv(processJob), " ")
	if job == "" {
		return
	}
	fmt.Println("begins")
	s, err := store.Open(t.Context(), store.Options{DSN: os.Getenv(processDSN)})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	fmt.Println("opened")
	for i := 0; job == "save" || job == "save-once" && i == 0; i++ {
		address := fmt.Sprintf("person%s-%d@example.com", number, i)
		if err := s.SavePosture(context.Background(), postureOf(address, start()), nil); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		fmt.Println("saved", address)
	}
	fmt.Println("done")
	os.Exit(0)
}

// process is a further process.
type process struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

func run(t testing.TB, dsn, job string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProcess$")
	cmd.Env = append(os.Environ(), processJob+"="+job, processDSN+"="+dsn)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &process{cmd: cmd, out: bufio.NewScanner(out)}
}

// next gives the next line, "" at the end.
func (p *process) next() string {
	if !p.out.Scan() {
		return ""
	}
	return p.out.Text()
}

// rest gives all further lines.
func (p *process) rest() []string {
	var lines []string
	for line := p.next(); line != ""; line = p.next() {
		lines = append(lines, line)
	}
	return lines
}

// A process that is killed while it migrates leaves a database that the next one
// can use.
func TestOpen_killedWhileMigrating(t *testing.T) {
	t.Parallel()
	engines := map[string]func(testing.TB) string{"sqlite": storetest.SQLite}
	if pgtest.Enabled() {
		engines["postgres"] = pgtest.Database
	}
	for name, newDatabase := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const wanted, most = 5, 60
			early := 0
			for attempt := 0; early < wanted; attempt++ {
				if attempt == most {
					t.Fatalf("only %d of %d processes were killed before they were through", early, most)
				}
				dsn := newDatabase(t)
				p := run(t, dsn, "open")
				if line := p.next(); line != "begins" {
					t.Fatalf("said %q", line)
				}
				time.Sleep(rand.N(60 * time.Millisecond)) // a random moment of the migration
				_ = p.cmd.Process.Kill()
				if lines := p.rest(); len(lines) == 0 {
					early++
				}
				s := storetest.Open(t, dsn, nil)
				save(t, s, postureOf("ada@example.com", start()))
				if status, err := s.Status(t.Context()); err != nil || !status.Current() {
					t.Errorf("status %+v, %v", status, err)
				}
				checkIntegrity(t, dsn)
			}
		})
	}
}

// Programs that open a new database at the same time all succeed.
func TestOpen_atOnce(t *testing.T) {
	t.Parallel()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		const n = 4
		processes := make([]*process, n)
		for i := range processes {
			processes[i] = run(t, dsn, fmt.Sprintf("save-once %d", i))
		}
		for i, p := range processes {
			if lines := p.rest(); len(lines) == 0 || lines[len(lines)-1] != "done" {
				t.Errorf("process %d said %q", i, lines)
			}
		}
		if counts, err := storetest.Open(t, dsn, nil).Counts(t.Context()); err != nil || counts.People != n {
			t.Errorf("counts %+v, %v", counts, err)
		}
	})
}

// What was accepted is there after SIGKILL.
func TestStore_killedWhileSaving(t *testing.T) {
	t.Parallel()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		var saved []string
		for i := range 5 {
			p := run(t, dsn, fmt.Sprintf("save %d", i))
			limit := 1 + rand.IntN(60)
			for line := p.next(); line != ""; line = p.next() {
				if address, ok := strings.CutPrefix(line, "saved "); ok {
					saved = append(saved, address)
				}
				if strings.HasPrefix(line, "failed") {
					t.Fatal(line)
				}
				if limit--; limit == 0 {
					_ = p.cmd.Process.Kill()
				}
			}
			_ = p.cmd.Wait()
		}
		s := storetest.Open(t, dsn, nil)
		for _, address := range saved {
			if _, err := s.Posture(t.Context(), address); err != nil {
				t.Errorf("lost: %v", err)
			}
		}
		if len(saved) == 0 {
			t.Error("nothing was saved")
		}
		checkIntegrity(t, dsn)
	})
}
