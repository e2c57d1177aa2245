package fleet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/internal/simulator/fleet"
)

// Every key that a device carries must find it again, or a simulator would
// contradict itself.
func TestFleet_keysFindTheirDevice(t *testing.T) {
	t.Parallel()
	f := fleet.New(fleet.Options{People: 900})
	serials := map[string]bool{}
	f.All(func(d fleet.Device) bool {
		if serials[d.Serial] {
			t.Fatalf("serial %s twice", d.Serial)
		}
		serials[d.Serial] = true
		byID, ok := f.Device(d.ID)
		if !ok {
			t.Fatalf("device %d not found", d.ID)
		}
		if diff := cmp.Diff(d, byID); diff != "" {
			t.Fatalf("device %d differs:\n%s", d.ID, diff)
		}
		if bySerial, ok := f.DeviceBySerial(d.Serial); !ok || bySerial.ID != d.ID {
			t.Fatalf("serial %s gives %v", d.Serial, bySerial.ID)
		}
		for _, m := range d.MACs[:min(2, len(d.MACs))] {
			if found := f.DevicesByMAC(m); len(found) != 1 || found[0].ID != d.ID {
				t.Fatalf("MAC %s of %d gives %v", m, d.ID, found)
			}
		}
		if p, ok := f.PersonByEmail(d.Owner.Email); !ok || p.Index != d.Owner.Index {
			t.Fatalf("%s gives person %d, want %d", d.Owner.Email, p.Index, d.Owner.Index)
		}
		return true
	})
	if len(serials) < 1500 {
		t.Fatalf("only %d devices", len(serials))
	}
}

func TestFleet_firstPersonHasEveryKind(t *testing.T) {
	t.Parallel()
	f := fleet.New(fleet.Options{})
	p := f.Person(0)
	if p.Email != "ada.lovelace@example.com" {
		t.Errorf("person 0 is %s", p.Email)
	}
	if got := len(f.Devices(p)); got != 6 {
		t.Errorf("%d devices, want 6", got)
	}
}
