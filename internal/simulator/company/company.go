// Package company starts a simulator of every vendor on one synthetic fleet and
// gives the configuration with which Posture talks to them. Acceptance tests,
// benchmarks and the demo use it.
package company

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/postureproject/posture/internal/simulator/bitfit"
	"github.com/postureproject/posture/internal/simulator/duo"
	"github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/google"
	"github.com/postureproject/posture/internal/simulator/jamf"
	"github.com/postureproject/posture/internal/simulator/landesk"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/internal/simulator/tds"
)

// Secrets that the simulators want and that must never be seen anywhere else.
const (
	JamfPassword    = "jamf-demo-password"
	LandeskPassword = "landesk-demo-password"
	BitfitToken     = "bitfit-demo-token"
	DuoSecret       = "duo-demo-secret"
)

// Options shape a company.
type Options struct {
	Fleet *fleet.Fleet
	// Dir takes the files that belong to it; it must exist.
	Dir string
	// Cache has simulators keep rendered answers, for benchmarks.
	Cache bool
}

// Company is a set of running simulators.
type Company struct {
	Fleet   *fleet.Fleet
	Google  *google.Server
	Jamf    *jamf.Server
	Landesk *landesk.Server
	Bitfit  *bitfit.Server
	Duo     *duo.Server
	Elastic *elastic.Server

	// Plugins is the section of that name of the configuration.
	Plugins map[string]map[string]any

	stops []func()
}

// Start starts every simulator on a free loopback port.
func Start(o Options) (_ *Company, err error) {
	c := &Company{Fleet: o.Fleet, Plugins: map[string]map[string]any{}}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	return c, errors.Join(c.startGoogle(), c.startJamf(o), c.startLandesk(o), c.startBitfit(), c.startDuo(), c.startElastic(), c.writeFiles(o))
}

// Close ends all simulators.
func (c *Company) Close() {
	for _, stop := range c.stops {
		stop()
	}
	c.stops = nil
}

// Faults gives the misbehaviour of an HTTP vendor by its plugin's name.
func (c *Company) Faults(plugin string) *simhttp.Faults {
	switch plugin {
	case "google":
		return &c.Google.Faults
	case "jamf":
		return c.Jamf.Faults
	case "bitfit":
		return c.Bitfit.Faults
	case "duo":
		return c.Duo.Faults
	case "es_notifications":
		return &c.Elastic.Faults
	default:
		return nil
	}
}

// YAML gives a whole configuration file: the plugins, of which only those named
// when any are, and further top-level keys.
func (c *Company) YAML(top map[string]any, only ...string) ([]byte, error) {
	all := map[string]any{}
	for k, v := range top {
		all[k] = v
	}
	plugins := map[string]any{}
	for name, keys := range c.Plugins {
		if len(only) == 0 || contains(only, name) {
			plugins[name] = keys
		}
	}
	all["plugins"] = plugins
	return yaml.Marshal(all)
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

const anyPort = "127.0.0.1:0"

func (c *Company) startGoogle() (err error) {
	if c.Google, err = google.New(c.Fleet, google.Options{}); err != nil {
		return err
	}
	url, stop, err := c.Google.Listen(anyPort)
	if err != nil {
		return err
	}
	c.stops = append(c.stops, stop)
	account, err := c.Google.ServiceAccount(url)
	if err != nil {
		return err
	}
	var secrets map[string]any
	if err := json.Unmarshal(account, &secrets); err != nil {
		return err
	}
	c.Plugins["google"] = map[string]any{
		"GOOGLE_API_SECRETS": secrets, "GOOGLE_API_USERNAME": c.Google.Admin(), "GOOGLE_API_ENDPOINT": url,
	}
	return nil
}

func (c *Company) startJamf(o Options) error {
	c.Jamf = jamf.New(c.Fleet, jamf.Options{Password: JamfPassword, Cache: o.Cache})
	url, stop, err := c.Jamf.Listen(anyPort)
	if err != nil {
		return err
	}
	c.stops = append(c.stops, stop)
	c.Plugins["jamf"] = map[string]any{
		"JAMF_API_USERNAME": "posture", "JAMF_API_PASSWORD": JamfPassword, "JAMF_API_HOSTADDR": url,
	}
	return nil
}

func (c *Company) startLandesk(o Options) error {
	certificate, authority, err := tds.SelfSigned("127.0.0.1")
	if err != nil {
		return err
	}
	caFile := filepath.Join(o.Dir, "landesk-ca.pem")
	if err := os.WriteFile(caFile, authority, 0o600); err != nil {
		return err
	}
	c.Landesk = landesk.New(c.Fleet, landesk.Options{Password: LandeskPassword, Certificate: certificate})
	address, stop, err := c.Landesk.Listen(anyPort)
	if err != nil {
		return err
	}
	c.stops = append(c.stops, stop)
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return err
	}
	c.Plugins["landesk"] = map[string]any{
		"LANDESK_SQL_HOSTNAME": host, "LANDESK_SQL_HOSTPORT": port, "LANDESK_SQL_USERNAME": "posture",
		"LANDESK_SQL_PASSWORD": LandeskPassword, "LANDESK_SQL_DATABASE": "LDMS", "CA_FILE": caFile,
	}
	return nil
}

func (c *Company) startBitfit() error {
	c.Bitfit = bitfit.New(c.Fleet, bitfit.Options{Token: BitfitToken})
	url, stop, err := c.Bitfit.Listen(anyPort)
	if err != nil {
		return err
	}
	c.stops = append(c.stops, stop)
	c.Plugins["bitfit"] = map[string]any{"BITFIT_API_TOKEN": BitfitToken, "BITFIT_BASE_URL": url + "/"}
	return nil
}

func (c *Company) startDuo() error {
	c.Duo = duo.New(c.Fleet, duo.Options{SecretKey: DuoSecret, Days: 7})
	url, stop, err := c.Duo.Listen(anyPort)
	if err != nil {
		return err
	}
	c.stops = append(c.stops, stop)
	integration, _ := c.Duo.Keys()
	c.Plugins["duo"] = map[string]any{
		"DUO_INTEGRATION_KEY": integration, "DUO_SECRET_KEY": DuoSecret, "DUO_API_HOSTNAME": url, "DUO_FIRST_PULL": "168h",
	}
	return nil
}

func (c *Company) startElastic() error {
	c.Elastic = elastic.New(c.Fleet, elastic.Options{})
	url, stop, err := c.Elastic.Listen(anyPort)
	if err != nil {
		return err
	}
	c.stops = append(c.stops, stop)
	c.Plugins["es_notifications"] = map[string]any{
		"ELASTICSEARCH_HOSTS": []string{url}, "ELASTICSEARCH_INDEX": elastic.DefaultIndex, "ELASTICSEARCH_DOCTYPE": "default",
	}
	return nil
}

// writeFiles writes what the file source reads: the Linux computers, which no
// vendor of the company manages, and who logged in to them, as an
// administrator's own scripts would list them.
func (c *Company) writeFiles(o Options) error {
	devices, logins := filepath.Join(o.Dir, "linux.jsonl"), filepath.Join(o.Dir, "linux-logins.jsonl")
	var computers, events []any
	c.Fleet.All(func(d fleet.Device) bool {
		computers = append(computers, linuxRecord(d))
		for i, l := range c.Fleet.Logins(d.Owner, 3) {
			if i%3 == 0 {
				events = append(events, map[string]any{
					"email": d.Owner.Email, "type": "ssh", "success": l.Success, "ip_address": l.IP,
					"timestamp": l.At.Format(time.RFC3339), "details": map[string]string{"host": d.Name},
				})
			}
		}
		return true
	}, fleet.Linux)
	c.Plugins["file"] = map[string]any{"DEVICES_FILES": []string{devices}, "EVENTS_FILES": []string{logins}}
	return errors.Join(writeLines(devices, computers), writeLines(logins, events))
}

func writeLines(path string, records []any) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(f)
	for _, r := range records {
		if err = enc.Encode(r); err != nil {
			break
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func linuxRecord(d fleet.Device) map[string]any {
	seen := d.LastSync.Format(time.RFC3339)
	practice := func(value bool) map[string]any { return map[string]any{"value": value, "last_updated": seen} }
	return map[string]any{
		"email": d.Owner.Email, "name": d.Name, "model": d.Model, "manufacturer": d.Maker, "serial": d.Serial, "platform": "Linux",
		"os": d.OS, "os_version": d.OSVersion, "last_sync": seen,
		"identifiers": map[string]any{"serial": d.Serial, "udid": d.UDID, "mac_addresses": d.MACs},
		"practices": map[string]any{
			"encryption": practice(d.Encrypted), "firewall": practice(d.Firewall), "screenlock": practice(d.ScreenLock), "remotelogin": practice(!d.RemoteLogin),
		},
	}
}
