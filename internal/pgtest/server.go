package pgtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// superuser is the role that owns everything on a test server.
const superuser = "posture"

// Options say how a server behaves.
type Options struct {
	// Durable makes it flush what it commits, as in production. Tests do without.
	Durable bool
	// Settings are further ones, such as "max_connections=20".
	Settings []string
}

// Server is a PostgreSQL server.
type Server struct {
	folder     string // holds everything: data, socket, log
	binaries   string
	settings   string
	credential *syscall.Credential // of the unprivileged user; nil when we are one
	guard      *exec.Cmd
	leash      io.WriteCloser // a line, or its end, lets the guard clean up
}

// guardScript waits until the test process says that it is done, or dies, and
// then removes the server of the folder $1. After a death it stays for a while:
// an initdb under way makes the folder anew.
const guardScript = `read -r said
quiet=0
while [ "$quiet" -lt 30 ]; do
	pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
	if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
		while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
	fi
	if [ -e "$1" ]; then quiet=0; rm -rf "$1" 2>/dev/null; else quiet=$((quiet + 1)); fi
	[ -n "$said" ] && [ ! -e "$1" ] && exit
	sleep 0.1
done`

// start makes a server's folder, its guard and its first start.
func start(o Options) (*Server, error) {
	s := &Server{}
	var err error
	if s.binaries, err = binaries(); err != nil {
		return nil, err
	}
	if s.credential, err = unprivileged(); err != nil {
		return nil, err
	}
	s.folder = filepath.Join(os.TempDir(), "posture-pg-"+rand.Text())
	// The guard comes first, so that there is never a folder without one.
	if err := s.startGuard(); err != nil {
		return nil, err
	}
	if err := s.makeFolder(); err != nil {
		s.remove()
		return nil, err
	}
	settings := append([]string{
		"listen_addresses=", "unix_socket_directories=" + s.folder, "max_connections=200",
		"shared_buffers=32MB", "fsync=" + onOff(o.Durable), "full_page_writes=" + onOff(o.Durable), "synchronous_commit=" + onOff(o.Durable),
	}, o.Settings...)
	s.settings = "-c " + strings.Join(settings, " -c ")
	err = s.run("initdb", "--pgdata="+s.data(), "--username="+superuser, "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	if err == nil {
		err = s.start()
	}
	if err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) makeFolder() error {
	if err := os.Mkdir(s.folder, 0o700); err != nil || s.credential == nil {
		return err
	}
	return os.Chown(s.folder, int(s.credential.Uid), int(s.credential.Gid))
}

// startGuard starts the process that survives this one and clears up after it.
func (s *Server) startGuard() error {
	s.guard = s.command("/bin/sh", "-c", guardScript, "sh", s.folder)
	// A group of its own: what ends this process's group shall spare it.
	// Its user is ours, who may remove what is not handed over yet.
	s.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.guard.Dir = "/"
	leash, err := s.guard.StdinPipe()
	if err != nil {
		return err
	}
	s.leash = leash
	return s.guard.Start()
}

// remove ends the server and deletes its folder.
func (s *Server) remove() {
	_, _ = io.WriteString(s.leash, "done\n")
	_ = s.leash.Close()
	_ = s.guard.Wait()
}

func (s *Server) start() error {
	return s.run("pg_ctl", "--pgdata="+s.data(), "--log="+filepath.Join(s.folder, "log"), "--options="+s.settings, "--wait", "--timeout=60", "start")
}

// Start starts a stopped or killed server.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	// After a kill the server's children may take a moment to notice.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := s.start()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("start PostgreSQL: %v", err)
		}
	}
}

// Stop stops the server as an administrator does: connections are ended at once.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.run("pg_ctl", "--pgdata="+s.data(), "--mode=fast", "--wait", "stop"); err != nil {
		t.Fatalf("stop PostgreSQL: %v", err)
	}
}

// Kill ends the server as a crash does.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if err := s.run("pg_ctl", "--pgdata="+s.data(), "--mode=immediate", "--wait", "stop"); err != nil {
		t.Fatalf("kill PostgreSQL: %v", err)
	}
}

// running reports whether the server is up.
func (s *Server) running() bool {
	return s.run("pg_ctl", "--pgdata="+s.data(), "status") == nil
}

// run runs one of PostgreSQL's programs to its end.
func (s *Server) run(program string, args ...string) error {
	cmd := s.command(filepath.Join(s.binaries, program), args...)
	var said bytes.Buffer
	// A file, not a pipe: the server that pg_ctl leaves behind would hold it open.
	out, err := os.CreateTemp(s.folder, "out-")
	if err != nil {
		return err
	}
	defer func() { _, _ = out.Close(), os.Remove(out.Name()) }()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		if _, readErr := out.Seek(0, io.SeekStart); readErr == nil {
			_, _ = said.ReadFrom(out)
		}
		log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
		return fmt.Errorf("%s: %w\n%s%s", program, err, said.String(), log)
	}
	return nil
}

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = s.folder
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	return cmd
}

// binaries finds the newest server that is installed.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		if path, err := exec.LookPath("initdb"); err == nil {
			return filepath.Dir(path), nil
		}
		return "", errors.New("no server is installed (neither /usr/lib/postgresql/*/bin/initdb nor initdb in PATH)")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// unprivileged is whom to run the server as, since it refuses to run as root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("running as root, and there is no user postgres or nobody to run the server as")
}
