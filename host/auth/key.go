package auth

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/postureproject/posture/fault"
)

// minKey is how long a key at least is, in bytes: as long as what it makes.
const minKey = 32

// LocalKey gives the key that is kept in a state folder, and makes it if there
// is none. It serves where no key is configured, so that tokens can be tried out.
func LocalKey(stateDir string) ([]byte, error) {
	path := filepath.Join(stateDir, "token.key")
	if key, err := readKey(path); !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, keyError(stateDir, err)
	}
	random := make([]byte, minKey)
	_, _ = rand.Read(random) // never fails
	fresh := []byte(hex.EncodeToString(random))
	// Written aside and linked, so that two processes that start together agree.
	temporary, err := os.CreateTemp(stateDir, "token.key.*")
	if err != nil {
		return nil, keyError(stateDir, err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, writeErr := temporary.Write(fresh)
	if err := errors.Join(writeErr, temporary.Close()); err != nil {
		return nil, keyError(path, err)
	}
	switch err := os.Link(temporary.Name(), path); {
	case err == nil:
		return fresh, nil
	case errors.Is(err, fs.ErrExist):
		return readKey(path)
	default:
		return nil, keyError(path, err)
	}
}

// readKey reads a key that was kept earlier. A short one would let anybody guess
// tokens, and is an error.
func readKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path) //nolint:gosec // our own state folder
	if err != nil {
		return nil, keyError(path, err)
	}
	if len(key) < minKey {
		return nil, &fault.Error{
			Kind: fault.Invalid, Op: "keep the token key", Subject: path, Message: "the file holds less than a key",
			Remedy: "delete it, and a new key is made; tokens made with the old one end",
		}
	}
	return key, nil
}

func keyError(path string, err error) error {
	return &fault.Error{
		Kind: fault.Unavailable, Op: "keep the token key", Subject: path, Err: err,
		Remedy: "set jwt_secret_key, or name a state_dir that may be written",
	}
}
