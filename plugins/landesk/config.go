package landesk

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

type config struct {
	Hostname     string     `json:"LANDESK_SQL_HOSTNAME" required:"true" doc:"Host name or address of LANDESK's SQL Server" example:"landesk-db.example.com"`
	Port         int        `json:"LANDESK_SQL_HOSTPORT" default:"1433" doc:"Port of the SQL Server; a named instance has one of its own"`
	Username     string     `json:"LANDESK_SQL_USERNAME" required:"true" doc:"SQL Server log-in; it needs SELECT on LANDESK's tables and nothing else"`
	Password     sdk.Secret `json:"LANDESK_SQL_PASSWORD" required:"true" doc:"The log-in's password"`
	Database     string     `json:"LANDESK_SQL_DATABASE" required:"true" doc:"Name of LANDESK's database" example:"LDMS"`
	Encrypt      encryption `json:"LANDESK_SQL_ENCRYPT" default:"true" doc:"Encryption of the connection. true: everything. strict: everything, with TLS first, as SQL Server 2022 offers. false: the log-in only, and the certificate is not checked. disable: nothing, not even the password"`
	Trust        bool       `json:"LANDESK_SQL_TRUST_CERTIFICATE" default:"false" doc:"Accept any certificate of the server's, for servers with the self-signed one that SQL Server makes itself. Who sits in between can then read the password; naming the certificate in CA_FILE is safer"`
	Timezone     string     `json:"LANDESK_TIMEZONE" default:"UTC" doc:"Time zone of the times in the database, which LANDESK writes in its server's local time" example:"America/Los_Angeles"`
	ScreenLockID string     `json:"LANDESK_SCREENLOCK_VULN_ID" default:"ST000202" doc:"Id of the vulnerability that LANDESK detects when the screen does not lock"`
	AutoUpdateID string     `json:"LANDESK_AUTOUPDATE_VULN_ID" default:"ST000003v2" doc:"Id of the vulnerability that LANDESK detects when automatic updates are off"`
	CAFile       string     `json:"CA_FILE" doc:"PEM file with certificate authorities to trust beside the system's own" example:"/etc/posture/company-ca.pem"`
	Retries      int        `json:"RETRIES" default:"3" doc:"How often a query is tried again after a connection error, a deadlock or an overload of the server"`
}

// encryption is a way to protect the connection, in the words of SQL Server's
// own clients.
type encryption string

const (
	encryptAll     encryption = "true"
	encryptStrict  encryption = "strict"
	encryptLogin   encryption = "false"
	encryptNothing encryption = "disable"
)

func encryptions() []encryption {
	return []encryption{encryptAll, encryptStrict, encryptLogin, encryptNothing}
}

// UnmarshalJSON implements [json.Unmarshaler]. YAML reads true and false as
// booleans, so both forms are taken.
func (e *encryption) UnmarshalJSON(b []byte) error {
	text := string(b)
	if quoted := ""; json.Unmarshal(b, &quoted) == nil {
		text = quoted
	}
	v := encryption(strings.ToLower(strings.TrimSpace(text)))
	if !slices.Contains(encryptions(), v) {
		return fmt.Errorf("LANDESK_SQL_ENCRYPT must be true, strict, false or disable")
	}
	*e = v
	return nil
}

// ConfigSchema implements [sdk.ConfigSchemer].
func (encryption) ConfigSchema() map[string]any {
	values := []any{true, false}
	for _, e := range encryptions() {
		values = append(values, string(e))
	}
	return map[string]any{"type": []any{"string", "boolean"}, "enum": values}
}

// resolve checks the configuration, all of it, and turns it into what the
// driver needs.
func (c config) resolve() (msdsn.Config, *time.Location, error) {
	var fields []fault.Field
	invalid := func(name, value, reason, remedy string) {
		fields = append(fields, fault.Field{Name: name, Value: value, Reason: reason, Remedy: remedy})
	}
	if net.ParseIP(c.Hostname) == nil && strings.ContainsAny(c.Hostname, "\\/:, \t") {
		invalid("LANDESK_SQL_HOSTNAME", c.Hostname, "is not a host name",
			"write the bare name or address; the port, also a named instance's, goes into LANDESK_SQL_HOSTPORT")
	}
	if c.Port < 1 || c.Port > 65535 {
		invalid("LANDESK_SQL_HOSTPORT", strconv.Itoa(c.Port), "is not a port", "write a number from 1 to 65535; SQL Server's own is 1433")
	}
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		invalid("LANDESK_TIMEZONE", c.Timezone, "is not a time zone", "write a name of the IANA database, such as America/Los_Angeles")
	}
	if c.Encrypt == encryptStrict && c.Trust {
		invalid("LANDESK_SQL_TRUST_CERTIFICATE", "true", "contradicts LANDESK_SQL_ENCRYPT strict, which always checks the certificate",
			"remove one of the two")
	}
	if c.Retries < 0 {
		invalid("RETRIES", strconv.Itoa(c.Retries), "is negative", "write 0 for no retries")
	}
	if len(fields) > 0 {
		return msdsn.Config{}, nil, &fault.Error{Kind: fault.Invalid, Source: Name, Op: "read configuration", Fields: fields}
	}
	secured, err := c.tls()
	if err != nil {
		return msdsn.Config{}, nil, err
	}
	return msdsn.Config{
		Host: c.Hostname, Port: uint64(c.Port),
		User: c.Username, Password: c.Password.Reveal(), Database: c.Database,
		Encryption: c.Encrypt.driver(), TLSConfig: secured, TrustServerCertificate: secured != nil && secured.InsecureSkipVerify,
		HostInCertificateProvided: true, AppName: "posture", Protocols: []string{"tcp"},
		NoTraceID: true, Encoding: msdsn.EncodeParameters{Timezone: zone},
	}, zone, nil
}

func (e encryption) driver() msdsn.Encryption {
	switch e {
	case encryptStrict:
		return msdsn.EncryptionStrict
	case encryptLogin:
		return msdsn.EncryptionOff
	case encryptNothing:
		return msdsn.EncryptionDisabled
	default:
		return msdsn.EncryptionRequired
	}
}

// tls gives the TLS side of the connection, nil when there is none.
func (c config) tls() (*tls.Config, error) {
	if c.Encrypt == encryptNothing {
		return nil, nil
	}
	pool, err := upstream.CertPool(c.CAFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		ServerName: c.Hostname, RootCAs: pool, MinVersion: tls.VersionTLS12,
		// SQL Server encrypts a mere log-in with a certificate that it made
		// itself, which nobody can check; otherwise the administrator said so.
		InsecureSkipVerify: c.Trust || c.Encrypt == encryptLogin, //nolint:gosec // by configuration only
		// SQL Server expects a packet in one TLS record.
		DynamicRecordSizingDisabled: true,
	}, nil
}
