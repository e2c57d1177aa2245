package jamf

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
)

type object = map[string]any

func (s *Server) users(w http.ResponseWriter, r *http.Request) {
	_, owners := s.macs()
	list := make([]object, len(owners))
	for i, index := range owners {
		p := s.fleet.Person(index)
		list[i] = object{"id": index + 1, "name": p.Local}
	}
	s.answer(w, r, object{"users": list})
}

func (s *Server) userByID(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 1 || id > s.fleet.Len() {
		notFound(w)
		return
	}
	s.user(w, r, s.fleet.Person(id-1), false)
}

func (s *Server) userByName(w http.ResponseWriter, r *http.Request) {
	p, ok := s.fleet.PersonByLocal(r.PathValue("name"))
	if !ok {
		notFound(w)
		return
	}
	s.user(w, r, p, false)
}

func (s *Server) usersByEmail(w http.ResponseWriter, r *http.Request) {
	p, ok := s.fleet.PersonByEmail(r.PathValue("email"))
	if !ok {
		notFound(w)
		return
	}
	s.user(w, r, p, true)
}

// user answers with one user, or a list of one. Jamf knows people by their
// computers only.
func (s *Server) user(w http.ResponseWriter, r *http.Request, p fleet.Person, list bool) {
	macs := s.fleet.Devices(p, fleet.Mac)
	if len(macs) == 0 {
		notFound(w)
		return
	}
	computers := make([]object, len(macs))
	for i, d := range macs {
		computers[i] = object{"id": d.ID, "name": d.Name}
	}
	user := object{
		"id": p.Index + 1, "name": p.Local, "full_name": p.Name, "email": p.Email, "email_address": p.Email, "phone_number": "", "position": "",
		"enable_custom_photo_url": false, "custom_photo_url": "", "extension_attributes": []any{}, "sites": []any{}, "user_groups": object{"size": 0},
		"links": object{
			"computers": computers, "peripherals": []any{}, "mobile_devices": []any{}, "vpp_assignments": []any{}, "total_vpp_code_count": 0,
		},
	}
	if list {
		s.answer(w, r, object{"users": []object{user}})
		return
	}
	s.answer(w, r, object{"user": user})
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		html(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeClassic(w, r, body)
}

func (s *Server) computerList(w http.ResponseWriter, r *http.Request) {
	ids, _ := s.macs()
	list := make([]object, len(ids))
	for i, id := range ids {
		d, _ := s.fleet.Device(id)
		list[i] = object{"id": id, "name": d.Name}
	}
	s.answer(w, r, object{"computers": list})
}

func (s *Server) computerByID(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		notFound(w)
		return
	}
	d, ok := s.fleet.Device(id)
	s.computer(w, r, d, ok)
}

func (s *Server) computerBySerial(w http.ResponseWriter, r *http.Request) {
	d, ok := s.fleet.DeviceBySerial(r.PathValue("serial"))
	s.computer(w, r, d, ok)
}

func (s *Server) computerByMAC(w http.ResponseWriter, r *http.Request) {
	for _, d := range s.fleet.DevicesByMAC(strings.ToUpper(r.PathValue("mac"))) {
		if d.Kind == fleet.Mac {
			s.computer(w, r, d, true)
			return
		}
	}
	notFound(w)
}

func (s *Server) computer(w http.ResponseWriter, r *http.Request, d fleet.Device, ok bool) {
	if !ok || d.Kind != fleet.Mac {
		notFound(w)
		return
	}
	if body, ok := s.classicDocs.Load(d.ID); ok {
		writeClassic(w, r, body.([]byte)) //nolint:forcetypeassert // only bytes are stored
		return
	}
	body, err := json.Marshal(object{"computer": s.classicComputer(d)})
	if err != nil {
		html(w, http.StatusInternalServerError, err.Error())
		return
	}
	if s.o.Cache {
		s.classicDocs.Store(d.ID, body)
	}
	writeClassic(w, r, body)
}

// stamp writes a time in the three ways of the Classic API.
func stamp(into object, key string, t time.Time) {
	into[key] = t.Format("2006-01-02 15:04:05")
	into[key+"_epoch"] = t.UnixMilli()
	into[key+"_utc"] = t.Format("2006-01-02T15:04:05.000-0700")
}

func (s *Server) classicComputer(d fleet.Device) object {
	primary, secondary, _ := interfaces(d)
	general := object{
		"id": d.ID, "name": d.Name, "network_adapter_type": "IEEE80211", "mac_address": primary, "alt_network_adapter_type": "Ethernet",
		"alt_mac_address": secondary, "ip_address": "203.0.113.10", "last_reported_ip": "192.0.2.10", "serial_number": d.Serial, "udid": d.UDID,
		"jamf_version": "11.30.0-t1760000000", "platform": "Mac", "barcode_1": "", "barcode_2": "", "asset_tag": "",
		"remote_management": object{"managed": true, "management_username": "jamf"}, "supervised": true, "mdm_capable": true,
		"mdm_capable_users": object{"mdm_capable_user": d.Owner.Local}, "site": object{"id": -1, "name": "None"},
	}
	stamp(general, "report_date", d.LastSync)
	stamp(general, "last_contact_time", d.LastSync)
	attributes := make([]object, 0, 10)
	for i, a := range attributesOf(d) {
		attributes = append(attributes, object{"id": i + 1, "name": a.name, "type": a.kind, "multi_value": false, "value": a.value})
	}
	return object{
		"general": general,
		"location": object{
			"username": d.Owner.Local, "realname": d.Owner.Name, "real_name": d.Owner.Name, "email_address": d.Owner.Email, "position": "",
			"phone": "", "phone_number": "", "department": "Engineering", "building": "", "room": "",
		},
		"purchasing":           object{"is_purchased": true, "is_leased": false, "po_date": d.HWRelease.Format(time.DateOnly), "attachments": []any{}},
		"peripherals":          []any{},
		"hardware":             s.classicHardware(d),
		"certificates":         []object{{"common_name": d.UDID, "identity": true, "expires_utc": "2030-01-01T00:00:00.000+0000", "expires_epoch": 1893456000000}},
		"software":             s.classicSoftware(d),
		"extension_attributes": attributes,
		"groups_accounts": object{
			"computer_group_memberships": []string{"All Managed Clients"},
			"local_accounts":             []object{{"name": d.Owner.Local, "realname": d.Owner.Name, "uid": "501", "administrator": true, "filevault_enabled": d.Encrypted}},
		},
		"configuration_profiles": []object{{"id": 1, "name": "", "uuid": "", "is_removable": false}},
	}
}

func (s *Server) classicHardware(d fleet.Device) object {
	h := object{
		"make": d.Maker, "model": d.Model, "model_identifier": "Mac14,9", "os_name": d.OS, "os_version": d.OSVersion, "os_build": d.OSBuild,
		"processor_type": "Apple M2 Pro", "is_apple_silicon": true, "processor_architecture": "arm64", "number_cores": 12, "total_ram": 32768,
		"sip_status": "Enabled", "gatekeeper_status": "App Store and identified developers", "filevault2_users": []string{d.Owner.Local},
	}
	partitions := make([]object, 0, 2)
	for _, p := range partitionsOf(d) {
		name, status := p.name, "Not Encrypted"
		if p.kind == "boot" {
			name += " (Boot Partition)"
		}
		if p.encrypted {
			status = "Encrypted"
		}
		partitions = append(partitions, object{
			"name": name, "size": p.megabytes, "type": p.kind, "partition_capacity_mb": p.megabytes, "percentage_full": 42, "available_mb": 280000,
			"filevault_status": status, "filevault_percent": p.percent, "filevault2_status": status, "filevault2_percent": p.percent,
			"lvgUUID": "", "lvUUID": "", "pvUUID": "",
		})
	}
	disk := object{
		"disk": "disk0", "model": "APPLE SSD AP0512R", "revision": "873.40.4", "serial_number": fmt.Sprintf("ssd%013d", d.ID), "size": 500277,
		"drive_capacity_mb": 500277, "connection_type": "NO", "smart_status": "Verified",
	}
	if s.o.OldServer {
		disk["partition"] = partitions[0]
	} else {
		disk["partitions"] = partitions
	}
	h["storage"] = []object{disk}
	return h
}

func (s *Server) classicSoftware(d fleet.Device) object {
	apps := s.fleet.Apps(d)
	applications := make([]object, len(apps))
	for i, a := range apps {
		applications[i] = object{
			"name": a.Name, "path": "/Applications/" + a.Name + ".app", "version": a.Version, "bundle_id": "com.example.app" + strconv.Itoa(i),
		}
	}
	names := []string{}
	for _, u := range updatesOf(d) {
		names = append(names, u.Name)
	}
	return object{
		"unix_executables": []any{}, "licensed_software": []any{}, "installed_by_casper": []any{}, "installed_by_installer_swu": []any{},
		"cached_by_casper": []any{}, "available_software_updates": names, "available_updates": object{},
		"running_services": servicesOf(apps), "applications": applications, "fonts": []any{}, "plugins": []any{},
	}
}
