package ouidata_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/transforms/ouidata"
)

func TestBuiltin(t *testing.T) {
	t.Parallel()
	table, err := ouidata.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if table.Len() < 55_000 {
		t.Errorf("only %d prefixes", table.Len())
	}
	for mac, want := range map[device.MAC]string{
		"3C:22:FB:12:34:56": "Apple, Inc.", "00:55:DA:01:23:45": "Shinko Technos co.,ltd.", "00:1B:C5:00:01:23": "Converging Systems Inc.",
	} {
		if got, ok := table.Lookup(mac); !ok || got != want {
			t.Errorf("%s = %q, want %q", mac, got, want)
		}
	}
}

func TestTable_Lookup_longestWins(t *testing.T) {
	t.Parallel()
	table := ouidata.New([]ouidata.Prefix{
		{Bits: 36, High: 0xAABBCCDDE, Name: "36"},
		{Bits: 24, High: 0xAABBCC000, Name: "24"},
		{Bits: 28, High: 0xAABBCCD00, Name: "28"},
		{Bits: 24, High: 0x000000000, Name: "first"},
		{Bits: 24, High: 0xFFFFFF000, Name: "old"},
		{Bits: 24, High: 0xFFFFFF000, Name: "new"},
	})
	for mac, want := range map[device.MAC]string{
		"AA:BB:CC:DD:E0:00": "36", "AA:BB:CC:DD:EF:FF": "36", "AA:BB:CC:DD:F0:00": "28", "AA:BB:CC:E0:00:00": "24",
		"aa:bb:cc:dd:e0:00": "36", "AABBCCDDE000": "36", "AA:BB:CD:00:00:00": "", "00:00:00:00:00:00": "first", "FF:FF:FF:FF:FF:FF": "new",
		"AA:BB:CC": "", "AA:BB:CC:DD:G0:00": "",
	} {
		got, ok := table.Lookup(mac)
		if got != want || ok != (want != "") {
			t.Errorf("%s = %q, %v; want %q", mac, got, ok, want)
		}
	}
	if table.Len() != 5 {
		t.Errorf("%d prefixes, want 5", table.Len())
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	want := []ouidata.Prefix{
		{Bits: 24, High: 0x00000C000, Name: "Cisco Systems, Inc"},
		{Bits: 28, High: 0x0055DA100, Name: "KoolPOS Inc."},
		{Bits: 36, High: 0x001BC5001, Name: "OpenRB.com, Direct SIA"},
		{Bits: 24, High: 0x00001D000, Name: "Prüftechnik & Co."},
	}
	tests := map[string]string{
		"manuf": "# comment\n\n00:00:0C             \tCisco        \tCisco Systems, Inc\n00:55:DA:10:00:00/28 \tKoolPOS      \tKoolPOS Inc.\n" +
			"00:1B:C5:00:10:00/36 \tOpenRBcomDir \tOpenRB.com, Direct SIA\n00:00:1D\tx\tPrüftechnik & Co.\n",
		"manuf, old style": "00-00-0C Cisco\tCisco  Systems, Inc\n00:55:DA:10:00:00/28\tKoolPOS\tKoolPOS Inc.\r\n" +
			"00.1B.C5.00.10.00/36\tOpenRB.com, Direct SIA # note\n00:00:1D\tPr\tPrüftechnik & Co.\n" +
			"01:80:C2:00:00:00\tWell-known\n00:00:0D/20\tother length\n00:00:0E\tPrivate\n00:55:DA\tIEEERegi\tIEEE Registration Authority\n",
		"csv": "Registry,Assignment,Organization Name,Organization Address\r\nMA-L,00000C,\"Cisco Systems, Inc\",\"170 West\nTasman\"\r\n" +
			"MA-M,0055DA1,KoolPOS Inc.,\r\nMA-S,001BC5001,\" OpenRB.com, Direct SIA \",x\r\nMA-L,00001D,Prüftechnik & Co.,x\r\nMA-L,000D58,Private,\r\n",
		"json": ` {"00000C": "Cisco Systems, Inc\n170 West", "0055DA1": "KoolPOS Inc.", "001bc5001": "OpenRB.com, Direct SIA",
			"00001D": "Prüftechnik & Co.\nÉ", "000D58": "Private", "0055DA": "IEEE Registration Authority\nNJ", "0055DA12": "no such size"}`,
		"empty": " \n\t",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ouidata.Parse(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			want := want
			if name == "empty" {
				want = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("prefixes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParse_problems(t *testing.T) {
	t.Parallel()
	header := "Registry,Assignment,Organization Name,Organization Address\n"
	tests := map[string]string{
		"hello\n":                               `line 1: "hello" has no name`,
		"hello world\n":                         `line 1: "hello" is not a prefix`,
		"00:00:01\tA\n\n00:00:0G\tB\n":          `line 3: "00:00:0G" is not a prefix`,
		"00:00\tA\n":                            `line 1: "00:00" is not a prefix`,
		"00:00:01:\tA\n":                        `line 1: "00:00:01:" is not a prefix`,
		"0055DA1/28\tA\n":                       `line 1: "0055DA1/28" is not a prefix`,
		"00:00:01/x\tA\n":                       `has no length`,
		"00:00:01/65\tA\n":                      `has no length`,
		"00:00:01:02:03:04:05:06:07\tA\n":       `is not a prefix`,
		"00:00:01\t" + strings.Repeat("x", 1e5): "too long",
		`{"00000C": 7}`:                         `the name of "00000C"`,
		`{"00000X": "x"}`:                       `"00000X" is not a prefix`,
		`{"00000C": "x"`:                        "EOF",
		`{1`:                                    "not an object",
		header + "MA-L,00000C\n":                "line 2 has fewer",
		header + "MA-L,00000X,x\n":              "line 2: ",
		header + "MA-L,\"00000C,x\n":            "quote",
	}
	for text, want := range tests {
		if _, err := ouidata.Parse(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// endless gives comment lines for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "#\n"[i%2]
	}
	return len(p), nil
}

func TestParse_tooLong(t *testing.T) {
	t.Parallel()
	if _, err := ouidata.Parse(endless{}); err == nil || !strings.Contains(err.Error(), "64 MB") {
		t.Errorf("error %v, want one about the length", err)
	}
}

func TestPack_roundTrip(t *testing.T) {
	t.Parallel()
	prefixes := []ouidata.Prefix{
		{Bits: 36, High: 0xAABBCCDDE, Name: "Thirty-Six # 6"},
		{Bits: 24, High: 0x0000AA000, Name: "Zwölf"},
		{Bits: 28, High: 0xAABBCCD00, Name: "Twenty Eight"},
	}
	var first, second bytes.Buffer
	if err := ouidata.Pack(&first, prefixes); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(prefixes)
	if err := ouidata.Pack(&second, prefixes); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same prefixes give other bytes")
	}
	zip, err := gzip.NewReader(&first)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	want := "00:00:AA\tZwölf\nAA:BB:CC:D0/28\tTwenty Eight\nAA:BB:CC:DD:E0/36\tThirty-Six # 6\n"
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("packed (-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("# comment\n00:00:0C\tCisco\tCisco Systems, Inc\n")
	f.Add("00-1B-C5-00-10-00/36\tOpenRB.com # x\n01:80:C2:00:00:00/44\ty\n")
	f.Add("Registry,Assignment,Organization Name,Organization Address\nMA-M,0055DA1,\"a, b\",\"c\nd\"\n")
	f.Add(`{"00000C": "Cisco\nx", "0055DA1": "K", "001BC5001": "O"}`)
	f.Fuzz(func(t *testing.T, text string) {
		prefixes, err := ouidata.Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		var packed bytes.Buffer
		if err := ouidata.Pack(&packed, prefixes); err != nil {
			t.Fatal(err)
		}
		zip, err := gzip.NewReader(&packed)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ouidata.Parse(zip)
		if err != nil {
			t.Fatalf("what was packed does not parse: %v", err)
		}
		if a, b := ouidata.New(prefixes), ouidata.New(again); a.Len() != b.Len() {
			t.Fatalf("%d prefixes became %d", a.Len(), b.Len())
		}
		table := ouidata.New(again)
		for _, p := range again {
			mac := device.MAC(strings.NewReplacer("/24", "", "/28", "", "/36", "").Replace(p.String()) + ":00:00:00")
			if _, ok := table.Lookup(mac); !ok {
				t.Fatalf("%s is not found", p)
			}
		}
	})
}

func BenchmarkTable_Lookup(b *testing.B) {
	table, err := ouidata.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	macs := []device.MAC{"3C:22:FB:12:34:56", "00:55:DA:01:23:45", "00:1B:C5:00:01:23", "AA:AA:AA:AA:AA:AA"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		table.Lookup(macs[i%len(macs)])
	}
}
