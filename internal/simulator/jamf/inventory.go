package jamf

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
)

// maxPageSize is what the Jamf Pro API allows.
const maxPageSize = 2000

// inventory answers a page of computers-inventory with the sections that were
// asked for, or the general one; the others are null. The order is always by id.
func (s *Server) inventory(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	page, size := number(q, "page", 0), number(q, "page-size", 100)
	if page < 0 || size < 1 || size > maxPageSize {
		proError(w, http.StatusBadRequest, "INVALID_PAGE", "page must not be negative and page-size be between 1 and 2000")
		return
	}
	sections := q["section"]
	if len(sections) == 0 {
		sections = []string{"GENERAL"}
	}
	ids, _ := s.macs()
	from := min(page*size, len(ids))
	results := make([]json.RawMessage, 0, size)
	for _, id := range ids[from:min(from+size, len(ids))] {
		body, err := s.inventoryDoc(id, sections)
		if err != nil {
			proError(w, http.StatusInternalServerError, "INTERNAL", err.Error())
			return
		}
		results = append(results, body)
	}
	writePage(w, len(ids), results)
}

// writePage puts rendered computers together without reading them again.
func writePage(w http.ResponseWriter, total int, results []json.RawMessage) {
	size := 64
	for _, r := range results {
		size += len(r) + 1
	}
	body := append(make([]byte, 0, size), `{"totalCount":`...)
	body = strconv.AppendInt(body, int64(total), 10)
	body = append(body, `,"results":[`...)
	for i, r := range results {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, r...)
	}
	writeBody(w, append(body, `]}`...))
}

func number(q url.Values, key string, otherwise int) int {
	if !q.Has(key) {
		return otherwise
	}
	n, err := strconv.Atoi(q.Get(key))
	if err != nil {
		return -1
	}
	return min(n, 1<<40)
}

func (s *Server) inventoryDoc(id int, sections []string) (json.RawMessage, error) {
	key := strconv.Itoa(id) + " " + strings.Join(sections, " ")
	if body, ok := s.inventoryDocs.Load(key); ok {
		return body.(json.RawMessage), nil //nolint:forcetypeassert // only these are stored
	}
	d, _ := s.fleet.Device(id)
	all := s.inventorySections(d)
	doc := object{"id": strconv.Itoa(id), "udid": d.UDID}
	for section, value := range all {
		doc[memberOf(section)] = nil
		for _, asked := range sections {
			if asked == section {
				doc[memberOf(section)] = value
			}
		}
	}
	body, err := json.Marshal(doc)
	if err == nil && s.o.Cache {
		s.inventoryDocs.Store(key, json.RawMessage(body))
	}
	return body, err
}

// memberOf turns a section's name into its member's: USER_AND_LOCATION into
// userAndLocation.
func memberOf(section string) string {
	words := strings.Split(strings.ToLower(section), "_")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

func (s *Server) inventorySections(d fleet.Device) object {
	primary, secondary, _ := interfaces(d)
	apps := s.fleet.Apps(d)
	applications := make([]object, len(apps))
	for i, a := range apps {
		applications[i] = object{
			"name": a.Name, "path": "/Applications/" + a.Name + ".app", "version": a.Version, "cfBundleShortVersionString": a.Version,
			"cfBundleVersion": a.Version, "macAppStore": false, "sizeMegabytes": 25, "bundleId": "com.example.app" + strconv.Itoa(i),
			"updateAvailable": false, "externalVersionId": "0",
		}
	}
	services := []object{}
	for _, name := range servicesOf(apps) {
		services = append(services, object{"name": name})
	}
	return object{
		"GENERAL": object{
			"name": d.Name, "lastIpAddress": "203.0.113.10", "lastReportedIp": "192.0.2.10", "jamfBinaryVersion": "11.30.0-t1760000000", "platform": "Mac",
			"remoteManagement": object{"managed": true, "managementUsername": "jamf"}, "supervised": true, "reportDate": d.LastSync.Format(time.RFC3339),
			"lastContactTime": d.LastSync.Format(time.RFC3339), "extensionAttributes": displayed(d, "GENERAL"),
		},
		"HARDWARE": object{
			"make": d.Maker, "model": d.Model, "modelIdentifier": "Mac14,9", "serialNumber": d.Serial, "processorType": "Apple M2 Pro", "coreCount": 12,
			"networkAdapterType": "IEEE80211", "macAddress": primary, "altNetworkAdapterType": "Ethernet", "altMacAddress": secondary,
			"appleSilicon": true, "extensionAttributes": displayed(d, "HARDWARE"),
		},
		"OPERATING_SYSTEM": object{
			"name": d.OS, "version": d.OSVersion, "build": d.OSBuild, "fileVault2Status": fileVault(d, "ALL_ENCRYPTED", "NOT_ENCRYPTED"),
			"extensionAttributes": displayed(d, "OPERATING_SYSTEM"),
		},
		"USER_AND_LOCATION": object{
			"username": d.Owner.Local, "realname": d.Owner.Name, "email": d.Owner.Email, "position": "", "phone": "", "departmentId": "1",
			"extensionAttributes": displayed(d, "USER_AND_LOCATION"),
		},
		"PURCHASING":           object{"leased": false, "purchased": true, "poDate": d.HWRelease.Format(time.DateOnly), "extensionAttributes": displayed(d, "PURCHASING")},
		"STORAGE":              object{"bootDriveAvailableSpaceMegabytes": 280000, "disks": []object{disk(d)}},
		"APPLICATIONS":         applications,
		"SERVICES":             services,
		"SOFTWARE_UPDATES":     updatesOf(d),
		"EXTENSION_ATTRIBUTES": displayed(d, "EXTENSION_ATTRIBUTES"),
		"SECURITY":             object{"sipStatus": "ENABLED", "firewallEnabled": d.Firewall},
		"DISK_ENCRYPTION": object{"bootPartitionEncryptionDetails": object{
			"partitionName": "Macintosh HD (Boot Partition)", "partitionFileVault2State": fileVault(d, "ENCRYPTED", "UNENCRYPTED"),
		}},
	}
}

func fileVault(d fleet.Device, yes, no string) string {
	if d.Encrypted {
		return yes
	}
	return no
}

func disk(d fleet.Device) object {
	partitions := []object{}
	for _, p := range partitionsOf(d) {
		name, state := p.name, "UNENCRYPTED"
		if p.kind == "boot" {
			name += " (Boot Partition)"
		}
		if p.encrypted {
			state = "ENCRYPTED"
		}
		partitions = append(partitions, object{
			"name": name, "sizeMegabytes": p.megabytes, "availableMegabytes": 280000, "partitionType": strings.ToUpper(p.kind), "percentUsed": 42,
			"fileVault2State": state, "fileVault2ProgressPercent": p.percent, "lvmManaged": false,
		})
	}
	return object{
		"id": strconv.Itoa(d.ID), "device": "disk0", "model": "APPLE SSD AP0512R", "revision": "873.40.4", "serialNumber": "ssd", "sizeMegabytes": 500277,
		"smartStatus": "Verified", "type": "NO", "partitions": partitions,
	}
}

// displayed lists the extension attributes of one section.
func displayed(d fleet.Device, section string) []object {
	list := []object{}
	for i, a := range attributesOf(d) {
		if a.section == section {
			list = append(list, object{
				"definitionId": strconv.Itoa(i + 1), "name": a.name, "description": "", "enabled": true, "multiValue": false,
				"values": []string{a.value}, "dataType": strings.ToUpper(a.kind), "options": []any{}, "inputType": "SCRIPT",
			})
		}
	}
	return list
}
