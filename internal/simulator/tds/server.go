package tds

import (
	"context"
	"crypto/tls"
	"errors"
	"iter"
	"net"
	"sync"
)

// Result is a query's answer. Rows yields one value per column; an error ends
// it, and an [*Error] goes to the client.
type Result struct {
	Columns []Column
	Rows    iter.Seq2[[]any, error]
}

// Handler answers queries. The context ends when the client cancels or goes. An
// [*Error] is sent to the client; any other error is a defect, which the client
// sees as error 50000.
type Handler interface {
	Query(ctx context.Context, q Query) (*Result, error)
}

// Options say what a server offers.
type Options struct {
	Handler     Handler
	Logins      map[string]string // user to password
	Databases   []string          // the databases that a log-in may ask for, without case
	Certificate tls.Certificate   // required unless encryption is unsupported
	Encryption  Encryption
}

// Server is a TDS server.
type Server struct {
	Faults Faults
	o      Options
}

// New makes a server.
func New(o Options) *Server { return &Server{o: o} }

// Listen serves on a TCP address such as "127.0.0.1:0". It gives the address
// that it got. stop ends all connections and waits for them.
func (s *Server) Listen(addr string) (bound net.Addr, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { s.accept(ctx, listener, &served) })
	return listener.Addr(), func() {
		cancel()
		_ = listener.Close()
		served.Wait()
	}, nil
}

func (s *Server) accept(ctx context.Context, listener net.Listener, served *sync.WaitGroup) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		s.Faults.connections.Add(1)
		served.Go(func() {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			defer func() { _ = conn.Close() }()
			s.serve(ctx, conn)
		})
	}
}

// tlsConfig is for TDS 8.0, where TLS is the outer layer, or for TDS 7, which
// ends at TLS 1.2.
func (s *Server) tlsConfig(strict bool) *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{s.o.Certificate}, MinVersion: tls.VersionTLS12}
	if strict {
		c.NextProtos = []string{"tds/8.0"}
	} else {
		c.MaxVersion = tls.VersionTLS12
	}
	return c
}
