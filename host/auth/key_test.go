package auth_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
)

// Everybody who starts at once gets the one key, which stays and is nobody
// else's to read.
func TestLocalKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	var group sync.WaitGroup
	keys, errs := make([][]byte, 16), make([]error, 16)
	for i := range keys {
		group.Go(func() { keys[i], errs[i] = auth.LocalKey(dir) })
	}
	group.Wait()
	for i := range keys {
		if errs[i] != nil || len(keys[i]) < 32 || !bytes.Equal(keys[i], keys[0]) {
			t.Fatalf("key %d: %d bytes, as the first: %v, %v", i, len(keys[i]), bytes.Equal(keys[i], keys[0]), errs[i])
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("files %v, %v", entries, err)
	}
	for _, path := range []string{dir, filepath.Join(dir, entries[0].Name())} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	other, err := auth.LocalKey(t.TempDir())
	if err != nil || bytes.Equal(other, keys[0]) {
		t.Errorf("another folder has the same key, or %v", err)
	}
}

func TestLocalKey_Unusable(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "short"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "token.key"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := auth.LocalKey(dir)
		if len(key) != 0 || fault.KindOf(err) != fault.Invalid || fault.RemedyOf(err) == "" || !strings.Contains(err.Error(), dir) {
			t.Errorf("a key of %d bytes: %q, %v", len(content), key, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := auth.LocalKey(filepath.Join(file, "state")); len(key) != 0 || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("below a file: %q, %v", key, err)
	}
}
