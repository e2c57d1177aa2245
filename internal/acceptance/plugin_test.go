package acceptance_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/postureproject/posture/device"
)

// repositoryRoot gives the folder that holds Posture's go.mod.
func repositoryRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the working folder")
		}
		dir = parent
	}
}

// builtOnce builds cmd/posture once for all tests of the process.
var builtOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "posture-acceptance-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "posture")
	out, err := exec.Command("go", "build", "-o", path, "github.com/postureproject/posture/cmd/posture").CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := builtOnce(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// postureProgram gives the path of the built program.
func postureProgram(t testing.TB) string {
	t.Helper()
	path, err := builtOnce()
	if err != nil {
		t.Fatalf("build posture: %v", err)
	}
	return path
}

// posture runs the program in dir and gives what it wrote and its exit status.
func posture(t testing.TB, dir string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), postureProgram(t), args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("posture %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// scanOne asks about one person and gives the answer.
func scanOne(t testing.TB, dir, email string, wantStatus int) device.Posture {
	t.Helper()
	stdout, stderr, status := posture(t, dir, "scan", "--json", email)
	if status != wantStatus {
		t.Fatalf("posture scan: exit status %d, want %d\n%s%s", status, wantStatus, stdout, stderr)
	}
	var answers []device.Posture
	if err := json.Unmarshal([]byte(stdout), &answers); err != nil || len(answers) != 1 {
		t.Fatalf("posture scan: %d answers, error %v\n%s%s", len(answers), err, stdout, stderr)
	}
	return answers[0]
}

// outcome gives what became of one plugin in a scan.
func outcome(t testing.TB, a device.Posture, plugin string) device.Outcome {
	t.Helper()
	i := slices.IndexFunc(a.Sources, func(o device.Outcome) bool { return o.Plugin == plugin })
	if i < 0 {
		t.Fatalf("%s is not among the outcomes %+v", plugin, a.Sources)
	}
	return a.Sources[i]
}

func writeFile(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// checksum gives a file's SHA-256 in hexadecimal digits.
func checksum(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// configure writes dir/posture.yaml with the built-in file plugin and the given
// plugins' blocks, indented by two.
func configure(t testing.TB, dir string, blocks ...string) {
	t.Helper()
	writeFile(t, filepath.Join(dir, "devices.json"),
		`[{"name": "from the file", "email": "ada@example.com", "serial": "FILE0001", "platform": "Windows"}]`, 0o600)
	writeFile(t, filepath.Join(dir, "posture.yaml"), `
plugin_dir: plugins
state_dir: state
plugins:
  file:
    DEVICES_FILES: [`+filepath.Join(dir, "devices.json")+`]
`+strings.Join(blocks, ""), 0o600)
}
