package jamf

import (
	"errors"
	"strconv"
)

// errNoComputer says that a well-formed document is about no computer.
var errNoComputer = errors.New("the document holds no computer")

// sections are the parts of the Jamf Pro API's inventory that a record is made
// of. Extension attributes come with the section under which Jamf displays them,
// hence PURCHASING. They are the same in v1 to v4 of computers-inventory.
func sections() []string {
	return []string{
		"GENERAL", "HARDWARE", "OPERATING_SYSTEM", "USER_AND_LOCATION", "PURCHASING", "STORAGE", "APPLICATIONS", "SERVICES",
		"SOFTWARE_UPDATES", "EXTENSION_ATTRIBUTES",
	}
}

// page is one page of the inventory.
type page struct {
	total     int // of computers on all pages, by the server's count at that time
	entries   int // on this page, also those that could not be read
	computers []computer
}

// readInventory reads a page of the Jamf Pro API's computers-inventory. An entry
// that is no computer is left out.
func readInventory(body []byte, raw bool) (page, error) {
	s := newScanner(body)
	var p page
	complete := false
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "totalCount":
			p.total, _ = strconv.Atoi(s.text())
		case "results":
			complete = s.peek() == '['
			s.each(func() {
				p.entries++
				s.peek()
				from := s.pos
				c := inventoryComputer(s)
				if raw && s.err == nil {
					c.raw = s.doc[from:s.pos]
				}
				if c.identified() {
					p.computers = append(p.computers, c)
				}
			})
		default:
			s.skip()
		}
	}
	if err := s.end(); err != nil {
		return page{}, err
	}
	if !complete {
		return page{}, errNoComputer
	}
	return p, nil
}

func inventoryComputer(s *scanner) (c computer) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "id":
			c.id = s.text()
		case "udid":
			c.udid = s.text()
		case "general":
			c.inventoryGeneral(s)
		case "hardware":
			c.inventoryHardware(s)
		case "operatingSystem":
			c.inventorySystem(s)
		case "userAndLocation":
			c.inventoryLocation(s)
		case "purchasing":
			c.inventoryPurchasing(s)
		case "storage":
			c.inventoryStorage(s)
		case "applications":
			s.each(func() { c.application(s) })
		case "services":
			s.each(func() { c.addService(nameOrText(s)) })
		case "softwareUpdates":
			c.sawUpdates(s)
			s.each(func() { c.addUpdate(nameOrText(s)) })
		case "extensionAttributes":
			c.inventoryAttributes(s)
		default:
			s.skip()
		}
	}
	return c
}

func (c *computer) inventoryAttributes(s *scanner) {
	s.each(func() { c.attributes.read(s) })
}

func (c *computer) inventoryGeneral(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "name":
			c.name = s.text()
		case "platform":
			c.platform = s.text()
		case "reportDate":
			c.reportDates[0] = s.text()
		case "extensionAttributes":
			c.inventoryAttributes(s)
		default:
			s.skip()
		}
	}
}

func (c *computer) inventoryHardware(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "make":
			c.make = s.text()
		case "model":
			c.model = s.text()
		case "serialNumber":
			c.serial = s.text()
		case "macAddress":
			c.mac = s.text()
		case "altMacAddress":
			c.altMAC = s.text()
		case "extensionAttributes":
			c.inventoryAttributes(s)
		default:
			s.skip()
		}
	}
}

func (c *computer) inventorySystem(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "name":
			c.osName = s.text()
		case "version":
			c.osVersion = s.text()
		case "build":
			c.build = s.text()
		case "extensionAttributes":
			c.inventoryAttributes(s)
		default:
			s.skip()
		}
	}
}

func (c *computer) inventoryLocation(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "username":
			c.username = s.text()
		case "realname":
			c.realName = s.text()
		case "email":
			c.email = s.text()
		case "extensionAttributes":
			c.inventoryAttributes(s)
		default:
			s.skip()
		}
	}
}

func (c *computer) inventoryPurchasing(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		if s.key() == "extensionAttributes" {
			c.inventoryAttributes(s)
		} else {
			s.skip()
		}
	}
}

func (c *computer) inventoryStorage(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		if s.key() == "disks" {
			s.each(func() { c.inventoryDisk(s) })
		} else {
			s.skip()
		}
	}
}

func (c *computer) inventoryDisk(s *scanner) {
	var d drive
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "sizeMegabytes":
			d.capacity = s.text()
		case "partitions":
			s.each(func() { d.inventoryPartition(s) })
		default:
			s.skip()
		}
	}
	c.addDrive(d)
}

func (d *drive) inventoryPartition(s *scanner) {
	var p partition
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "name":
			p.name = s.text()
		case "partitionType":
			p.kind = s.text()
		case "fileVault2State":
			p.status = s.text()
		case "fileVault2ProgressPercent":
			p.percent = s.text()
		default:
			s.skip()
		}
	}
	if p != (partition{}) {
		d.partitions = append(d.partitions, p)
	}
}
