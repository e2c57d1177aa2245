package jamf

import (
	"testing"
	"unsafe"
)

// A listing remembers which computers it has seen without keeping the pages that
// they came with, which are as large as the whole inventory.
func TestVisitFresh_keepsNoPages(t *testing.T) {
	t.Parallel()
	page := `{"id":"17","udid":"U"}`
	c := computer{id: page[7:9]}
	seen := map[string]bool{}
	for i, fresh := range []int{1, 0} {
		got, err := visitFresh([]computer{c}, seen, func(*computer) error { return nil })
		if err != nil || got != fresh {
			t.Errorf("visit %d: %d fresh, error %v", i, got, err)
		}
	}
	for id := range seen {
		if id != c.id || unsafe.StringData(id) == unsafe.StringData(c.id) {
			t.Errorf("%q is a part of its page", id)
		}
	}
}
