package device_test

import (
	"testing"

	"github.com/postureproject/posture/device"
)

func TestIsPlaceholder(t *testing.T) {
	t.Parallel()
	placeholders := []string{
		"", " ", "\t", "unknown", "Unknown", " UNKNOWN ", "none", "None", "null", "...", "-", "?", "0", "00000000", "0000-0000", "0.0",
		"To be filled by O.E.M.", "TO BE FILLED BY O.E.M.", "To Be Filled By O.E.M", "to be filled in", "System Serial Number",
		"Default string", "N/A", "n/a", "NA", "Not Specified", "Not Applicable", "Not Available", "0123456789", "1234567890",
		"123456789", "XXXXXXXXXX", "xxxx", "********", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "00000000-0000-0000-0000-000000000000",
		"03000200-0400-0500-0006-000700080009", "000000000000000", "Chassis Serial Number", "(none)",
	}
	for _, s := range placeholders {
		if !device.IsPlaceholder(s) {
			t.Errorf("IsPlaceholder(%q) = false, want true", s)
		}
	}
	for _, s := range []string{
		"C02XG2JHJGH5", "PF2ABCDE", "0000001", "0X0F", "5CD1234567", "VMware-56 4d 1b", "unknown1", "NONE-1", "NA123", "A",
		"35145120840121", "9876543210", "To be honest", "é",
	} {
		if device.IsPlaceholder(s) {
			t.Errorf("IsPlaceholder(%q) = true, want false", s)
		}
	}
}
