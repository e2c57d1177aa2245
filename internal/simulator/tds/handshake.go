package tds

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
)

// handshakeConn carries a TLS handshake inside PRELOGIN packets, as TDS 7 does,
// until raw is called; from then on TLS has the connection to itself.
type handshakeConn struct {
	net.Conn
	pending bytes.Reader
	bare    bool
}

// raw ends the wrapping.
func (h *handshakeConn) raw() { h.bare = true }

// Read implements [io.Reader].
func (h *handshakeConn) Read(b []byte) (int, error) {
	if h.bare {
		return h.Conn.Read(b)
	}
	if h.pending.Len() == 0 {
		m, err := readMessage(h.Conn)
		if err != nil {
			return 0, err
		}
		if m.kind != packetPrelogin {
			return 0, fmt.Errorf("%w: a packet of type %#x within the TLS handshake", errProtocol, m.kind)
		}
		h.pending.Reset(m.body)
	}
	n, err := h.pending.Read(b)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Write implements [io.Writer].
func (h *handshakeConn) Write(b []byte) (int, error) {
	if h.bare {
		return h.Conn.Write(b)
	}
	p := newPacketWriter(h.Conn, packetPrelogin, defaultPacketSize)
	n, err := p.Write(b)
	if err == nil {
		err = p.Close()
	}
	return n, err
}

// sniffConn gives back the byte that told the client's protocol.
type sniffConn struct {
	net.Conn
	first []byte
}

// Read implements [io.Reader].
func (s *sniffConn) Read(b []byte) (int, error) {
	if len(s.first) > 0 && len(b) > 0 {
		n := copy(b, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	return s.Conn.Read(b)
}
