package tds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// tlsHandshakeByte starts every TLS handshake record, and no TDS packet.
const tlsHandshakeByte = 0x16

// serve speaks with one client until it goes.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	fault := s.Faults.next(true, "")
	if !wait(ctx, fault.Latency) {
		return
	}
	switch {
	case fault.Hang || fault.Deaf:
		_, _ = io.Copy(io.Discard, conn)
		return
	case fault.Drop:
		return
	case fault.Garbage != nil:
		_, _ = conn.Write(fault.Garbage)
		return
	}
	stream, err := s.secure(ctx, conn)
	if err != nil {
		return
	}
	l, reply, err := s.logIn(stream.login, fault.Error)
	if err != nil {
		return
	}
	refused := (*Error)(nil)
	if errors.As(reply.err, &refused) {
		_ = send(stream.rest, defaultPacketSize, errorReply(refused, 0))
		return
	}
	if send(stream.rest, defaultPacketSize, loginReply(l, reply.database)) != nil {
		return
	}
	session := &session{server: s, conn: stream.rest, packetSize: l.packetSize, hangUp: conn.Close}
	session.run(ctx)
}

// streams are where to read the log-in, and where everything after it goes: not
// the same when only the log-in is encrypted.
type streams struct{ login, rest io.ReadWriter }

// secure negotiates the encryption.
func (s *Server) secure(ctx context.Context, conn net.Conn) (streams, error) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return streams{}, err
	}
	conn = &sniffConn{Conn: conn, first: first}
	if first[0] == tlsHandshakeByte {
		return s.strict(ctx, conn)
	}
	wish, err := readWish(conn)
	if err != nil {
		return streams{}, err
	}
	reply, ok := s.o.Encryption.negotiate(wish)
	if err := send(conn, defaultPacketSize, preloginReply(reply)); err != nil || !ok {
		return streams{}, errors.Join(err, errProtocol)
	}
	if reply == encryptNone {
		return streams{login: conn, rest: conn}, nil
	}
	wrapped := &handshakeConn{Conn: conn}
	secured := tls.Server(wrapped, s.tlsConfig(false))
	if err := secured.HandshakeContext(ctx); err != nil {
		return streams{}, err
	}
	wrapped.raw()
	if reply == encryptOff {
		return streams{login: secured, rest: conn}, nil
	}
	return streams{login: secured, rest: secured}, nil
}

func (s *Server) strict(ctx context.Context, conn net.Conn) (streams, error) {
	if s.o.Encryption == EncryptionUnsupported {
		return streams{}, errProtocol
	}
	secured := tls.Server(conn, s.tlsConfig(true))
	if err := secured.HandshakeContext(ctx); err != nil {
		return streams{}, err
	}
	if _, err := readWish(secured); err != nil {
		return streams{}, err
	}
	if err := send(secured, defaultPacketSize, preloginReply(encryptStrict)); err != nil {
		return streams{}, err
	}
	return streams{login: secured, rest: secured}, nil
}

// readWish reads a PRELOGIN and gives what the client wishes about encryption.
func readWish(r io.Reader) (byte, error) {
	m, err := readMessage(r)
	if err != nil {
		return 0, err
	}
	if m.kind != packetPrelogin {
		return 0, fmt.Errorf("%w: a packet of type %#x before PRELOGIN", errProtocol, m.kind)
	}
	options, err := parsePrelogin(m.body)
	if err != nil {
		return 0, err
	}
	if v := options[optEncryption]; len(v) == 1 {
		return v[0], nil
	}
	return 0, fmt.Errorf("%w: no encryption option", errProtocol)
}

// verdict is a log-in's outcome: the database in use, or why not.
type verdict struct {
	database string
	err      error
}

func (s *Server) logIn(r io.Reader, forced *Error) (login, verdict, error) {
	m, err := readMessage(r)
	if err != nil {
		return login{}, verdict{}, err
	}
	if m.kind != packetLogin {
		return login{}, verdict{}, fmt.Errorf("%w: a packet of type %#x instead of a log-in", errProtocol, m.kind)
	}
	l, err := parseLogin(m.body)
	if err != nil {
		return login{}, verdict{}, err
	}
	if l.packetSize == 0 {
		l.packetSize = defaultPacketSize
	}
	l.packetSize = max(l.packetSize, minPacketSize)
	if forced != nil {
		return l, verdict{err: forced}, nil //nolint:nilerr // the refusal is the verdict, not a failure to read
	}
	failed := &Error{Number: 18456, State: 1, Class: 14, Message: "Login failed for user '" + l.user + "'."}
	if password, known := s.o.Logins[l.user]; !known || password != l.password {
		return l, verdict{err: failed}, nil
	}
	if l.database == "" {
		return l, verdict{database: "master"}, nil
	}
	for _, name := range s.o.Databases {
		if strings.EqualFold(name, l.database) {
			return l, verdict{database: name}, nil
		}
	}
	return l, verdict{err: &Error{
		Number: 4060, State: 1, Class: 11, Then: failed,
		Message: "Cannot open database \"" + l.database + "\" requested by the login. The login failed.",
	}}, nil
}

// send writes a whole reply.
func send(w io.Writer, packetSize int, body []byte) error {
	p := newPacketWriter(w, packetReply, packetSize)
	if _, err := p.Write(body); err != nil {
		return err
	}
	return p.Close()
}

func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
