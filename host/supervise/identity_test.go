package supervise

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

// TestIdentity checks what plugins in other languages rely on.
func TestIdentity(t *testing.T) {
	t.Parallel()
	one, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(one.env(), "PLUGIN_CLIENT_CERT=")
	block, rest := pem.Decode([]byte(text))
	if !ok || block == nil || len(rest) > 0 {
		t.Fatalf("the variable is %q", one.env())
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if key, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("the key is a %T, not of P-256", cert.PublicKey)
	}
	trust := x509.NewCertPool()
	trust.AddCert(cert)
	options := x509.VerifyOptions{Roots: trust, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: time.Now()}
	if _, err := cert.Verify(options); err != nil {
		t.Errorf("it does not vouch for itself: %v", err)
	}
	stranger, err := x509.ParseCertificate(other.cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Verify(options); err == nil {
		t.Error("one plugin's host passes for another's")
	}
	if config := one.tlsConfig(); config.RootCAs == nil || config.InsecureSkipVerify {
		t.Error("it trusts whoever answers")
	}
}
