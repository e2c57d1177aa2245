package supervise

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// clientCertKey is the environment variable that brings a plugin the certificate
// of the only client it may trust.
const clientCertKey = "PLUGIN_CLIENT_CERT"

// identityLifetime is longer than any process lives.
const identityLifetime = 30 * 365 * 24 * time.Hour

// identity is what the host proves to one plugin process who it is with. It is
// made anew for each. go-plugin's own would be of curve P-521, which BoringSSL,
// and so gRPC in Python, Ruby, C++ and others, does not accept.
type identity struct {
	cert tls.Certificate
	pem  []byte
}

func newIdentity() (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, fmt.Errorf("make the host's key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return identity{}, fmt.Errorf("make the host's certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(identityLifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, // a server of journals
		BasicConstraintsValid: true, IsCA: true,                                                           // it is its own authority
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return identity{}, fmt.Errorf("make the host's certificate: %w", err)
	}
	return identity{
		cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}, nil
}

// tlsConfig trusts nobody, neither as a server nor as a client, until go-plugin
// puts the certificate into it that the plugin sends in the handshake.
func (i identity) tlsConfig() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{i.cert}, RootCAs: x509.NewCertPool(), ServerName: "localhost", MinVersion: tls.VersionTLS12,
		ClientCAs: x509.NewCertPool(), ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// env is the variable for the plugin's environment.
func (i identity) env() string { return clientCertKey + "=" + string(i.pem) }
