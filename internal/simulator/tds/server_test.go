package tds_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"iter"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
	"go.uber.org/goleak"

	"github.com/postureproject/posture/internal/simulator/tds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler answers from a function.
type handler func(q tds.Query) (*tds.Result, error)

func (h handler) Query(_ context.Context, q tds.Query) (*tds.Result, error) { return h(q) }

// serve starts a server and gives a client's pool.
func serve(t *testing.T, h handler, shape func(*tds.Options, *msdsn.Config)) (*tds.Server, *sql.DB) {
	t.Helper()
	certificate, _, err := tds.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	options := tds.Options{Handler: h, Logins: map[string]string{"me": "pässword"}, Databases: []string{"Data"}, Certificate: certificate}
	config := msdsn.Config{
		User: "me", Password: "pässword", Database: "data", Protocols: []string{"tcp"}, Encryption: msdsn.EncryptionRequired,
		TLSConfig: &tls.Config{InsecureSkipVerify: true},
	}
	if shape != nil {
		shape(&options, &config)
	}
	server := tds.New(options)
	bound, stop, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	host, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		t.Fatal(err)
	}
	config.Host = host
	if config.Port, err = strconv.ParseUint(port, 10, 16); err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(mssql.NewConnectorConfig(config))
	t.Cleanup(func() { _ = db.Close() })
	return server, db
}

func rows(all ...[]any) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// all reads a query's rows.
func all(t *testing.T, db *sql.DB, query string, args ...any) ([][]any, error) {
	t.Helper()
	result, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = result.Close() }()
	columns, err := result.Columns()
	if err != nil {
		return nil, err
	}
	var got [][]any
	for result.Next() {
		cells := make([]any, len(columns))
		targets := make([]any, len(columns))
		for i := range cells {
			targets[i] = &cells[i]
		}
		if err := result.Scan(targets...); err != nil {
			return nil, err
		}
		got = append(got, cells)
	}
	return got, result.Err()
}

func columns(types ...tds.Type) []tds.Column {
	var c []tds.Column
	for i, typ := range types {
		c = append(c, tds.Column{Name: "c" + strconv.Itoa(i), Type: typ})
	}
	return c
}

// TestTypes sends every type, also as NULL, over many packets, with each
// encryption and several packet sizes.
func TestTypes(t *testing.T) {
	t.Parallel()
	moment := time.Date(2026, 3, 29, 2, 30, 15, 0, time.UTC)
	want := [][]any{
		{int64(-7), int64(1) << 40, 2.5, true, moment, "Ünïcödé 🦊", "short"},
		{nil, nil, nil, nil, nil, nil, nil},
		{int64(1 << 30), int64(-1), -0.25, false, time.Date(1899, 12, 31, 23, 59, 59, 0, time.UTC), "", ""},
		{int64(0), int64(0), 0.0, false, moment, strings.Repeat("x", 4000), strings.Repeat("long ", 20_000)},
	}
	for range 200 {
		want = append(want, []any{int64(1), int64(2), 3.0, true, moment, "row", "row"})
	}
	h := handler(func(tds.Query) (*tds.Result, error) {
		return &tds.Result{Columns: columns(tds.Int, tds.BigInt, tds.Float, tds.Bit, tds.DateTime, tds.NVarChar, tds.NVarCharMax), Rows: rows(want...)}, nil
	})
	for name, shape := range map[string]func(*tds.Options, *msdsn.Config){
		"encrypted": nil,
		"small packets": func(o *tds.Options, c *msdsn.Config) {
			o.Encryption, c.Encryption, c.PacketSize = tds.EncryptionUnsupported, msdsn.EncryptionDisabled, 512
		},
		"large packets": func(_ *tds.Options, c *msdsn.Config) {
			c.PacketSize = 32767
		},
		"strict": func(_ *tds.Options, c *msdsn.Config) {
			c.Encryption = msdsn.EncryptionStrict
		},
		"log-in only": func(_ *tds.Options, c *msdsn.Config) {
			c.Encryption = msdsn.EncryptionOff
		},
		"plain": func(o *tds.Options, c *msdsn.Config) {
			o.Encryption, c.Encryption = tds.EncryptionUnsupported, msdsn.EncryptionDisabled
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, db := serve(t, h, shape)
			for range 2 { // the second time the session is reset first
				got, err := all(t, db, "SELECT everything FROM somewhere")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("-want +got:\n%s", diff)
				}
			}
		})
	}
}

// TestParameters sends every type of parameter.
func TestParameters(t *testing.T) {
	t.Parallel()
	var got tds.Query
	_, db := serve(t, func(q tds.Query) (*tds.Result, error) {
		got = q
		return &tds.Result{Columns: columns(tds.Int), Rows: rows()}, nil
	}, nil)
	long := strings.Repeat("€", 9000)
	text := "SELECT x -- " + strings.Repeat("a long statement ", 1000)
	args := []any{
		int64(-5), int32(6), int8(7), int16(-8), 2.5, true, "it's", "", nil,
		[]byte{1, 2},
		long, mssql.VarChar("plain"),
		sql.Named("name", "given"), float32(0.5),
	}
	if _, err := all(t, db, text, args...); err != nil {
		t.Fatal(err)
	}
	want := tds.Query{Text: text, Params: map[string]any{
		"p1": int64(-5), "p2": int64(6), "p3": int64(7), "p4": int64(-8), "p5": 2.5, "p6": true, "p7": "it's", "p8": "", "p9": nil,
		"p10": []byte{1, 2}, "p11": long, "p12": "plain", "name": "given", "p14": 0.5,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLogIn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		shape   func(*msdsn.Config)
		numbers []int32
	}{
		{"good", func(*msdsn.Config) {}, nil},
		{"no database", func(c *msdsn.Config) { c.Database = "" }, nil},
		{"wrong password", func(c *msdsn.Config) { c.Password = "password" }, []int32{18456}},
		{"unknown user", func(c *msdsn.Config) { c.User = "you" }, []int32{18456}},
		{"unknown database", func(c *msdsn.Config) { c.Database = "other" }, []int32{4060, 18456}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, db := serve(t, func(tds.Query) (*tds.Result, error) {
				return &tds.Result{Columns: columns(tds.Int), Rows: rows()}, nil
			}, func(_ *tds.Options, c *msdsn.Config) { tt.shape(c) })
			_, err := all(t, db, "SELECT 1")
			if diff := cmp.Diff(tt.numbers, numbers(err)); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// numbers gives the numbers of the errors that the server sent.
func numbers(err error) []int32 {
	var e mssql.Error
	if !errors.As(err, &e) {
		return nil
	}
	var all []int32
	for _, one := range e.All {
		all = append(all, one.Number)
	}
	return all
}

func TestErrors(t *testing.T) {
	t.Parallel()
	failing := func(yield func([]any, error) bool) {
		if yield([]any{int64(1)}, nil) {
			yield(nil, &tds.Error{Number: 245, Class: 16, Message: "Conversion failed."})
		}
	}
	server, db := serve(t, func(q tds.Query) (*tds.Result, error) {
		switch q.Text {
		case "SELECT fail":
			return nil, &tds.Error{Number: 208, Class: 16, Message: "Invalid object name."}
		case "SELECT defect":
			return nil, errors.New("a defect")
		case "SELECT midway":
			return &tds.Result{Columns: columns(tds.Int), Rows: failing}, nil
		case "SELECT mistyped":
			return &tds.Result{Columns: columns(tds.Int), Rows: rows([]any{"text"})}, nil
		default:
			return &tds.Result{Columns: columns(tds.Int), Rows: rows([]any{int64(1)})}, nil
		}
	}, nil)
	db.SetMaxOpenConns(1)
	for text, want := range map[string][]int32{
		"SELECT fail": {208}, "SELECT defect": {50000}, "SELECT midway": {245}, "SELECT mistyped": {50000}, "sp_who": {2812},
	} {
		if _, err := all(t, db, text); !slices.Equal(numbers(err), want) {
			t.Errorf("%s: %v, want error %v", text, err, want)
		}
	}
	if got, err := all(t, db, "SELECT 1"); err != nil || len(got) != 1 {
		t.Errorf("afterwards: %v, %v", got, err)
	}
	if n := server.Faults.Connections(); n != 1 {
		t.Errorf("%d connections: an error must not end one", n)
	}
}

// TestCancel cancels a query that never answers and one whose rows never end,
// and expects the connection to live on.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]tds.Fault{
		"hang": {Hang: true, Times: 1}, "slow": {Latency: time.Hour, Times: 1}, "endless": {Endless: true, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, db := serve(t, func(tds.Query) (*tds.Result, error) {
				return &tds.Result{Columns: columns(tds.Int), Rows: rows([]any{int64(1)})}, nil
			}, nil)
			db.SetMaxOpenConns(1)
			server.Faults.Add(fault)
			// Cancelled, as the driver drops a connection whose deadline has passed.
			ctx, cancel := context.WithCancel(t.Context())
			var cancelled sync.WaitGroup
			defer cancelled.Wait()
			defer cancel()
			cancelled.Go(func() {
				for server.Faults.Queries() == 0 && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(50 * time.Millisecond)
				cancel()
			})
			result, err := db.QueryContext(ctx, "SELECT 1")
			if err == nil {
				for result.Next() {
				}
				err = result.Err()
				_ = result.Close() //nolint:sqlclosecheck // the rows end with the loop above
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want the cancellation", err)
			}
			if got, err := all(t, db, "SELECT 1"); err != nil || len(got) != 1 {
				t.Errorf("afterwards: %v, %v", got, err)
			}
			if n := server.Faults.Connections(); n != 1 {
				t.Errorf("%d connections, want the same one", n)
			}
			if server.Faults.Cancels() == 0 { // the driver may send a second one when it closes the rows
				t.Error("no cancellation has reached the server")
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	server, db := serve(t, func(tds.Query) (*tds.Result, error) {
		return &tds.Result{Columns: columns(tds.Int), Rows: rows([]any{int64(1)}, []any{int64(2)}, []any{int64(3)})}, nil
	}, nil)
	for name, fault := range map[string]tds.Fault{
		"error": {Error: &tds.Error{Number: 1205, Class: 13, Message: "Deadlock."}}, "drop": {Drop: true}, "drop after": {DropAfter: 2},
		"garbage": {Garbage: []byte("garbage, garbage")}, "fail after": {FailAfter: 1},
	} {
		fault.Match = regexp.MustCompile("^SELECT")
		server.Faults.Add(fault)
		if got, err := all(t, db, "SELECT 1"); err == nil {
			t.Errorf("%s: %v and no error", name, got)
		}
		server.Faults.Clear()
		if got, err := all(t, db, "SELECT 1"); err != nil || len(got) != 3 {
			t.Errorf("after %s: %v, %v", name, got, err)
		}
	}
}
