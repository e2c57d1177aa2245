package sdk

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/sdk/pluginv1"
)

func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// timeFromProto reads a time; one outside of the years 1 to 9999 is absent, as
// it could not be written as RFC 3339.
func timeFromProto(t *timestamppb.Timestamp) time.Time {
	if t == nil || t.CheckValid() != nil {
		return time.Time{}
	}
	return t.AsTime()
}

// valid makes s valid UTF-8, which protocol buffers demand: one odd byte must not
// lose a whole message.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func devicesToProto(devices []device.Device) []*pluginv1.Device {
	out := make([]*pluginv1.Device, len(devices))
	for i := range devices {
		out[i] = deviceToProto(&devices[i])
	}
	return out
}

func deviceToProto(d *device.Device) *pluginv1.Device {
	p := &pluginv1.Device{
		Name: valid(d.Name), Model: valid(d.Model), Manufacturer: valid(d.Manufacturer), Type: valid(d.Type), Serial: valid(d.Serial), Status: valid(d.Status),
		PhotoUrl: valid(d.PhotoURL), UserAgent: valid(d.UserAgent), Email: valid(d.Email), Platform: valid(d.Platform),
		Os: valid(d.OS), OsVersion: valid(d.OSVersion), OsBuild: valid(d.OSBuild), OsRelease: valid(d.OSRelease),
		LastSync: timeToProto(d.LastSync), HwReleaseDate: timeToProto(d.HWRelease),
		Identifiers: &pluginv1.Identifiers{
			Serial: valid(d.Identifiers.Serial), Udid: valid(d.Identifiers.UDID), Imei: valid(d.Identifiers.IMEI), Meid: valid(d.Identifiers.MEID),
			GoogleDeviceId: valid(d.Identifiers.GoogleDeviceID),
		},
		Source: valid(d.Source), RawJson: d.Raw,
	}
	for _, note := range d.Notes {
		p.Notes = append(p.Notes, valid(note))
	}
	for _, m := range d.Identifiers.MACAddresses {
		p.Identifiers.MacAddresses = append(p.Identifiers.MacAddresses, valid(string(m)))
	}
	if len(d.Practices) > 0 {
		p.Practices = make(map[string]*pluginv1.Practice, len(d.Practices))
		for k, v := range d.Practices {
			p.Practices[valid(k)] = &pluginv1.Practice{Value: v.Value, Details: valid(v.Details), LastUpdated: timeToProto(v.LastUpdated)}
		}
	}
	if s := d.Software; s != nil {
		p.Software = &pluginv1.Software{LastScanDate: timeToProto(s.LastScan), Installed: make([]*pluginv1.Application, len(s.Installed))}
		apps := make([]pluginv1.Application, len(s.Installed))
		for i, a := range s.Installed {
			app := &apps[i]
			app.Name, app.Version, app.Publisher, app.InstallDate = valid(a.Name), valid(a.Version), valid(a.Publisher), timeToProto(a.InstallDate)
			p.Software.Installed[i] = app
		}
		for _, service := range s.Services {
			p.Software.Services = append(p.Software.Services, valid(service.Name))
		}
	}
	return p
}

// devicesFromProto reads records that crossed the border: source is the name
// under which the host knows the plugin, whatever the plugin says. A MAC that is
// not an address is left out and noted.
func devicesFromProto(in []*pluginv1.Device, source string) []device.Device {
	out := make([]device.Device, 0, len(in))
	for _, p := range in {
		if p != nil {
			out = append(out, deviceFromProto(p, source))
		}
	}
	return out
}

func deviceFromProto(p *pluginv1.Device, source string) device.Device {
	id := p.GetIdentifiers()
	d := device.Device{
		Name: p.GetName(), Model: p.GetModel(), Manufacturer: p.GetManufacturer(), Type: p.GetType(), Serial: p.GetSerial(), Status: p.GetStatus(),
		PhotoURL: p.GetPhotoUrl(), UserAgent: p.GetUserAgent(), Email: p.GetEmail(), Platform: p.GetPlatform(),
		OS: p.GetOs(), OSVersion: p.GetOsVersion(), OSBuild: p.GetOsBuild(), OSRelease: p.GetOsRelease(),
		LastSync: timeFromProto(p.GetLastSync()), HWRelease: timeFromProto(p.GetHwReleaseDate()),
		Identifiers: device.Identifiers{
			Serial: id.GetSerial(), UDID: id.GetUdid(), IMEI: id.GetImei(), MEID: id.GetMeid(), GoogleDeviceID: id.GetGoogleDeviceId(),
		},
		Source: source, Notes: p.GetNotes(), Raw: rawJSON(p.GetRawJson()),
	}
	macs, bad := device.UsableMACs(id.GetMacAddresses()...)
	d.Identifiers.MACAddresses = macs
	for _, b := range bad {
		d.Notes = append(d.Notes, fmt.Sprintf("%q is not a MAC address", b))
	}
	if len(p.GetPractices()) > 0 {
		d.Practices = make(map[string]device.Practice, len(p.GetPractices()))
		for k, v := range p.GetPractices() {
			if v == nil {
				continue
			}
			d.Practices[k] = device.Practice{Value: v.Value, Details: v.GetDetails(), LastUpdated: timeFromProto(v.GetLastUpdated())}
		}
	}
	if s := p.GetSoftware(); s != nil {
		sw := &device.Software{LastScan: timeFromProto(s.GetLastScanDate())}
		if n := len(s.GetInstalled()); n > 0 {
			sw.Installed = make([]device.Application, 0, n)
		}
		for _, a := range s.GetInstalled() {
			sw.Installed = append(sw.Installed, device.Application{
				Name: a.GetName(), Version: a.GetVersion(), Publisher: a.GetPublisher(), InstallDate: timeFromProto(a.GetInstallDate()),
			})
		}
		for _, name := range s.GetServices() {
			sw.Services = append(sw.Services, device.Service{Name: name})
		}
		d.Software = sw
	}
	return d
}

// rawJSON keeps a document only when it is JSON, so that one plugin's garbage
// cannot break the encoding of a whole answer.
func rawJSON(b []byte) json.RawMessage {
	if len(b) == 0 || !json.Valid(b) {
		return nil
	}
	return b
}

func eventsToProto(events []device.Event) []*pluginv1.Event {
	out := make([]*pluginv1.Event, len(events))
	for i, e := range events {
		out[i] = &pluginv1.Event{
			Source: valid(e.Source), Type: valid(e.Type), Success: e.Success, Reason: valid(e.Reason), IpAddress: valid(e.IPAddress),
			Timestamp: timeToProto(e.Timestamp), Username: valid(e.Username), Email: valid(e.Email), Vpn: e.VPN, RawJson: e.Raw,
		}
		if len(e.Details) > 0 {
			out[i].Details = make(map[string]string, len(e.Details))
			for k, v := range e.Details {
				out[i].Details[valid(k)] = valid(v)
			}
		}
	}
	return out
}

// eventsFromProto reads events. With an empty source, as after a transform, each
// keeps its own.
func eventsFromProto(in []*pluginv1.Event, source string) []device.Event {
	out := make([]device.Event, 0, len(in))
	for _, p := range in {
		if p == nil {
			continue
		}
		out = append(out, device.Event{
			Source: orElse(source, p.GetSource()), Type: p.GetType(), Success: p.Success, Reason: p.GetReason(), IPAddress: p.GetIpAddress(),
			Timestamp: timeFromProto(p.GetTimestamp()), Username: p.GetUsername(), Email: p.GetEmail(), Details: p.GetDetails(), VPN: p.Vpn,
			Raw: rawJSON(p.GetRawJson()),
		})
	}
	return out
}

func accountsToProto(accounts []device.Account) []*pluginv1.Account {
	out := make([]*pluginv1.Account, len(accounts))
	for i, a := range accounts {
		out[i] = &pluginv1.Account{
			Name: valid(a.Name), Email: valid(a.Email), Type: valid(a.Type), LastUpdated: timeToProto(a.LastUpdated), Date: valid(a.Date),
			UserUsage: usageToProto(a.UserUsage), RawJson: a.Raw,
		}
	}
	return out
}

// usageToProto goes through JSON, so that a plugin may use any Go number type. A
// parameter that has no JSON form is left out.
func usageToProto(usage map[string]any) *structpb.Struct {
	if len(usage) == 0 {
		return nil
	}
	out := &structpb.Struct{Fields: make(map[string]*structpb.Value, len(usage))}
	for name, value := range usage {
		text, err := json.Marshal(value)
		if err != nil {
			continue
		}
		var v structpb.Value
		if v.UnmarshalJSON(text) == nil {
			out.Fields[valid(name)] = &v
		}
	}
	return out
}

func accountsFromProto(in []*pluginv1.Account, source string) []device.Account {
	out := make([]device.Account, 0, len(in))
	for _, p := range in {
		if p == nil {
			continue
		}
		a := device.Account{
			Name: p.GetName(), Email: p.GetEmail(), Type: p.GetType(), Source: source, LastUpdated: timeFromProto(p.GetLastUpdated()),
			Date: p.GetDate(), Raw: rawJSON(p.GetRawJson()),
		}
		if p.GetUserUsage() != nil {
			a.UserUsage = p.GetUserUsage().AsMap()
		}
		out = append(out, a)
	}
	return out
}

func notificationsToProto(notifications []device.Notification) []*pluginv1.Notification {
	out := make([]*pluginv1.Notification, len(notifications))
	for i, n := range notifications {
		out[i] = &pluginv1.Notification{Id: valid(n.ID), Index: valid(n.Index), SourceJson: n.Source}
	}
	return out
}

func notificationsFromProto(in []*pluginv1.Notification, source string) []device.Notification {
	out := make([]device.Notification, 0, len(in))
	for _, p := range in {
		if p == nil {
			continue
		}
		out = append(out, device.Notification{ID: p.GetId(), Index: p.GetIndex(), Source: rawJSON(p.GetSourceJson()), Plugin: source})
	}
	return out
}
