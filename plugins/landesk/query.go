package landesk

import (
	"fmt"
	"strings"
)

// A query reads one table, or what is joined to it; its rows are about
// computers. The text holds names and parameters, never values.
type query struct {
	table   string   // with the alias t
	columns []string // with their aliases, the computer's number first
	joins   string
}

const keyColumn = "t.Computer_Idn"

// computers joins what there is one row of per computer, mostly: LANDESK keeps a
// BitLocker row for every volume, and a computer may have several users.
func computers() query {
	return query{
		table: "Computer t",
		columns: []string{
			keyColumn, "u.EMAILADDR", "t.DISPLAYNAME", "t.DEVICEID", "t.TYPE", "t.LASTUPDINVSVR", "t.HWLASTSCANDATE", "t.SWLASTSCANDATE",
			"s.MODEL", "s.MANUFACTURER", "s.SERIALNUM", "s.SYSTEMVERSION",
			"b.PROTECTIONSTATUS", "b.CONVERSIONSTATUS", "b.GENENCRYPT", "b.ENCRYPTIONPERCENTAGE",
			"n.CURRENTBUILD", "n.CURRENTVERSION", "n.RELEASEID", "o.OSTYPE",
		},
		joins: "LEFT JOIN LDAPUserAttrV u ON u.Computer_Idn = t.Computer_Idn " +
			"LEFT JOIN CompSystem s ON s.Computer_Idn = t.Computer_Idn " +
			"LEFT JOIN BitLocker b ON b.Computer_Idn = t.Computer_Idn " +
			"LEFT JOIN OSNT n ON n.Computer_Idn = t.Computer_Idn " +
			"LEFT JOIN Operating_System o ON o.Computer_Idn = t.Computer_Idn",
	}
}

func vulnerabilities() query {
	return query{table: "CVDetectedV t", columns: []string{keyColumn, "t.Vul_ID", "t.VulType", "t.VulSeverity", "t.Title", "t.Reason"}}
}

func adapters() query {
	return query{table: "BoundAdapter t", columns: []string{keyColumn, "t.PhysAddress", "t.FirewallEnabled"}}
}

func suites() query {
	return query{table: "AppSoftwareSuites t", columns: []string{keyColumn, "t.SuiteName", "t.Version", "t.Publisher", "t.InstallDate"}}
}

// name gives the bare name of the query's table.
func (q query) name() string { return strings.TrimSuffix(q.table, " t") }

// scope says which computers a query is about.
type scope struct {
	where string
	args  []any
}

// ofOwner is about the computers of a person. Like all comparisons of text here
// it follows the database's collation, which LANDESK wants without case.
func ofOwner(email string) scope { return scope{"u.EMAILADDR = @p1", []any{email}} }

func withSerial(serial string) scope { return scope{"s.SERIALNUM = @p1", []any{serial}} }

// withAddress takes a hardware address as LANDESK writes it: its digits alone.
func withAddress(digits string) scope {
	return scope{keyColumn + " IN (SELECT a.Computer_Idn FROM BoundAdapter a WHERE a.PhysAddress = @p1)", []any{digits}}
}

func withNumbers(numbers []int64) scope {
	names, args := make([]string, len(numbers)), make([]any, len(numbers))
	for i, n := range numbers {
		names[i], args[i] = fmt.Sprintf("@p%d", i+1), n
	}
	return scope{keyColumn + " IN (" + strings.Join(names, ", ") + ")", args}
}

// between is about the computers after one number, up to another.
func between(after, last int64) scope {
	return scope{keyColumn + " > @p1 AND " + keyColumn + " <= @p2", []any{after, last}}
}

// in makes the statement that reads a query's rows about a scope.
func (q query) in(s scope, subject string, limit int) statement {
	text := "SELECT " + strings.Join(q.columns, ", ") + " FROM " + q.table
	if q.joins != "" {
		text += " " + q.joins
	}
	return statement{
		op: "read " + q.name(), subject: subject, text: text + " WHERE " + s.where, args: s.args, columns: len(q.columns), limit: limit,
	}
}

// nextNumbers reads the numbers of the computers that come after one.
func nextNumbers(after int64, count int) statement {
	return statement{
		op:   "list Computer",
		text: "SELECT TOP (@p1) " + keyColumn + " FROM Computer t WHERE " + keyColumn + " > @p2 ORDER BY " + keyColumn,
		args: []any{int64(count), after}, columns: 1, limit: count,
	}
}

// nextAddresses reads the owners' addresses that come after one, in the order of
// the database's collation.
func nextAddresses(after string, count int) statement {
	return statement{
		op:   "list LDAPUserAttrV",
		text: "SELECT DISTINCT TOP (@p1) t.EMAILADDR FROM LDAPUserAttrV t WHERE t.EMAILADDR > @p2 ORDER BY t.EMAILADDR",
		args: []any{int64(count), after}, columns: 1, limit: count,
	}
}

// probe is a table with the columns that are read from it.
type probe struct {
	table   string
	columns []string
}

// probes gives every table that any query reads.
func probes() []probe {
	tables := map[string]string{
		"t": "Computer", "u": "LDAPUserAttrV", "s": "CompSystem", "b": "BitLocker", "n": "OSNT", "o": "Operating_System",
	}
	var all []probe
	for _, alias := range []string{"t", "u", "s", "b", "n", "o"} {
		p := probe{tables[alias], []string{keyColumn}}
		for _, c := range computers().columns[1:] {
			if of, name, _ := strings.Cut(c, "."); of == alias {
				p.columns = append(p.columns, "t."+name)
			}
		}
		all = append(all, p)
	}
	for _, q := range []query{vulnerabilities(), adapters(), suites()} {
		all = append(all, probe{q.name(), q.columns})
	}
	return all
}

// statement reads no row, but needs the table, its columns and the permission.
func (p probe) statement() statement {
	return statement{
		op: "read " + p.table, text: "SELECT TOP (0) " + strings.Join(p.columns, ", ") + " FROM " + p.table + " t",
		columns: len(p.columns), limit: 1,
	}
}
