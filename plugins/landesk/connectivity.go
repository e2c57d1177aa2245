package landesk

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sync/errgroup"
)

// TestConnectivity implements [sdk.ConnectivityTester]: the network, the
// encryption, the log-in and the database first, then every table with its
// columns. All that is missing is named at once.
func (s *Source) TestConnectivity(ctx context.Context) (string, error) {
	tables := probes()
	server := net.JoinHostPort(s.db.config.Hostname, strconv.Itoa(s.db.config.Port))
	if err := s.db.connect(ctx, statement{op: "connect", subject: server}); err != nil {
		return "", err
	}
	failures := make([]error, len(tables))
	var group errgroup.Group
	group.SetLimit(max(1, s.concurrency))
	for i, p := range tables {
		group.Go(func() error {
			_, failures[i] = collect(ctx, s.db, p.statement(), func([]any) struct{} { return struct{}{} })
			return nil
		})
	}
	_ = group.Wait() // each failure is in its own place
	if err := together(failures); err != nil {
		return "", err
	}
	return fmt.Sprintf("logged in to database %s on %s (%s), and may read all %d tables",
		s.db.config.Database, server, s.db.config.Encrypt.describe(s.db.config.Trust), len(tables)), nil
}

// describe says how a connection is protected.
func (e encryption) describe(trust bool) string {
	switch {
	case e == encryptNothing:
		return "not encrypted at all"
	case e == encryptLogin:
		return "only the log-in encrypted, certificate not checked"
	case trust:
		return "encrypted, certificate not checked"
	default:
		return "encrypted"
	}
}
