package supervise

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
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

// TestIdentity_serves checks that what the host serves to a plugin, such as its
// journal, is for that plugin alone.
func TestIdentity_serves(t *testing.T) {
	t.Parallel()
	host, plugin, other := mustIdentity(t), mustIdentity(t), mustIdentity(t)
	config := host.tlsConfig()
	config.ClientCAs = poolOf(t, plugin) // as go-plugin does after the handshake
	for name, tt := range map[string]struct {
		server *tls.Config
		client *identity
		ok     bool
	}{
		"the plugin": {config, &plugin, true}, "another plugin": {config, &other, false}, "nobody": {config, nil, false},
		"before the handshake": {host.tlsConfig(), &plugin, false},
	} {
		client := &tls.Config{RootCAs: poolOf(t, host), ServerName: "localhost", MinVersion: tls.VersionTLS12}
		if tt.client != nil {
			client.Certificates = []tls.Certificate{tt.client.cert}
		}
		here, there := net.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		go func() {
			c := tls.Client(there, client)
			if c.HandshakeContext(ctx) == nil {
				_, _ = io.Copy(io.Discard, c) // a refusal comes after the client's part
			}
			_ = there.Close()
		}()
		err := tls.Server(here, tt.server).HandshakeContext(ctx)
		cancel()
		_ = here.Close()
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func mustIdentity(t *testing.T) identity {
	t.Helper()
	i, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func poolOf(t *testing.T, i identity) *x509.CertPool {
	t.Helper()
	cert, err := x509.ParseCertificate(i.cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}
