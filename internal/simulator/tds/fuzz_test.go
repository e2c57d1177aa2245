package tds

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// packet frames a message in one packet.
func packet(kind, status byte, body []byte) []byte {
	b := []byte{kind, status, 0, 0, 0, 0, 1, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(len(body)+headerSize))
	return append(b, body...)
}

// loginBody writes a LOGIN7 message as a client does.
func loginBody(user, password, database string) []byte {
	body := make([]byte, loginFixedSize)
	binary.LittleEndian.PutUint32(body[4:], 0x74000004)
	binary.LittleEndian.PutUint32(body[8:], 4096)
	put := func(position int, text []byte) {
		binary.LittleEndian.PutUint16(body[loginTexts+4*position:], uint16(len(body)))
		binary.LittleEndian.PutUint16(body[loginTexts+4*position+2:], uint16(len(text)/2))
		body = append(body, text...)
	}
	put(1, toUTF16(user))
	hidden := toUTF16(password)
	for i, b := range hidden {
		hidden[i] = (b<<4 | b>>4) ^ 0xA5
	}
	put(2, hidden)
	put(8, toUTF16(database))
	binary.LittleEndian.PutUint32(body, uint32(len(body)))
	return body
}

func TestParseLogin(t *testing.T) {
	t.Parallel()
	l, err := parseLogin(loginBody("posture", "pä$$wörd€", "LDMS"))
	if err != nil {
		t.Fatal(err)
	}
	if want := (login{version: 0x74000004, packetSize: 4096, user: "posture", password: "pä$$wörd€", database: "LDMS"}); l != want {
		t.Errorf("got %+v, want %+v", l, want)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(packet(packetBatch, statusEnd, []byte("SELECT")))
	f.Add(append(packet(packetBatch, statusReset, []byte("a")), packet(packetBatch, statusEnd, []byte("b"))...))
	f.Add(append(packet(packetBatch, 0, []byte("a")), packet(packetRPC, statusEnd, []byte("b"))...))
	f.Add([]byte{1, 1, 0, 7, 0, 0, 0, 0})
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		m, err := readMessage(bytes.NewReader(stream))
		if err != nil {
			return
		}
		// What was read is what a writer makes of it, whatever the packets' size.
		var out bytes.Buffer
		w := newPacketWriter(&out, m.kind, minPacketSize)
		if _, err := w.Write(m.body); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := readMessage(&out)
		if err != nil || again.kind != m.kind || !bytes.Equal(again.body, m.body) {
			t.Errorf("%v: read %+v, then %+v", err, m, again)
		}
	})
}

func FuzzLogin(f *testing.F) {
	f.Add(loginBody("posture", "secret", "LDMS"))
	f.Add(loginBody("", "", ""))
	f.Add(make([]byte, loginFixedSize))
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := parseLogin(body)
		if err != nil {
			return
		}
		if n := len(l.user) + len(l.password) + len(l.database); n > 6*len(body)*3 {
			t.Errorf("%d bytes of text from %d bytes", n, len(body))
		}
		again, err := parseLogin(loginBody(l.user, l.password, l.database))
		if len(l.user)+len(l.password)+len(l.database) < 1000 && (err != nil || again.user != l.user || again.password != l.password || again.database != l.database) {
			t.Errorf("%v: %+v became %+v", err, l, again)
		}
	})
}

func FuzzPrelogin(f *testing.F) {
	f.Add(preloginReply(encryptOn))
	f.Add([]byte{optEncryption, 0, 6, 0, 1, optEnd, encryptOff})
	f.Add([]byte{optEncryption, 0xFF, 0xFF, 0xFF, 0xFF, optEnd})
	f.Fuzz(func(t *testing.T, body []byte) {
		options, err := parsePrelogin(body)
		if err == nil && len(options) > len(body)/5 {
			t.Errorf("%d options in %d bytes", len(options), len(body))
		}
	})
}

func FuzzRequest(f *testing.F) {
	headers := []byte{22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}
	text := func(s string) []byte {
		u := toUTF16(s)
		b := append([]byte{0, 0, wireNVarChar, 0x40, 0x1F}, collation()...)
		return append(binary.LittleEndian.AppendUint16(b, uint16(len(u))), u...)
	}
	rpc := append(bytes.Clone(headers), 0xFF, 0xFF, procExecuteSQL, 0, 0, 0)
	rpc = append(append(rpc, text("SELECT @p1")...), text("@p1 bigint")...)
	rpc = append(rpc, 3, '@', 0, 'p', 0, '1', 0, 0, wireIntN, 8, 8, 1, 0, 0, 0, 0, 0, 0, 0)
	f.Add(append(bytes.Clone(headers), toUTF16("SELECT 1")...))
	f.Add(rpc)
	f.Add(headers)
	query, err := parseRPC(rpc)
	if err != nil || query.Text != "SELECT @p1" || query.Params["p1"] != int64(1) {
		f.Fatalf("%+v, %v", query, err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, parse := range []func([]byte) (Query, error){parseBatch, parseRPC} {
			if q, err := parse(body); err == nil && len(q.Text) > 3*len(body) {
				t.Errorf("%d bytes of text from %d bytes", len(q.Text), len(body))
			}
		}
	})
}
