package jamf

import (
	"errors"
	"strconv"

	"github.com/postureproject/posture/plugins/sdk/jsonscan"
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
	s := jsonscan.New(body)
	var p page
	complete := false
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "totalCount":
			p.total, _ = strconv.Atoi(s.Text())
		case "results":
			complete = s.Peek() == '['
			s.Each(func() {
				p.entries++
				var c computer
				written := s.Written(func() { c = inventoryComputer(s) })
				if raw {
					c.raw = written
				}
				if c.identified() {
					p.computers = append(p.computers, c)
				}
			})
		default:
			s.Skip()
		}
	}
	if err := s.End(); err != nil {
		return page{}, err
	}
	if !complete {
		return page{}, errNoComputer
	}
	return p, nil
}

func inventoryComputer(s *jsonscan.Scanner) (c computer) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "id":
			c.id = s.Text()
		case "udid":
			c.udid = s.Text()
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
			s.Each(func() { c.application(s) })
		case "services":
			s.Each(func() { c.addService(nameOrText(s)) })
		case "softwareUpdates":
			c.sawUpdates(s)
			s.Each(func() { c.addUpdate(nameOrText(s)) })
		case "extensionAttributes":
			c.inventoryAttributes(s)
		default:
			s.Skip()
		}
	}
	return c
}

func (c *computer) inventoryAttributes(s *jsonscan.Scanner) {
	s.Each(func() { c.attributes.read(s) })
}

func (c *computer) inventoryGeneral(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "name":
			c.name = s.Text()
		case "platform":
			c.platform = s.Text()
		case "reportDate":
			c.reportDates[0] = s.Text()
		case "extensionAttributes":
			c.inventoryAttributes(s)
		default:
			s.Skip()
		}
	}
}

func (c *computer) inventoryHardware(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "make":
			c.make = s.Text()
		case "model":
			c.model = s.Text()
		case "serialNumber":
			c.serial = s.Text()
		case "macAddress":
			c.mac = s.Text()
		case "altMacAddress":
			c.altMAC = s.Text()
		case "extensionAttributes":
			c.inventoryAttributes(s)
		default:
			s.Skip()
		}
	}
}

func (c *computer) inventorySystem(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "name":
			c.osName = s.Text()
		case "version":
			c.osVersion = s.Text()
		case "build":
			c.build = s.Text()
		case "extensionAttributes":
			c.inventoryAttributes(s)
		default:
			s.Skip()
		}
	}
}

func (c *computer) inventoryLocation(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "username":
			c.username = s.Text()
		case "realname":
			c.realName = s.Text()
		case "email":
			c.email = s.Text()
		case "extensionAttributes":
			c.inventoryAttributes(s)
		default:
			s.Skip()
		}
	}
}

func (c *computer) inventoryPurchasing(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		if s.Key() == "extensionAttributes" {
			c.inventoryAttributes(s)
		} else {
			s.Skip()
		}
	}
}

func (c *computer) inventoryStorage(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		if s.Key() == "disks" {
			s.Each(func() { c.inventoryDisk(s) })
		} else {
			s.Skip()
		}
	}
}

func (c *computer) inventoryDisk(s *jsonscan.Scanner) {
	var d drive
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "sizeMegabytes":
			d.capacity = s.Text()
		case "partitions":
			s.Each(func() { d.inventoryPartition(s) })
		default:
			s.Skip()
		}
	}
	c.addDrive(d)
}

func (d *drive) inventoryPartition(s *jsonscan.Scanner) {
	var p partition
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "name":
			p.name = s.Text()
		case "partitionType":
			p.kind = s.Text()
		case "fileVault2State":
			p.status = s.Text()
		case "fileVault2ProgressPercent":
			p.percent = s.Text()
		default:
			s.Skip()
		}
	}
	if p != (partition{}) {
		d.partitions = append(d.partitions, p)
	}
}
