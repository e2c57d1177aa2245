package landesk_test

import (
	"flag"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/landesk"
	"github.com/postureproject/posture/internal/simulator/tds"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

const (
	secret = "s3cr3t-of-landesk"
	idle   = 20 * time.Second // between the messages of a listing
)

// bench is a running database and the configuration that reaches it.
type bench struct {
	*simulator.Server
	fleet    *fleet.Fleet
	settings map[string]any
}

// with gives the configuration with other settings.
func (b bench) with(settings map[string]any) map[string]any {
	all := maps.Clone(b.settings)
	maps.Copy(all, settings)
	return all
}

// start runs a database whose certificate the configuration trusts. The
// certificate is for hosts, or for this one when none is given.
func start(t testing.TB, company fleet.Options, o simulator.Options, hosts ...string) bench {
	t.Helper()
	if len(hosts) == 0 {
		hosts = []string{"127.0.0.1"}
	}
	certificate, authority, err := tds.SelfSigned(hosts...)
	if err != nil {
		t.Fatal(err)
	}
	o.Certificate, o.Password = certificate, secret
	f := fleet.New(company)
	server := simulator.New(f, o)
	address, stop, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	return bench{server, f, settings(t, address, map[string]any{"CA_FILE": file})}
}

func settings(t testing.TB, address string, more map[string]any) map[string]any {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	s := map[string]any{
		"LANDESK_SQL_HOSTNAME": host, "LANDESK_SQL_HOSTPORT": number, "LANDESK_SQL_USERNAME": "posture",
		"LANDESK_SQL_PASSWORD": secret, "LANDESK_SQL_DATABASE": "LDMS",
	}
	maps.Copy(s, more)
	return s
}
