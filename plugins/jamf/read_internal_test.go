package jamf

import (
	"encoding/json"
	"testing"
	"time"
)

// Whatever Jamf answers, reading ends, and gives a computer or an error.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"computer":{"general":{"id":1,"name":"a","report_date_utc":"2026-05-30T10:11:12.000+0000"},"hardware":{"storage":[{"disk":"disk0","drive_capacity_mb":1,"partitions":[{"name":"M","filevault2_status":"Encrypted"}]}]},"software":{"available_software_updates":["a"],"running_services":["s"],"applications":[{"name":"a","version":"1"}]},"extension_attributes":[{"name":"Firewall Status","value":"1"}]}}`))
	f.Add([]byte(`{"totalCount":1,"results":[{"id":"1","udid":"U","general":{"reportDate":"x"},"hardware":{"serialNumber":"S"},"storage":{"disks":[{"partitions":[{"fileVault2State":"éNCRYPTED"}]}]},"extensionAttributes":[{"name":"Remote Login","values":["Off"]}]}]}`))
	f.Add([]byte(`{"user":{"links":{"computers":[{"id":1},{"computer":{"id":2}}]}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		check := func(c computer) {
			d := c.record(owners{domains: []string{"example.com"}})
			if _, err := json.Marshal(d); err != nil {
				t.Fatalf("%q: %v", doc, err)
			}
		}
		if c, err := readClassic(doc, true); err == nil {
			check(c)
		}
		if p, err := readInventory(doc, true); err == nil {
			for _, c := range p.computers {
				check(c)
			}
		}
		_, _ = readClassicUsers(doc)
		_, _ = readClassicIDs(doc, "computers", "computer")
	})
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	const want = "2026-05-30T10:11:12Z"
	for _, text := range []string{
		"2026-05-30T10:11:12.000+0000", "2026-05-30T10:11:12.987+0000", "2026-05-30T10:11:12+0000", "2026-05-30T10:11:12Z", "2026-05-30T10:11:12.5Z",
		"2026-05-30T12:11:12+02:00", "2026-05-30T03:11:12.000-0700", "2026-05-30T10:11:12", "2026-05-30 10:11:12", "2026-05-30 10:11:12 +0000",
		"2026-05-30 10:11:12+0000", "1780135872000", "1780135872987", "1780135872",
	} {
		got, ok := parseDate(text)
		if !ok || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s reads %v, %v", text, got, ok)
		}
	}
	if got, ok := parseDate("0"); !ok || !got.IsZero() {
		t.Errorf("0, which is never, reads %v, %v", got, ok)
	}
	for _, text := range []string{"soon", "", "12", "-1780135872000", "99999999999999999999", "2026-13-40T10:11:12Z", "30/05/2026"} {
		if got, ok := parseDate(text); ok || !got.IsZero() {
			t.Errorf("%q reads %v, %v", text, got, ok)
		}
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"https://example.jamfcloud.com/JSSResource": "https://example.jamfcloud.com", "https://example.jamfcloud.com/JSSResource/": "https://example.jamfcloud.com",
		"https://example.jamfcloud.com": "https://example.jamfcloud.com", " https://example.jamfcloud.com/ ": "https://example.jamfcloud.com",
		"example.jamfcloud.com": "https://example.jamfcloud.com", "https://jss.example.com:8443/jss/JSSResource": "https://jss.example.com:8443/jss",
		"http://127.0.0.1:1": "http://127.0.0.1:1", "HTTPS://h/jssresource": "https://h", "https://h/myJSSResource": "https://h/myJSSResource",
	} {
		if got, err := baseURL(addr); err != nil || got != want {
			t.Errorf("%q gives %q, %v; want %q", addr, got, err, want)
		}
	}
}
