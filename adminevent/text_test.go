package adminevent_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/postureproject/posture/adminevent"
)

func TestClean(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain", "jamf: no answer within 5 s (3 times)", "jamf: no answer within 5 s (3 times)"},
		{"lines and colours", "a\r\nb\x1b[31mred\x00", "a b [31mred"},
		{"turned writing", "a\u202eb\u2066c", "abc"},
		{"broken", "a\xffb", "a b"},
		{"query", `Get "https://h.example/p?token=abc&x=1": refused`, `Get "https://h.example/p": refused`},
		{"fragment", "see https://h.example/p#access_token=abc, then", "see https://h.example/p, then"},
		{"user", "dial postgres://posture:s3cret@db.example:5432/x failed", "dial postgres://db.example:5432/x failed"},
		{"user with an at sign", "postgres://posture:s3@cret@db.example/x", "postgres://db.example/x"},
		{"query at the end", "https://h.example?key=abc", "https://h.example"},
		{"name and value", "login with password=hunter2 failed", "login with password=[redacted] failed"},
		{"name, then value", "password: hunter2", "password: [redacted]"},
		{"header", "Authorization: Bearer abc.def.ghi was refused", "Authorization: Bearer [redacted] was refused"},
		{"JSON", `{"client_secret":"abc"}`, `{"client_secret":[redacted]`},
		{"JSON of several fields", `{"user":"ada","password":"hunter2"} was refused`, `{"user":"ada","password":[redacted] was refused`},
		{"form", "user=ada&password=hunter2", "user=ada&password=[redacted]"},
		{"settings", "server=db;pwd=hunter2;port=1", "server=db;pwd=[redacted]"},
		{"value by itself", "token = hunter2 was refused", "token = [redacted] was refused"},
		{"name at the end", "no password: ", "no password:"},
		{"basic", "Basic dXNlcjpwYXNz", "Basic [redacted]"},
		{"basic as a word", "a basic check", "a basic check"},
		{"token as a word", "the token has expired", "the token has expired"},
		{"nothing", "  ", ""},
	}
	for _, tt := range tests {
		if got := adminevent.Clean(tt.in); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := adminevent.Clean(strings.Repeat("ä ", 5000)); len(got) > 1000 || !strings.HasSuffix(got, "…") || !utf8.ValidString(got) {
		t.Errorf("a long text has %d bytes", len(got))
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "a b", "https://u:p@h/?q#f", "token=x", "Bearer y", "\x00\xff", "://", "=://", "password: :"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := adminevent.Clean(text)
		if len(got) > 1000 || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func TestEnums(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(adminevent.Event{Type: adminevent.TypeGeneric, Level: adminevent.LevelError, NumOccurrences: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"type":"ADMINISTRATION_EVENT_TYPE_GENERIC"`, `"level":"ADMINISTRATION_EVENT_LEVEL_ERROR"`, `"numOccurrences":1152921504606846976`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s lacks %s", body, want)
		}
	}
	for _, text := range []string{"ADMINISTRATION_EVENT_LEVEL_WARNING", "WARNING", "warning", " Warning "} {
		var l adminevent.Level
		if err := l.UnmarshalText([]byte(text)); err != nil || l != adminevent.LevelWarning {
			t.Errorf("%q: %v, %v", text, l, err)
		}
	}
	for _, text := range []string{"", "FATAL", "3", "ADMINISTRATION_EVENT_TYPE_GENERIC"} {
		var l adminevent.Level
		if err := l.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a level", text)
		}
	}
	var typ adminevent.Type
	if err := typ.UnmarshalText([]byte("log_message")); err != nil || typ != adminevent.TypeLogMessage {
		t.Errorf("%v, %v", typ, err)
	}
	if err := typ.UnmarshalText([]byte("x")); err == nil {
		t.Error("x is a type")
	}
}
