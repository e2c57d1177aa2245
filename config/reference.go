package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The prefixes of a text value that stands for another.
const (
	filePrefix    = "file:"
	envPrefix     = "env:"
	literalPrefix = "literal:" // what follows is the value, whatever it starts with
)

// maxReferenced bounds the size of a file that a value refers to.
const maxReferenced = 1 << 20

func isReference(text string) bool {
	return strings.HasPrefix(text, filePrefix) || strings.HasPrefix(text, envPrefix)
}

// trouble is why a reference gives no value. It never holds a value.
type trouble struct{ message, remedy string }

// dereference gives the text that file:… or env:… stands for, and whether every
// user of the machine may read it.
func (f *File) dereference(reference string) (text string, exposed bool, t *trouble) {
	if name, ok := strings.CutPrefix(reference, envPrefix); ok {
		text, t = f.variable(name)
		return text, false, t
	}
	return f.content(strings.TrimPrefix(reference, filePrefix))
}

func (f *File) variable(name string) (string, *trouble) {
	if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name) {
		return "", &trouble{"the value starts with env:, but no name of an environment variable follows", "put literal: before a value that really starts with env:"}
	}
	if f.environ[name] == "" {
		return "", &trouble{fmt.Sprintf("env:%s refers to an environment variable that is not set", name), "set " + name + " in the environment of posture"}
	}
	return f.environ[name], nil
}

func (f *File) content(path string) (string, bool, *trouble) {
	if path == "" {
		return "", false, &trouble{"the value starts with file:, but no path follows", "put literal: before a value that really starts with file:"}
	}
	named := filePrefix + path
	if !filepath.IsAbs(path) {
		path = filepath.Join(f.dir, path)
	}
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return "", false, &trouble{named + " refers to a file that does not exist", "create it; a relative path starts at the configuration file's folder"}
	case err != nil:
		return "", false, &trouble{named + " cannot be read", "allow the user that runs posture to read it"}
	case !info.Mode().IsRegular():
		return "", false, &trouble{named + " is not an ordinary file", "name a file that holds only the value"}
	case info.Size() > maxReferenced:
		return "", false, &trouble{named + " is larger than 1 MiB", "name a file that holds only the value"}
	}
	data, err := readBounded(path)
	if err != nil {
		return "", false, &trouble{named + " cannot be read", "allow the user that runs posture to read it"}
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case text == "":
		return "", false, &trouble{named + " is empty", "write the value into it"}
	case !utf8.ValidString(text):
		return "", false, &trouble{named + " is not UTF-8 text", "name a file that holds only the value"}
	}
	return text, info.Mode().Perm()&0o004 != 0, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the administrator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxReferenced+1))
}
