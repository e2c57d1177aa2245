package landesk

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
)

const (
	maxIdleTime = 2 * time.Minute
	// cancelGrace is how long the server may take to confirm a cancellation
	// before the connection is given up.
	cancelGrace = 500 * time.Millisecond
	// maxAnswer bounds the answer to one query, and maxGreeting what comes
	// before the first one, in bytes on the wire.
	maxAnswer   = 256 << 20
	maxGreeting = 1 << 20
)

// connector opens connections to the database. It adds to the driver's own
// connector that the context bounds the name look-up, the TLS handshake and the
// log-in as well, not the dialling alone, and that a server which answers
// nonsense cannot bring the process down.
type connector struct {
	config  msdsn.Config
	timeout time.Duration
}

// Driver implements [driver.Connector].
func (c *connector) Driver() driver.Driver { return &mssql.Driver{} }

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (_ driver.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	d := &dialer{host: c.config.Host}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errNonsense, p)
		}
		if err != nil {
			d.close()
			err = &connectError{err: err}
		}
	}()
	config := c.config
	if config.TLSConfig != nil {
		config.TLSConfig = config.TLSConfig.Clone() // the driver writes to it
	}
	inner := mssql.NewConnectorConfig(config)
	inner.Dialer = d
	stop := context.AfterFunc(ctx, d.close)
	made, err := inner.Connect(ctx)
	if !stop() && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	conn, ok := made.(*mssql.Conn)
	if !ok {
		return nil, fmt.Errorf("the driver made a %T", made)
	}
	return &connection{Conn: conn, socket: d.socket()}, nil
}

// errNonsense is the cause when the driver stumbled over an answer.
var errNonsense = errors.New("the server's answer makes no sense")

// connectError marks a failure to connect or to log in, before any query.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }

func (e *connectError) Unwrap() error { return e.err }

// connection is a connection that knows its socket.
type connection struct {
	*mssql.Conn
	socket *socket
	used   bool // a query has run on it
}

// dialer makes one connection, and remembers it so that it can be closed while
// the driver is busy with it.
type dialer struct {
	host string

	mu     sync.Mutex
	made   *socket
	closed bool
}

// HostName makes the driver leave the name look-up to DialContext, where it
// obeys the context.
func (d *dialer) HostName() string { return d.host }

// DialContext implements the driver's dialer.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s := &socket{Conn: conn}
	s.allow(maxGreeting)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	d.made = s
	return s, nil
}

func (d *dialer) socket() *socket {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.made
}

func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.made != nil {
		_ = d.made.Close()
	}
}

// socket is a network connection from which only so much may be read.
type socket struct {
	net.Conn
	left atomic.Int64
}

var errTooLarge = errors.New("the answer is too large")

// Read implements [net.Conn].
func (s *socket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if s.left.Add(-int64(n)) < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// allow sets how many bytes may be read from now on.
func (s *socket) allow(n int64) { s.left.Store(n) }

// exceeded reports whether more than that came.
func (s *socket) exceeded() bool { return s.left.Load() < 0 }

// guard sees to it that the connection does not outlast its context by more than
// cancelGrace: the driver itself waits ten seconds for a server that does not
// confirm a cancellation. Call release when the query is over.
func (s *socket) guard(ctx context.Context) (release func()) {
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = s.SetDeadline(time.Now().Add(cancelGrace))
	})
	return func() {
		if stop() {
			return
		}
		<-fired
		_ = s.SetDeadline(time.Time{})
	}
}
