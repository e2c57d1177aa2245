package tds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// session serves the requests of a client that has logged in.
type session struct {
	server     *Server
	conn       io.ReadWriter
	packetSize int
	hangUp     func() error // closes the connection below any TLS
	incoming   chan message // closed when the client has gone
}

// errHangUp ends a session.
var errHangUp = errors.New("tds: hang up")

// run answers request after request. A second goroutine reads, so that a
// cancellation is seen while an answer is under way; it ends with the
// connection.
func (s *session) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	s.incoming = make(chan message)
	go func() {
		defer close(s.incoming)
		for {
			m, err := readMessage(s.conn)
			if err != nil {
				return
			}
			select {
			case s.incoming <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		_ = s.hangUp()
		for range s.incoming { // until the reader has ended
			continue
		}
	}()
	for {
		select {
		case m, open := <-s.incoming:
			if !open || s.handle(ctx, m) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *session) handle(ctx context.Context, m message) error {
	var (
		query Query
		err   error
	)
	switch m.kind {
	case packetAttention:
		return s.confirm()
	case packetBatch:
		query, err = parseBatch(m.body)
	case packetRPC:
		query, err = parseRPC(m.body)
	default:
		return errHangUp
	}
	if err == nil {
		return s.answer(ctx, query)
	}
	refused := (*Error)(nil)
	if errors.As(err, &refused) {
		return s.refuse(refused)
	}
	return err // the protocol is broken: there is no going on
}

// confirm tells the client that its cancellation has been seen.
func (s *session) confirm() error {
	s.server.Faults.cancels.Add(1)
	return s.send(appendDone(nil, doneAttention, 0))
}

func (s *session) refuse(e *Error) error {
	if err := s.send(errorReply(e, 0)); err != nil {
		return err
	}
	if e.Class >= 20 {
		return errHangUp
	}
	return nil
}

func (s *session) send(body []byte) error { return send(s.conn, s.packetSize, body) }

// answer runs one query.
func (s *session) answer(ctx context.Context, q Query) error {
	defer s.server.Faults.begin()()
	fault := s.server.Faults.next(false, q.Text)
	if done, err := s.pause(ctx, fault.Latency); done || err != nil {
		return err
	}
	switch {
	case fault.Error != nil:
		return s.refuse(fault.Error)
	case fault.Hang:
		_, err := s.pause(ctx, -1)
		return err
	case fault.Deaf:
		for range s.incoming { // until the client has gone
			continue
		}
		return errHangUp
	case fault.Drop:
		return errHangUp
	case fault.Garbage != nil:
		_, err := s.conn.Write(fault.Garbage)
		return errors.Join(err, errHangUp)
	}
	result, err := s.server.o.Handler.Query(ctx, q)
	if err != nil {
		return s.refuse(asError(err))
	}
	return s.stream(ctx, result, fault)
}

func asError(err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	return &Error{Number: 50000, State: 1, Class: 16, Message: err.Error()}
}

// pause waits for d, or for ever when d is negative. done is true when the
// client cancelled meanwhile, which it has then been told.
func (s *session) pause(ctx context.Context, d time.Duration) (done bool, err error) {
	if d == 0 {
		return false, nil
	}
	var expired <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-expired:
		return false, nil
	case m, open := <-s.incoming:
		if !open || m.kind != packetAttention {
			return false, errHangUp
		}
		return true, s.confirm()
	case <-ctx.Done():
		return false, errHangUp
	}
}

// stream sends a result's rows, and stops at a cancellation.
func (s *session) stream(ctx context.Context, result *Result, fault Fault) error {
	out := newPacketWriter(s.conn, packetReply, s.packetSize)
	buf := appendColumns(nil, result.Columns)
	if _, err := out.Write(buf); err != nil {
		return err
	}
	finish := func(b []byte) error {
		if _, err := out.Write(b); err != nil {
			return err
		}
		return out.Close()
	}
	rows := uint64(0)
	for values, err := range result.Rows {
		if err == nil {
			buf, err = appendRow(buf[:0], result.Columns, values)
		}
		if err != nil {
			return finish(errorReply(asError(err), rows))
		}
		for again := true; again; again = fault.Endless {
			cancelled, err := s.sendRow(ctx, out, buf)
			if err != nil {
				return err
			}
			if cancelled {
				s.server.Faults.cancels.Add(1)
				return finish(appendDone(nil, doneAttention, 0))
			}
			rows++
		}
		if fault.DropAfter > 0 && rows >= uint64(fault.DropAfter) {
			_ = out.Flush()
			return errHangUp
		}
		if fault.FailAfter > 0 && rows >= uint64(fault.FailAfter) {
			e := &Error{Number: 596, State: 1, Class: 16, Message: "Cannot continue the execution because the session is in the kill state."}
			return finish(errorReply(e, rows))
		}
	}
	return finish(appendDone(nil, doneCount, rows))
}

func (s *session) sendRow(ctx context.Context, out *packetWriter, row []byte) (cancelled bool, err error) {
	select {
	case m, open := <-s.incoming:
		if !open || m.kind != packetAttention {
			return false, fmt.Errorf("%w: a request within an answer", errHangUp)
		}
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	default:
	}
	_, err = out.Write(row)
	return false, err
}
