package jamf

import (
	"github.com/postureproject/posture/device"
)

// readClassic reads the Classic API's document about a computer, with its
// wrapper {"computer": {…}}. The document's own text is kept when raw is set.
func readClassic(body []byte, raw bool) (computer, error) {
	s := newScanner(body)
	var c computer
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "computer", "computers":
			s.each(func() {
				if c.identified() {
					s.skip() // several have the same key; the server's first one counts
					return
				}
				s.peek()
				from := s.pos
				c = classicComputer(s)
				if raw && s.err == nil {
					c.raw = s.doc[from:s.pos]
				}
			})
		default:
			s.skip()
		}
	}
	if err := s.end(); err != nil {
		return computer{}, err
	}
	if !c.identified() {
		return computer{}, errNoComputer
	}
	return c, nil
}

func classicComputer(s *scanner) (c computer) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "general":
			c.classicGeneral(s)
		case "location":
			c.classicLocation(s)
		case "hardware":
			c.classicHardware(s)
		case "software":
			c.classicSoftware(s)
		case "extension_attributes":
			s.each(func() { classicWrapped(s, "extension_attribute", c.attributes.read) })
		default:
			s.skip()
		}
	}
	return c
}

func (c *computer) classicGeneral(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "id":
			c.id = s.text()
		case "name":
			c.name = s.text()
		case "platform":
			c.platform = s.text()
		case "serial_number":
			c.serial = s.text()
		case "udid":
			c.udid = s.text()
		case "mac_address":
			c.mac = s.text()
		case "alt_mac_address":
			c.altMAC = s.text()
		case "report_date_utc":
			c.reportDates[0] = s.text()
		case "report_date_epoch":
			c.reportDates[1] = s.text()
		default:
			s.skip()
		}
	}
}

func (c *computer) classicLocation(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "username":
			c.username = s.text()
		case "real_name", "realname":
			c.realName = s.text()
		case "email_address":
			c.email = s.text()
		default:
			s.skip()
		}
	}
}

func (c *computer) classicHardware(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "make":
			c.make = s.text()
		case "model":
			c.model = s.text()
		case "os_name":
			c.osName = s.text()
		case "os_version":
			c.osVersion = s.text()
		case "os_build":
			c.build = s.text()
		case "storage":
			s.each(func() { c.classicDrive(s) })
		default:
			s.skip()
		}
	}
}

// classicDrive reads a drive, or an object around one or several: servers differ
// in whether the list is of drives or of {"device": {…}}. On today's the member
// "disk" is the drive's name.
func (c *computer) classicDrive(s *scanner) {
	var d drive
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "device", "drive", "disk":
			s.each(func() { c.classicDrive(s) })
		case "drive_capacity_mb":
			if capacity := s.text(); capacity != "" {
				d.capacity = capacity
			}
		case "size":
			if size := s.text(); d.capacity == "" {
				d.capacity = size
			}
		case "partition", "partitions":
			s.each(func() { classicWrapped(s, "partition", d.classicPartition) })
		default:
			s.skip()
		}
	}
	c.addDrive(d)
}

func (d *drive) classicPartition(s *scanner) {
	var p partition
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "name":
			p.name = s.text()
		case "type":
			p.kind = s.text()
		case "filevault2_status":
			p.status = s.text()
		case "filevault2_percent":
			p.percent = s.text()
		default:
			s.skip()
		}
	}
	if p != (partition{}) {
		d.partitions = append(d.partitions, p)
	}
}

func (c *computer) classicSoftware(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "available_software_updates":
			c.sawUpdates(s)
			s.each(func() { c.addUpdate(nameOrText(s)) })
		case "running_services":
			s.each(func() { c.addService(nameOrText(s)) })
		case "applications":
			s.each(func() { classicWrapped(s, "application", c.application) })
		default:
			s.skip()
		}
	}
}

// application reads an application; both interfaces write the two members alike.
func (c *computer) application(s *scanner) {
	var a device.Application
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "name":
			a.Name = s.text()
		case "version":
			a.Version = s.text()
		default:
			s.skip()
		}
	}
	c.addApplication(a)
}

// classicWrapped reads a list's element that may be wrapped once more under its
// own name, as {"partition": {…}}, alone or several of them.
func classicWrapped(s *scanner, name string, read func(*scanner)) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	ahead := *s
	wrapped := ahead.enter('{') && ahead.key() == name && (ahead.peek() == '{' || ahead.peek() == '[')
	if !wrapped {
		read(s)
		return
	}
	for ok := s.enter('{'); ok; ok = s.more('}') {
		if s.key() == name {
			s.each(func() { read(s) })
		} else {
			s.skip()
		}
	}
}

// nameOrText reads a text, or the name of an object.
func nameOrText(s *scanner) string {
	if s.peek() != '{' {
		return s.text()
	}
	name := ""
	for ok := s.enter('{'); ok; ok = s.more('}') {
		if s.key() == "name" {
			name = s.text()
		} else {
			s.skip()
		}
	}
	return name
}

// classicUser is one person as the Classic API knows it.
type classicUser struct {
	name, fullName, email string
	computers             []string // their numbers
}

// readClassicUsers reads what both /users/name and /users/email answer: one user
// under "user", or a list under "users".
func readClassicUsers(body []byte) ([]classicUser, error) {
	s := newScanner(body)
	var users []classicUser
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "user", "users":
			s.each(func() {
				classicWrapped(s, "user", func(s *scanner) { users = append(users, oneClassicUser(s)) })
			})
		default:
			s.skip()
		}
	}
	return users, s.end()
}

func oneClassicUser(s *scanner) (u classicUser) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		switch s.key() {
		case "name":
			u.name = s.text()
		case "full_name":
			u.fullName = s.text()
		case "email", "email_address":
			if email := s.text(); u.email == "" {
				u.email = email
			}
		case "links":
			u.classicLinks(s)
		default:
			s.skip()
		}
	}
	return u
}

func (u *classicUser) classicLinks(s *scanner) {
	for ok := s.enter('{'); ok; ok = s.more('}') {
		if s.key() == "computers" {
			s.each(func() {
				classicWrapped(s, "computer", func(s *scanner) {
					if id := idOf(s); id != "" {
						u.computers = append(u.computers, id)
					}
				})
			})
		} else {
			s.skip()
		}
	}
}

func idOf(s *scanner) string {
	id := ""
	for ok := s.enter('{'); ok; ok = s.more('}') {
		if s.key() == "id" {
			id = s.text()
		} else {
			s.skip()
		}
	}
	return id
}

// readClassicIDs reads the numbers in a list such as {"computers": [{"id": 1}]}.
func readClassicIDs(body []byte, list, element string) ([]string, error) {
	s := newScanner(body)
	var ids []string
	for ok := s.enter('{'); ok; ok = s.more('}') {
		if s.key() != list {
			s.skip()
			continue
		}
		s.each(func() {
			classicWrapped(s, element, func(s *scanner) {
				if id := idOf(s); id != "" {
					ids = append(ids, id)
				}
			})
		})
	}
	return ids, s.end()
}
