package sdk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/postureproject/posture/plugins/sdk"
)

// However it is printed, a secret does not show.
func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	const value = "hunter2"
	var document sdk.SecretJSON
	if err := json.Unmarshal([]byte(`{"private_key":"hunter2"}`), &document); err != nil {
		t.Fatal(err)
	}
	secret := sdk.Secret(value)
	type config struct {
		Password sdk.Secret
		Pointer  *sdk.Secret
		Key      sdk.SecretJSON
		List     []sdk.Secret
		Map      map[string]sdk.Secret
		Any      any
	}
	c := config{secret, &secret, document, []sdk.Secret{secret}, map[string]sdk.Secret{"a": secret}, document}
	check := func(how, text string) {
		t.Helper()
		for _, trace := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprint(string([]byte(value))), "private_key"} {
			if strings.Contains(text, trace) {
				t.Errorf("%s shows the secret: %s", how, text)
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%t", "%c", "%U", "%e", "%b", "%o", "%20s", "%-5.2v", "%T", "%!"} {
		for _, arg := range []any{secret, document, &secret, []any{secret, document}} {
			check(verb, fmt.Sprintf(verb, arg))
		}
		check(verb+" of a struct", fmt.Sprintf(verb, c))
	}
	check("Sprint", fmt.Sprint(secret, document, c))
	check("Errorf", errors.Join(fmt.Errorf("%v %w", secret, errors.New("x"))).Error())
	check("String", secret.String()+secret.GoString()+document.String()+document.GoString())
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	check("JSON", string(encoded))
	for _, marshal := range []func() ([]byte, error){secret.MarshalText, document.MarshalText} {
		if text, err := marshal(); err != nil || string(text) != "[redacted]" {
			t.Errorf("text form %q, %v", text, err)
		}
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "secret", secret, "document", document, "config", c, "pointer", &secret)
	}
	check("slog", log.String())
	if secret.Reveal() != value || !strings.Contains(string(document.Reveal()), value) {
		t.Error("Reveal does not give the secret")
	}
}
