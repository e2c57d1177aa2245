package tds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The packet types that a client sends or a server answers with.
const (
	packetBatch     byte = 0x01
	packetRPC       byte = 0x03
	packetReply     byte = 0x04
	packetAttention byte = 0x06
	packetLogin     byte = 0x10
	packetPrelogin  byte = 0x12
)

// The bits of a packet's status byte.
const (
	statusEnd   byte = 0x01 // the last packet of its message
	statusReset byte = 0x08 // reset the session before the request
)

const (
	headerSize    = 8
	minPacketSize = 512
	// defaultPacketSize is what both sides use until the log-in asks for more.
	defaultPacketSize = 4096
	maxPacketSize     = 32767
	// maxMessage bounds what one request may hold, in bytes.
	maxMessage = 8 << 20
)

var errProtocol = errors.New("tds: malformed message")

// message is one whole request: the payloads of its packets, joined.
type message struct {
	kind  byte
	reset bool
	body  []byte
}

// readMessage reads packets up to the last of a message. It gives [io.EOF] when
// the stream ends between messages.
func readMessage(r io.Reader) (message, error) {
	var m message
	for first := true; ; first = false {
		var header [headerSize]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if !first && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return message{}, err
		}
		size := int(binary.BigEndian.Uint16(header[2:]))
		switch {
		case size < headerSize:
			return message{}, fmt.Errorf("%w: a packet of %d bytes", errProtocol, size)
		case first:
			m.kind, m.reset = header[0], header[1]&statusReset != 0
		case header[0] != m.kind:
			return message{}, fmt.Errorf("%w: packet type %#x within a message of type %#x", errProtocol, header[0], m.kind)
		}
		if len(m.body)+size > maxMessage {
			return message{}, fmt.Errorf("%w: longer than %d bytes", errProtocol, maxMessage)
		}
		start := len(m.body)
		m.body = append(m.body, make([]byte, size-headerSize)...)
		if _, err := io.ReadFull(r, m.body[start:]); err != nil {
			return message{}, err
		}
		if header[1]&statusEnd != 0 {
			return m, nil
		}
	}
}

// packetWriter cuts a message into packets.
type packetWriter struct {
	w    io.Writer
	kind byte
	size int // of a packet with its header
	buf  []byte
	seq  byte
}

func newPacketWriter(w io.Writer, kind byte, size int) *packetWriter {
	p := &packetWriter{w: w, kind: kind, size: size, buf: make([]byte, headerSize, size)}
	return p
}

// Write implements [io.Writer].
func (p *packetWriter) Write(b []byte) (int, error) {
	total := len(b)
	for len(b) > 0 {
		if len(p.buf) == p.size {
			if err := p.send(0); err != nil {
				return total - len(b), err
			}
		}
		n := min(p.size-len(p.buf), len(b))
		p.buf = append(p.buf, b[:n]...)
		b = b[n:]
	}
	return total, nil
}

// Close sends what is left as the message's last packet.
func (p *packetWriter) Close() error { return p.send(statusEnd) }

// Flush sends what is there, as a packet that others follow.
func (p *packetWriter) Flush() error {
	if len(p.buf) == headerSize {
		return nil
	}
	return p.send(0)
}

func (p *packetWriter) send(status byte) error {
	p.seq++
	p.buf[0], p.buf[1] = p.kind, status
	binary.BigEndian.PutUint16(p.buf[2:], uint16(len(p.buf)))
	p.buf[4], p.buf[5], p.buf[6], p.buf[7] = 0, 0, p.seq, 0
	_, err := p.w.Write(p.buf)
	p.buf = p.buf[:headerSize]
	return err
}
