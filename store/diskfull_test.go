//go:build linux

package store_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// roomForTests is how much the small disk holds, in bytes.
const roomForTests = 4 << 20

// limitedFiles makes this process one whose files cannot grow beyond
// roomForTests: what a quota does.
const limitedFiles = "POSTURE_TEST_LIMITED_FILES"

// On a full disk writing fails with a clear error, nothing is damaged, what is
// stored can still be read, and with room again everything goes on. A small file
// system needs the right to mount; without it only a limit of the file size is
// tested.
func TestStore_diskFull(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	err := syscall.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%d", roomForTests))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Logf("no small file system, which needs root: %v", err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	// Something else on the disk, that an administrator can remove.
	ballast := filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, roomForTests/2), 0o600); err != nil {
		t.Fatal(err)
	}
	fillDisk(t, folder, "the disk is full", func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	})
}

// The same with a quota, here the limit of the size of a file. It holds for a
// whole process, so the test runs itself again in one of its own.
func TestStore_fileLimit(t *testing.T) {
	t.Parallel()
	if os.Getenv(limitedFiles) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestStore_fileLimit$")
		cmd.Env = append(os.Environ(), limitedFiles+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: roomForTests / 4, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	fillDisk(t, t.TempDir(), "cannot be read or written", func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	})
}

func fillDisk(t *testing.T, folder, message string, makeRoom func()) {
	t.Helper()
	dsn := "sqlite:" + filepath.Join(folder, "posture.db")
	s := storetest.Open(t, dsn, nil)
	var saved []device.Posture
	for {
		p := postureOf(fmt.Sprintf("person%d@example.com", len(saved)), start())
		noise := make([]byte, 24<<10) // does not compress
		_, _ = rand.Read(noise)
		p.Devices = []device.Device{{Name: base64.StdEncoding.EncodeToString(noise)}}
		err := s.SavePosture(t.Context(), p, nil)
		if err != nil {
			checkFull(t, err, message)
			break
		}
		if saved = append(saved, p); len(saved) > 1000 {
			t.Fatal("the disk never got full")
		}
	}
	if len(saved) == 0 {
		t.Fatal("nothing was ever saved")
	}
	for range 3 { // it stays full, and reading goes on
		err := s.SavePosture(t.Context(), saved[0], []device.Collection{{Plugin: "jamf", Devices: saved[0].Devices}})
		checkFull(t, err, message)
		checkSaved(t, s, saved)
	}
	makeRoom()
	save(t, s, saved[0])
	checkIntegrity(t, dsn)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	checkSaved(t, storetest.Open(t, dsn, nil), saved)
}

func checkFull(t *testing.T, err error, message string) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Unavailable || e.Remedy == "" || e.Source != "store" || !strings.Contains(e.Message, message) {
		t.Fatalf("error %v (%s), remedy %q", err, fault.KindOf(err), fault.RemedyOf(err))
	}
}

func checkSaved(t *testing.T, s *store.Store, want []device.Posture) {
	t.Helper()
	for _, p := range want {
		got, err := s.Posture(t.Context(), p.Email)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, got); diff != "" {
			t.Fatalf("(-want +got):\n%.500s", diff)
		}
	}
	if people, err := s.KnownPeople(t.Context(), "", len(want)+1); err != nil || len(people) != len(want) {
		t.Fatalf("%d people, %v; want %d", len(people), err, len(want))
	}
}
