package device

import "time"

// textFields counts the fields that [Device.text] knows.
const textFields = 14

// text gives the place of one of a record's plain texts.
func (d *Device) text(field int) *string {
	switch field {
	case 0:
		return &d.Serial
	case 1:
		return &d.Name
	case 2:
		return &d.Model
	case 3:
		return &d.Manufacturer
	case 4:
		return &d.Type
	case 5:
		return &d.Status
	case 6:
		return &d.PhotoURL
	case 7:
		return &d.UserAgent
	case 8:
		return &d.Email
	case 9:
		return &d.Platform
	case 10:
		return &d.OS
	case 11:
		return &d.OSVersion
	case 12:
		return &d.OSBuild
	default:
		return &d.OSRelease
	}
}

// fill takes over the fields that d has none of yet, so that of several records
// the first that has a field wins.
func (d *Device) fill(r *Device) {
	for field := range textFields {
		if to := d.text(field); *to == "" {
			if from := *r.text(field); !isBlank(from) {
				*to = from
			}
		}
	}
	fillTime(&d.LastSync, r.LastSync)
	fillTime(&d.HWRelease, r.HWRelease)
}

func fillTime(to *time.Time, from time.Time) {
	if to.IsZero() {
		*to = from
	}
}

// isBlank reports whether s has nothing but white space.
func isBlank(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case ' ', '\t', '\n', '\r':
		default:
			return false
		}
	}
	return true
}
