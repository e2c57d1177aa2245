package transforms

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

const patternMapKey = "PATTERN_MAP"

// REFilter leaves out devices of which a field matches its regular expression.
type REFilter struct{ patterns []fieldPattern }

type fieldPattern struct {
	values  func(*device.Device) []string
	pattern *regexp.Regexp
}

// NewREFilter reads the settings of re_filter: PATTERN_MAP, an object of field
// and regular expression. A field is one of a device's text fields by its JSON
// name, without case; "serial" looks at the device's and at the identifying one.
//
// The expressions are Go's (RE2), found anywhere in the field. Unlike Python's
// they have no look-ahead, look-behind or back-references, which are errors, and
// \d, \w and \s mean ASCII.
func NewREFilter(raw json.RawMessage) (*REFilter, error) {
	value, err := setting(NameREFilter, raw, patternMapKey)
	if err != nil {
		return nil, err
	}
	const example = `{"model": "(VMware|Virtual Machine)"}`
	if value == nil {
		return nil, missing(NameREFilter, patternMapKey, example)
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(value, &given); err != nil || given == nil {
		return nil, invalid(NameREFilter, fault.Field{
			Name: patternMapKey, Reason: "must be an object of field and regular expression", Remedy: "write " + example,
		})
	}
	f, problems, fields, seen := &REFilter{}, []fault.Field(nil), deviceFields(), map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		path, key := patternMapKey+"."+name, strings.ToLower(name)
		values, ok := fields[key]
		switch {
		case !ok:
			problems = append(problems, fault.Field{
				Name: path, Reason: "is not a text field of a device",
				Remedy: "use one of " + strings.Join(slices.Sorted(maps.Keys(fields)), ", "),
			})
			continue
		case seen[key]:
			problems = append(problems, fault.Field{Name: path, Reason: "is given twice", Remedy: "keep one"})
			continue
		}
		seen[key] = true
		pattern, problem := compilePattern(path, given[name])
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		f.patterns = append(f.patterns, fieldPattern{values, pattern})
	}
	if err := invalid(NameREFilter, problems...); err != nil {
		return nil, err
	}
	return f, nil
}

func compilePattern(path string, raw json.RawMessage) (*regexp.Regexp, *fault.Field) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil || bytes.Equal(raw, []byte("null")) {
		return nil, &fault.Field{Name: path, Reason: "must be a text that holds a regular expression"}
	}
	pattern, err := regexp.Compile(text)
	if err == nil {
		return pattern, nil
	}
	problem := &fault.Field{Name: path, Value: text, Reason: strings.TrimPrefix(err.Error(), "error parsing regexp: ")}
	for _, construct := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.Contains(text, construct) {
			problem.Reason = "uses " + construct + ", which Go's regular expressions do not have"
			problem.Remedy = "write it without look-ahead and look-behind"
		}
	}
	return nil, problem
}

// deviceFields are the text fields of a device by JSON name. An absent value is
// empty.
func deviceFields() map[string]func(*device.Device) []string {
	one := func(value func(*device.Device) string) func(*device.Device) []string {
		return func(d *device.Device) []string { return []string{value(d)} }
	}
	return map[string]func(*device.Device) []string{
		"name":         one(func(d *device.Device) string { return d.Name }),
		"model":        one(func(d *device.Device) string { return d.Model }),
		"manufacturer": one(func(d *device.Device) string { return d.Manufacturer }),
		"type":         one(func(d *device.Device) string { return d.Type }),
		"serial": func(d *device.Device) []string {
			return []string{d.Serial, d.Identifiers.Serial}
		},
		"status":     one(func(d *device.Device) string { return d.Status }),
		"photo_url":  one(func(d *device.Device) string { return d.PhotoURL }),
		"user_agent": one(func(d *device.Device) string { return d.UserAgent }),
		"email":      one(func(d *device.Device) string { return d.Email }),
		"platform":   one(func(d *device.Device) string { return d.Platform }),
		"os":         one(func(d *device.Device) string { return d.OS }),
		"os_version": one(func(d *device.Device) string { return d.OSVersion }),
		"os_build":   one(func(d *device.Device) string { return d.OSBuild }),
		"os_release": one(func(d *device.Device) string { return d.OSRelease }),
		"source":     one(func(d *device.Device) string { return d.Source }),

		"identifiers.serial":           one(func(d *device.Device) string { return d.Identifiers.Serial }),
		"identifiers.udid":             one(func(d *device.Device) string { return d.Identifiers.UDID }),
		"identifiers.imei":             one(func(d *device.Device) string { return d.Identifiers.IMEI }),
		"identifiers.meid":             one(func(d *device.Device) string { return d.Identifiers.MEID }),
		"identifiers.google_device_id": one(func(d *device.Device) string { return d.Identifiers.GoogleDeviceID }),
		"identifiers.mac_addresses": func(d *device.Device) []string {
			macs := make([]string, len(d.Identifiers.MACAddresses))
			for i, m := range d.Identifiers.MACAddresses {
				macs[i] = string(m)
			}
			return macs
		},
	}
}

// TransformDevices gives the devices of which no field matches, in their order.
// An absent field matches nothing. It fails only when ctx ends.
func (f *REFilter) TransformDevices(ctx context.Context, devices []device.Device) ([]device.Device, error) {
	kept := make([]device.Device, 0, len(devices))
	for i := range devices {
		if err := interrupted(ctx, i); err != nil {
			return nil, err
		}
		if !f.matches(&devices[i]) {
			kept = append(kept, devices[i])
		}
	}
	return kept, nil
}

func (f *REFilter) matches(d *device.Device) bool {
	for _, p := range f.patterns {
		for _, value := range p.values(d) {
			if value != "" && p.pattern.MatchString(value) {
				return true
			}
		}
	}
	return false
}

// interrupted looks, every so many steps, whether ctx has ended.
func interrupted(ctx context.Context, step int) error {
	if step%256 != 0 {
		return nil
	}
	return ctx.Err()
}

func patternMapSchema() object {
	properties, order := object{}, slices.Sorted(maps.Keys(deviceFields()))
	for _, name := range order {
		properties[name] = object{"type": "string"}
	}
	return object{
		"type": "object", "properties": properties, "additionalProperties": false,
		"description": "Regular expressions by a device's field: a device is left out when any of them is found anywhere in its field. " +
			"They are RE2 expressions, which have no look-ahead, look-behind and back-references.",
		"examples": []any{object{"model": "(Virtual Machine|VMware|amazon|HVM domU)", "serial": "(Parallels|VMware)"}},
	}
}
