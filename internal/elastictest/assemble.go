package elastictest

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// project is the Maven project that fetches the server's jars, and the sources of
// what they lack.
//
//go:embed server
var project embed.FS

// assembleLimit bounds fetching and compiling; about 70 MB are fetched.
const assembleLimit = 5 * time.Minute

// assemble gives the folder with the server, which it makes when this version of
// the project has not been made on this machine before. Test processes that run
// at once wait for the one that makes it.
func assemble() (string, error) {
	for _, command := range []string{"java", "javac", "jar", "mvn"} {
		if _, err := exec.LookPath(command); err != nil {
			return "", fmt.Errorf("the command %s is missing: install a JDK of version 17 or newer and Maven (Debian: default-jdk-headless maven)", command)
		}
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	version, err := fingerprint()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "elasticsearch-"+version)
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }() // frees the lock, too
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	work, err := os.MkdirTemp(cache, "making-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	made, err := build(work)
	if err != nil {
		return "", err
	}
	return dir, os.Rename(made, dir)
}

// cacheDir is where assembled servers stay between runs.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil { // no HOME
		base = filepath.Join(os.TempDir(), fmt.Sprintf("posture-cache-%d", os.Getuid()))
	}
	dir := filepath.Join(base, "posture-test")
	return dir, os.MkdirAll(dir, 0o700)
}

// fingerprint changes with every file of the project.
func fingerprint() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(project, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := project.ReadFile(path)
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:6]), err
}

// build makes the server in a folder and gives where in it.
func build(work string) (string, error) {
	if err := os.CopyFS(work, project); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), assembleLimit)
	defer cancel()
	source := filepath.Join(work, "server")
	server := filepath.Join(source, "target", "server")
	root := filepath.Join(source, "target", "root")
	jars := filepath.Join(server, "lib", "*")
	steps := [][]string{
		{"mvn", "-q", "-B", "-ntp", "package"},
		{"javac", "-cp", jars, "-d", filepath.Join(server, "node"), filepath.Join(source, "node", "Main.java")},
		{"javac", "-cp", jars, "-d", root, filepath.Join(source, "root", "Root.java")},
		{"jar", "--create", "--file", filepath.Join(server, "home", "modules", "root", "root.jar"), "-C", root, "."},
	}
	for _, step := range steps {
		cmd := exec.CommandContext(ctx, step[0], step[1:]...)
		cmd.Dir = source
		if output, err := cmd.CombinedOutput(); err != nil {
			return "", explain(ctx, step[0], output, err)
		}
	}
	for _, folder := range []string{"config", "plugins"} {
		if err := os.Mkdir(filepath.Join(server, "home", folder), 0o700); err != nil {
			return "", err
		}
	}
	return server, nil
}

func explain(ctx context.Context, command string, output []byte, err error) error {
	if ctx.Err() != nil {
		err = fmt.Errorf("not done within %s", assembleLimit)
	}
	hint := "a JDK of version 17 or newer is needed"
	if command == "mvn" {
		hint = "Maven must reach its repository the first time; ~/.m2/settings.xml names a mirror"
	}
	return errors.Join(fmt.Errorf("%s: %w (%s)", command, err, hint), errors.New(string(tail(output))))
}
