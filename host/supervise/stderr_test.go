package supervise

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestSaneStderr(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*stderrLineMax)
	tests := []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"plain text", "hello\nworld", "hello\nworld"},
		{"a log line", `{"@message":"a","@level":"info","n":1}` + "\n", `{"@message":"a","@level":"info","n":1}` + "\n"},
		{"no log line", `{"message":1}` + "\n\n[1]\nnull\n", `{"message":1}` + "\n\n[1]\nnull\n"},
		{"odd message", `{"@message":1}` + "\nnext\n", `malformed log line: {"@message":1}` + "\nnext\n"},
		{"odd level", ` {"@level":null}` + "\r\n", `malformed log line:  {"@level":null}` + "\r\n"},
		{"odd time, no end", `{"@timestamp":{}}`, `malformed log line: {"@timestamp":{}}`},
		{"escaped", `{"\u0040message":[]}` + "\n", `malformed log line: {"\u0040message":[]}` + "\n"},
		{"long", "a\n" + long + "\nb\n", "a\n… " + long + "\nb\n"},
		{"long, odd", `{"@message":"` + long + `","@level":1}` + "\nb\n", `… {"@message":"` + long + `","@level":1}` + "\nb\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for name, in := range map[string]io.Reader{
				"at once": strings.NewReader(tt.in), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				got, err := io.ReadAll(newSaneStderr(io.NopCloser(in)))
				if err != nil || string(got) != tt.want {
					t.Errorf("%s: got %.80q, want %.80q, error %v", name, got, tt.want, err)
				}
			}
		})
	}
}

// FuzzSaneStderr checks that every line that comes out is harmless, and that
// nothing is lost.
func FuzzSaneStderr(f *testing.F) {
	f.Add([]byte(`{"@message":1}` + "\n{}"))
	f.Add([]byte("plain\n\x00{\"@level\":[\"@message\"]}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := io.ReadAll(newSaneStderr(io.NopCloser(bytes.NewReader(in))))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(out))
		lines.Buffer(nil, len(out)+1)
		for lines.Scan() {
			if !loggable(lines.Bytes()) {
				t.Errorf("harmful: %q", lines.Bytes())
			}
		}
		if len(out) < len(in) {
			t.Errorf("%d of %d bytes", len(out), len(in))
		}
	})
}
