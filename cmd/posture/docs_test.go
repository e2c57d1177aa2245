package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The description of the configuration and its schema are made of the plugins'
// own declarations; the files in docs must be what this version prints.
func TestGeneratedDocs(t *testing.T) {
	t.Parallel()
	for command, name := range map[string]string{"reference": "configuration.md", "schema": "posture.schema.json"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			env := environment{stdin: &bytes.Buffer{}, stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }}
			if code := run(t.Context(), []string{"config", command}, env); code != exitOK || stderr.Len() > 0 {
				t.Fatalf("exit status %d: %s", code, &stderr)
			}
			path := filepath.Join("..", "..", "docs", name)
			have, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(have), stdout.String()); diff != "" {
				t.Errorf("docs/%s is out of date; run make docs (-have +want):\n%.2000s", name, diff)
			}
		})
	}
}
