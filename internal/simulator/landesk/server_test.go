package landesk_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/landesk"
	"github.com/postureproject/posture/internal/simulator/tds"
)

// ask gives a query's rows, each as text.
func ask(t testing.TB, s *landesk.Server, sql string, args ...any) ([]string, error) {
	t.Helper()
	params := make(map[string]any)
	for i, a := range args {
		params[fmt.Sprintf("p%d", i+1)] = a
	}
	result, err := s.Query(t.Context(), tds.Query{Text: sql, Params: params})
	if err != nil {
		return nil, err
	}
	var all []string
	for row, err := range result.Rows {
		if err != nil {
			return all, err
		}
		if len(row) != len(result.Columns) {
			t.Fatalf("%d values for %d columns", len(row), len(result.Columns))
		}
		texts := make([]string, len(row))
		for i, v := range row {
			texts[i] = fmt.Sprint(v)
		}
		all = append(all, strings.Join(texts, " "))
	}
	return all, nil
}

func TestQuery(t *testing.T) {
	t.Parallel()
	f := fleet.New(fleet.Options{People: 40, Apps: 2})
	var ids, emails []string
	var ada fleet.Device
	f.All(func(d fleet.Device) bool {
		ids, emails = append(ids, fmt.Sprint(d.ID)), append(emails, d.Owner.Email)
		if d.Owner.Index == 0 {
			ada = d
		}
		return true
	}, fleet.Windows)
	number := fmt.Sprint(ada.ID)
	var from int64
	if _, err := fmt.Sscan(ids[2], &from); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, sql string
		args      []any
		want      []string
	}{
		{"all", "SELECT c.Computer_Idn FROM Computer c", nil, ids},
		{"in any case", "select C.COMPUTER_IDN from computer c order by c.computer_idn", nil, ids},
		{"first ones", "SELECT TOP (2) c.Computer_Idn FROM Computer c ORDER BY c.Computer_Idn", nil, ids[:2]},
		{"none", "SELECT TOP (0) c.Computer_Idn FROM Computer c", nil, nil},
		{"after", "SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn > @p1", []any{from}, ids[3:]},
		{"from", "SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn >= @p1", []any{from}, ids[2:]},
		{"before", "SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn < @p1", []any{from}, ids[:2]},
		{"up to", "SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn <= @p1", []any{from}, ids[:3]},
		{"another one", "SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn <> @p1", []any{from}, append(append([]string(nil), ids[:2]...), ids[3:]...)},
		{"of a list", "SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn IN (@p1, @p2, 3)", []any{from, int64(999999)}, ids[2:3]},
		{"NULL", "SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn = @p1", []any{nil}, nil},
		{
			"by address", "SELECT c.Computer_Idn, s.SERIALNUM FROM Computer c LEFT JOIN LDAPUserAttrV u ON u.Computer_Idn = c.Computer_Idn " +
				"LEFT JOIN CompSystem s ON s.Computer_Idn = c.Computer_Idn WHERE u.EMAILADDR = @p1",
			[]any{strings.ToUpper(ada.Owner.Email) + "  "},
			[]string{number + " " + ada.Serial},
		},
		{"by serial", "SELECT s.Computer_Idn FROM CompSystem s WHERE s.SERIALNUM = @p1", []any{strings.ToLower(ada.Serial)}, []string{number}},
		{
			"by hardware address", "SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn IN (SELECT a.Computer_Idn FROM BoundAdapter a WHERE a.PhysAddress = @p1)",
			[]any{strings.ReplaceAll(ada.MACs[1], ":", "")},
			[]string{number},
		},
		{
			"by an address that all have", "SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn IN (SELECT a.Computer_Idn FROM BoundAdapter a WHERE a.PhysAddress = @p1)",
			[]any{"005056c00008"},
			ids,
		},
		{"by nothing that is there", "SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn IN (SELECT a.Computer_Idn FROM BoundAdapter a WHERE a.PhysAddress = @p1)", []any{"x"}, nil},
		{"several rows each", "SELECT a.PhysAddress FROM BoundAdapter a WHERE a.Computer_Idn = @p1 AND a.FirewallEnabled <> @p2", []any{int64(ada.ID), "not installed"}, macs(ada)},
		{"sorted otherwise", "SELECT TOP (1) d.DISPLAYNAME FROM Computer d WHERE d.Computer_Idn = @p1 ORDER BY d.DISPLAYNAME", []any{int64(ada.ID)}, []string{ada.Name}},
	}
	server := landesk.New(f, landesk.Options{})
	// Without the indexes, which edited rows forbid, the answers are the same.
	slow := landesk.New(f, landesk.Options{Edit: func(_ string, rows []map[string]any) []map[string]any { return rows }})
	for _, tt := range tests {
		for kind, s := range map[string]*landesk.Server{"indexed": server, "edited": slow} {
			got, err := ask(t, s, tt.sql, tt.args...)
			if err != nil {
				t.Errorf("%s, %s: %v", tt.name, kind, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", tt.name, kind, diff)
			}
		}
	}
	const users = "SELECT DISTINCT TOP (@p2) u.EMAILADDR FROM LDAPUserAttrV u WHERE u.EMAILADDR > @p1 ORDER BY u.EMAILADDR"
	for _, after := range []string{"", emails[3], "zzz"} {
		quick, err := ask(t, server, users, after, int64(5))
		if err != nil {
			t.Fatal(err)
		}
		thorough, err := ask(t, slow, users, after, int64(5))
		if diff := cmp.Diff(thorough, quick); err != nil || diff != "" {
			t.Errorf("users after %q: %v\n%s", after, err, diff)
		}
	}
}

func macs(d fleet.Device) []string {
	var all []string
	for _, m := range d.MACs {
		all = append(all, strings.ReplaceAll(m, ":", ""))
	}
	return all
}

func TestQuery_refused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sql    string
		number int32
	}{
		{"", 102},
		{"SELECT 1", 102},
		{"SELECT * FROM Computer c", 102},
		{"DELETE FROM Computer", 102},
		{"SELECT c.TYPE FROM Computer c; DROP TABLE Computer", 102},
		{"SELECT c.TYPE FROM Computer c WHERE c.TYPE = 'x' OR 1 = 1", 102},
		{"SELECT c.TYPE FROM Computer c -- comment", 102},
		{"SELECT c.TYPE FROM Computer c WHERE c.Computer_Idn = @p1 x", 102},
		{"SELECT c.TYPE FROM Computer c LEFT JOIN CompSystem s ON s.MODEL = c.TYPE", 102},
		{"SELECT c.TYPE FROM Computer c LEFT JOIN CompSystem c ON c.Computer_Idn = c.Computer_Idn", 1011},
		{"SELECT c.TYPE FROM Nowhere c", 208},
		{"SELECT c.NOTHING FROM Computer c", 207},
		{"SELECT x.TYPE FROM Computer c", 4104},
		{"SELECT c.TYPE FROM Computer c WHERE c.TYPE = @p9", 137},
		{"SELECT c.TYPE FROM Computer c WHERE c.TYPE = @p1", 245},
		{"SELECT TOP (@p2) c.TYPE FROM Computer c", 1060},
		{"SELECT b.GENENCRYPT FROM BitLocker b", 229},
		{"SELECT o.OSTYPE FROM Operating_System o", 208},
	}
	s := landesk.New(fleet.New(fleet.Options{}), landesk.Options{})
	s.Deny("BitLocker")
	s.Remove("Operating_System")
	for _, tt := range tests {
		_, err := ask(t, s, tt.sql, int64(1), "text")
		var e *tds.Error
		if !errors.As(err, &e) || e.Number != tt.number {
			t.Errorf("%q: %v, want error %d", tt.sql, err, tt.number)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"SELECT DISTINCT TOP (@p1) c.TYPE, s.MODEL FROM Computer c LEFT JOIN CompSystem s ON s.Computer_Idn = c.Computer_Idn WHERE c.Computer_Idn > 3 AND s.MODEL = @p2 ORDER BY s.MODEL",
		"SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn IN (SELECT a.Computer_Idn FROM BoundAdapter a WHERE a.PhysAddress = @p2)",
		"SELECT c.Computer_Idn FROM Computer c WHERE c.Computer_Idn IN (@p1, @p2, 99999999999999999999)", "SELECT", "(((", "@", "SELECT a.b FROM c d WHERE a.b IN (",
	} {
		f.Add(seed)
	}
	s := landesk.New(fleet.New(fleet.Options{People: 3, Apps: 1}), landesk.Options{})
	f.Fuzz(func(t *testing.T, sql string) {
		if _, err := ask(t, s, sql, int64(2), "text"); err != nil {
			var e *tds.Error
			if !errors.As(err, &e) {
				t.Errorf("%q: %v is none of SQL Server's errors", sql, err)
			}
		}
	})
}
