package bitfit

import (
	"net/http"
	"strconv"

	"github.com/postureproject/posture/internal/simulator/fleet"
)

// kinds are those that the company owns; phones belong to their users.
func kinds() []fleet.Kind {
	return []fleet.Kind{fleet.Mac, fleet.Windows, fleet.Chromebook, fleet.Linux}
}

// assets lists everything, grouped by owner. A page holds the assets of
// PageSize people, so that finding it costs nothing.
func (s *Server) assets(w http.ResponseWriter, r *http.Request) {
	if s.o.NoAssetList {
		fail(w, http.StatusNotFound, "no such resource")
		return
	}
	n, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || n < 1 {
		n = 1
	}
	people := s.fleet.Len()
	from := min((n-1)*s.o.PageSize, people)
	items := []any{}
	for i := from; i < min(from+s.o.PageSize, people); i++ {
		for _, d := range s.fleet.Devices(s.fleet.Person(i), kinds()...) {
			items = append(items, s.listed(d))
		}
	}
	body := map[string]any{"items": items}
	if !s.o.NoPaging {
		body["page"], body["pages"] = n, (people+s.o.PageSize-1)/s.o.PageSize
	}
	answer(w, http.StatusOK, body)
}

func (s *Server) listed(d fleet.Device) any {
	if s.o.Summaries {
		return map[string]any{"id": d.ID, "name": d.Name, "user": map[string]any{"id": userID(d.Owner)}}
	}
	item := assetJSON(d)
	if s.o.Anonymous {
		delete(item, "user")
	}
	return item
}

func (s *Server) asset(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	d, ok := s.fleet.Device(id)
	if err != nil || !ok || d.Kind == fleet.Android || d.Kind == fleet.IPhone {
		fail(w, http.StatusNotFound, "no such asset")
		return
	}
	answer(w, http.StatusOK, map[string]any{"item": assetJSON(d)})
}

// assetJSON describes a device. A Mac has a picture of its own, the others an
// attachment; a Chromebook's type comes from its configuration.
func assetJSON(d fleet.Device) map[string]any {
	item := map[string]any{
		"id": d.ID, "name": d.Name, "model": d.Model, "serial_number": d.Serial,
		"customerStatus": map[string]any{"label": status(d)},
		"type":           map[string]any{"label": "Laptops", "label_single": "Laptop"},
		"user":           map[string]any{"id": userID(d.Owner), "email": d.Owner.Email},
		"image_url":      nil, "photo_id": nil,
	}
	switch d.Kind {
	case fleet.Mac:
		item["image_url"] = "https://images.example.com/mac/" + strconv.Itoa(d.ID) + ".jpg"
	case fleet.Chromebook:
		item["type"] = nil
		item["config"] = map[string]any{"type": map[string]any{"label": "Chromebooks", "label_single": "Chromebook"}}
		item["photo_id"] = d.ID
	default:
		item["photo_id"] = d.ID
	}
	fields := []any{
		field("mac_address", d.MACs[0]),
		field("HW Release Date", d.HWRelease.Format("1/2/2006")),
	}
	if len(d.MACs) > 1 {
		fields = append(fields, field("alt_mac_address", d.MACs[1]))
	}
	if d.UDID != "" {
		fields = append(fields, field("UDID", d.UDID))
	}
	item["fields"] = fields
	return item
}

func status(d fleet.Device) string {
	if d.Retired {
		return "E-Waste"
	}
	return "Deployed"
}

func field(name, value string) any { return map[string]any{"base_name": name, "value": value} }

// attachment gives a picture: a single grey pixel.
func (s *Server) attachment(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if _, ok := s.fleet.Device(id); err != nil || !ok {
		fail(w, http.StatusNotFound, "no such attachment")
		return
	}
	w.Header().Set("Content-Type", "image/gif")
	_, _ = w.Write([]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x80\x80\x80\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"))
}
