// Package landesk simulates a LANDESK (Ivanti Endpoint Manager) database: a SQL
// Server that holds the Windows computers of a synthetic company and answers
// queries over LANDESK's tables from them. It reads each query itself and
// answers what was asked, not what a plugin is known to ask; see the grammar at
// statement. Tests and the demo import it.
package landesk

import (
	"cmp"
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/tds"
)

// Options say what the database looks like. The zero value of a field means
// what its comment says.
type Options struct {
	User         string // posture
	Password     string // landesk-password
	Database     string // LDMS
	Certificate  tls.Certificate
	Encryption   tds.Encryption // as the client wishes
	Zone         *time.Location // of the times in it; UTC
	ScreenLockID string         // the vulnerability of a missing screen lock; ST000202
	AutoUpdateID string         // that of switched-off updates; ST000003v2

	// Edit changes a table's rows about one computer before they are queried;
	// what it returns is what the table holds. Rows are by column.
	Edit func(table string, rows []map[string]any) []map[string]any
	// Types gives columns another type, by "Table.Column".
	Types map[string]tds.Type
}

// Server is the database.
type Server struct {
	*tds.Server
	o      Options
	fleet  *fleet.Fleet
	tables map[string]table // by name in lower case

	ids     []int64            // of the Windows computers, ascending
	byEmail []ownedComputer    // by address in lower case, then number
	dongles map[string][]int64 // computers by the address of a network dongle

	mu      sync.Mutex
	denied  map[string]bool
	removed map[string]bool
}

type ownedComputer struct {
	email string
	id    int64
}

// New makes a database of a company's Windows computers.
func New(f *fleet.Fleet, o Options) *Server {
	o.User = cmp.Or(o.User, "posture")
	o.Password = cmp.Or(o.Password, "landesk-password")
	o.Database = cmp.Or(o.Database, "LDMS")
	o.ScreenLockID = cmp.Or(o.ScreenLockID, "ST000202")
	o.AutoUpdateID = cmp.Or(o.AutoUpdateID, "ST000003v2")
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	s := &Server{
		o: o, fleet: f, tables: make(map[string]table), dongles: make(map[string][]int64),
		denied: make(map[string]bool), removed: make(map[string]bool),
	}
	for _, t := range tables() {
		for i, c := range t.columns {
			if other, ok := o.Types[t.name+"."+c.Name]; ok {
				t.columns[i].Type = other
			}
		}
		s.tables[strings.ToLower(t.name)] = t
	}
	s.index()
	s.Server = tds.New(tds.Options{
		Handler: s, Logins: map[string]string{o.User: o.Password}, Databases: []string{o.Database},
		Certificate: o.Certificate, Encryption: o.Encryption,
	})
	return s
}

// index computes what queries are narrowed by.
func (s *Server) index() {
	s.fleet.All(func(d fleet.Device) bool {
		id := int64(d.ID)
		s.ids = append(s.ids, id)
		s.byEmail = append(s.byEmail, ownedComputer{strings.ToLower(d.Owner.Email), id})
		for _, mac := range d.MACs[min(2, len(d.MACs)):] {
			digits := strings.ReplaceAll(mac, ":", "")
			s.dongles[digits] = append(s.dongles[digits], id)
		}
		return true
	}, fleet.Windows)
	slices.SortFunc(s.byEmail, func(a, b ownedComputer) int {
		return cmp.Or(cmp.Compare(a.email, b.email), cmp.Compare(a.id, b.id))
	})
}

// Listen serves on a TCP address such as "127.0.0.1:0". It gives the address
// that it got. stop ends all connections and waits for them.
func (s *Server) Listen(addr string) (address string, stop func(), err error) {
	bound, stop, err := s.Server.Listen(addr)
	if err != nil {
		return "", nil, err
	}
	return bound.String(), stop, nil
}

// Deny takes away the permission to read a table.
func (s *Server) Deny(table string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[strings.ToLower(table)] = true
}

// Remove takes a table away.
func (s *Server) Remove(table string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed[strings.ToLower(table)] = true
}

// Query implements [tds.Handler].
func (s *Server) Query(_ context.Context, q tds.Query) (*tds.Result, error) {
	parsed, err := parse(q.Text)
	if err != nil {
		return nil, err
	}
	p, err := s.plan(parsed, q.Params)
	if err != nil {
		return nil, err
	}
	result := &tds.Result{Rows: p.run}
	for _, c := range p.columns {
		result.Columns = append(result.Columns, p.tables[c.table].columns[c.column])
	}
	return result, nil
}
