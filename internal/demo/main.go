// Command demo is the quick start: it runs a simulated company (every vendor
// that Posture knows, on loopback) and the real daemon, configured against it,
// and says what to try. It ends both when it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/postureproject/posture/internal/simulator/company"
	"github.com/postureproject/posture/internal/simulator/fleet"
)

func main() {
	var o options
	flag.StringVar(&o.posture, "posture", "bin/posture", "the posture `BINARY`")
	flag.StringVar(&o.dir, "dir", ".demo", "`FOLDER` for the configuration and the state")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:5000", "`HOST:PORT` for the daemon; another port is taken when it is in use")
	flag.IntVar(&o.people, "people", 40, "how many `PEOPLE` the company has")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type options struct {
	posture, dir, listen string
	people               int
}

func run(ctx context.Context, o options) error {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	// What the last demo left is another company's.
	received := filepath.Join(dir, "received")
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "state")), os.RemoveAll(received)); err != nil {
		return err
	}
	c, err := company.Start(company.Options{Fleet: fleet.New(fleet.Options{People: o.people, Now: time.Now()}), Dir: dir})
	if err != nil {
		return fmt.Errorf("start the simulators: %w", err)
	}
	defer c.Close()
	url, stop, err := startReceiver(received)
	if err != nil {
		return fmt.Errorf("start the receiver: %w", err)
	}
	defer stop()
	addSinks(c, url)
	address, err := freeAddress(ctx, o.listen)
	if err != nil {
		return err
	}
	configFile, err := writeConfig(c, dir, address)
	if err != nil {
		return err
	}
	return serve(ctx, o, c, configFile, address)
}

// freeAddress gives the wanted address, or one on a free port if it is taken.
func freeAddress(ctx context.Context, wanted string) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", wanted)
	if err != nil {
		if l, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return "", err
		}
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// addSinks has what a nightly run finds sent to the company's search server and to
// its receiver, and accesses logged.
func addSinks(c *company.Company, receiver string) {
	search := c.Plugins["es_notifications"]["ELASTICSEARCH_HOSTS"]
	c.Plugins["batch_es"] = map[string]any{"ELASTICSEARCH_HOSTS": search, "ELASTICSEARCH_INDEX_PREFIX": "stethoscope_devices-"}
	c.Plugins["es_logger"] = map[string]any{"ELASTICSEARCH_HOSTS": search, "ELASTICSEARCH_INDEX_PREFIX": "stethoscope_access-"}
	c.Plugins["batch_restful_summary"] = map[string]any{"URL": receiver + "/summary"}
	c.Plugins["restful_feedback"] = map[string]any{"URL": receiver + "/feedback"}
}

func writeConfig(c *company.Company, dir, address string) (string, error) {
	c.Plugins["re_filter"] = map[string]any{"PATTERN_MAP": map[string]any{"model": "(Virtual Machine|VMware|amazon|HVM domU)"}}
	c.Plugins["vpn_labeler"] = map[string]any{"VPN_CIDRS": []string{"192.0.2.0/24"}}
	text, err := c.YAML(map[string]any{"listen": address, "state_dir": filepath.Join(dir, "state")})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "posture.yaml")
	return path, os.WriteFile(path, text, 0o600)
}

// serve runs the daemon until the context or the daemon ends.
func serve(ctx context.Context, o options, c *company.Company, configFile, address string) error {
	daemon := exec.CommandContext(ctx, o.posture, "serve", "--config", configFile)
	daemon.Stdout, daemon.Stderr = os.Stdout, os.Stderr
	// The demo's configuration is whole; what is set for another one stays out.
	daemon.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "POSTURE_") })
	daemon.Cancel = func() error { return daemon.Process.Signal(syscall.SIGTERM) }
	daemon.WaitDelay = 30 * time.Second
	if err := daemon.Start(); err != nil {
		return fmt.Errorf("start %s: %w", o.posture, err)
	}
	ended := make(chan error, 1)
	go func() {
		err := daemon.Wait()
		if ctx.Err() != nil {
			ended <- nil // we ended it
			return
		}
		ended <- errors.Join(errors.New("the daemon ended"), err)
	}()
	select {
	case err := <-ended:
		return err
	case err := <-ready(ctx, "http://"+address+"/readyz"):
		if err == nil {
			tell(o, c, configFile, address)
		}
	}
	return <-ended
}

// ready waits until the daemon answers.
func ready(ctx context.Context, url string) <-chan error {
	done := make(chan error, 1)
	go func() {
		for {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				done <- err
				return
			}
			resp, err := http.DefaultClient.Do(req)
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					done <- nil
					return
				}
			}
			select {
			case <-ctx.Done():
				done <- ctx.Err()
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return done
}

func tell(o options, c *company.Company, configFile, address string) {
	if relative, err := filepath.Rel(workingDir(), configFile); err == nil {
		configFile = relative
	}
	ada, grace := c.Fleet.Person(0).Email, c.Fleet.Person(2).Email
	fmt.Printf(`
Posture is running at http://%[1]s for a simulated company of %[2]d people.
Seven sources answer: Google, Jamf, LANDESK, bitFit, Duo, Elasticsearch and a file.
Elasticsearch and a receiver of summaries take what a run over everybody finds.

Try, in another terminal:

  export POSTURE_CONFIG=%[4]s
  %[3]s scan %[5]s
  %[3]s scan --json %[6]s
  %[3]s connectivity
  %[3]s batch                    # the nightly run, now
  %[3]s batch list
  %[3]s outbox list              # what waits for sinks
  POSTURE_PLUGINS_JAMF_JAMF_API_PASSWORD=wrong %[3]s scan %[6]s
  %[3]s events list              # what failed

  http://%[1]s/api/v1/posture/%[5]s
  http://%[1]s/api/v1/devices/merged/%[6]s
  http://%[1]s/api/v1/batch/runs
  http://%[1]s/readyz
  http://%[1]s/metrics

Ctrl-C ends it.

`, address, o.people, o.posture, configFile, ada, grace)
}

func workingDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}
