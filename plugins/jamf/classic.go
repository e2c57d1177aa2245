package jamf

import (
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/sdk/jsonscan"
)

// readClassic reads the Classic API's document about a computer, with its
// wrapper {"computer": {…}}. The document's own text is kept when raw is set.
func readClassic(body []byte, raw bool) (computer, error) {
	s := jsonscan.New(body)
	var c computer
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "computer", "computers":
			s.Each(func() {
				if c.identified() {
					s.Skip() // several have the same key; the server's first one counts
					return
				}
				written := s.Written(func() { c = classicComputer(s) })
				if raw {
					c.raw = written
				}
			})
		default:
			s.Skip()
		}
	}
	if err := s.End(); err != nil {
		return computer{}, err
	}
	if !c.identified() {
		return computer{}, errNoComputer
	}
	return c, nil
}

func classicComputer(s *jsonscan.Scanner) (c computer) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "general":
			c.classicGeneral(s)
		case "location":
			c.classicLocation(s)
		case "hardware":
			c.classicHardware(s)
		case "software":
			c.classicSoftware(s)
		case "extension_attributes":
			s.Each(func() { classicWrapped(s, "extension_attribute", c.attributes.read) })
		default:
			s.Skip()
		}
	}
	return c
}

func (c *computer) classicGeneral(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "id":
			c.id = s.Text()
		case "name":
			c.name = s.Text()
		case "platform":
			c.platform = s.Text()
		case "serial_number":
			c.serial = s.Text()
		case "udid":
			c.udid = s.Text()
		case "mac_address":
			c.mac = s.Text()
		case "alt_mac_address":
			c.altMAC = s.Text()
		case "report_date_utc":
			c.reportDates[0] = s.Text()
		case "report_date_epoch":
			c.reportDates[1] = s.Text()
		default:
			s.Skip()
		}
	}
}

func (c *computer) classicLocation(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "username":
			c.username = s.Text()
		case "real_name", "realname":
			c.realName = s.Text()
		case "email_address":
			c.email = s.Text()
		default:
			s.Skip()
		}
	}
}

func (c *computer) classicHardware(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "make":
			c.make = s.Text()
		case "model":
			c.model = s.Text()
		case "os_name":
			c.osName = s.Text()
		case "os_version":
			c.osVersion = s.Text()
		case "os_build":
			c.build = s.Text()
		case "storage":
			s.Each(func() { c.classicDrive(s) })
		default:
			s.Skip()
		}
	}
}

// classicDrive reads a drive, or an object around one or several: servers differ
// in whether the list is of drives or of {"device": {…}}. On today's the member
// "disk" is the drive's name.
func (c *computer) classicDrive(s *jsonscan.Scanner) {
	var d drive
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "device", "drive", "disk":
			s.Each(func() { c.classicDrive(s) })
		case "drive_capacity_mb":
			if capacity := s.Text(); capacity != "" {
				d.capacity = capacity
			}
		case "size":
			if size := s.Text(); d.capacity == "" {
				d.capacity = size
			}
		case "partition", "partitions":
			s.Each(func() { classicWrapped(s, "partition", d.classicPartition) })
		default:
			s.Skip()
		}
	}
	c.addDrive(d)
}

func (d *drive) classicPartition(s *jsonscan.Scanner) {
	var p partition
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "name":
			p.name = s.Text()
		case "type":
			p.kind = s.Text()
		case "filevault2_status":
			p.status = s.Text()
		case "filevault2_percent":
			p.percent = s.Text()
		default:
			s.Skip()
		}
	}
	if p != (partition{}) {
		d.partitions = append(d.partitions, p)
	}
}

func (c *computer) classicSoftware(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "available_software_updates":
			c.sawUpdates(s)
			s.Each(func() { c.addUpdate(nameOrText(s)) })
		case "running_services":
			s.Each(func() { c.addService(nameOrText(s)) })
		case "applications":
			s.Each(func() { classicWrapped(s, "application", c.application) })
		default:
			s.Skip()
		}
	}
}

// application reads an application; both interfaces write the two members alike.
func (c *computer) application(s *jsonscan.Scanner) {
	var a device.Application
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "name":
			a.Name = s.Text()
		case "version":
			a.Version = s.Text()
		default:
			s.Skip()
		}
	}
	c.addApplication(a)
}

// classicWrapped reads a list's element that may be wrapped once more under its
// own name, as {"partition": {…}}, alone or several of them.
func classicWrapped(s *jsonscan.Scanner, name string, read func(*jsonscan.Scanner)) {
	if s.Peek() != '{' {
		s.Skip()
		return
	}
	ahead := *s
	wrapped := ahead.Enter('{') && ahead.Key() == name && (ahead.Peek() == '{' || ahead.Peek() == '[')
	if !wrapped {
		read(s)
		return
	}
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		if s.Key() == name {
			s.Each(func() { read(s) })
		} else {
			s.Skip()
		}
	}
}

// nameOrText reads a text, or the name of an object.
func nameOrText(s *jsonscan.Scanner) string {
	if s.Peek() != '{' {
		return s.Text()
	}
	name := ""
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		if s.Key() == "name" {
			name = s.Text()
		} else {
			s.Skip()
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
	s := jsonscan.New(body)
	var users []classicUser
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "user", "users":
			s.Each(func() {
				classicWrapped(s, "user", func(s *jsonscan.Scanner) { users = append(users, oneClassicUser(s)) })
			})
		default:
			s.Skip()
		}
	}
	return users, s.End()
}

func oneClassicUser(s *jsonscan.Scanner) (u classicUser) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "name":
			u.name = s.Text()
		case "full_name":
			u.fullName = s.Text()
		case "email", "email_address":
			if email := s.Text(); u.email == "" {
				u.email = email
			}
		case "links":
			u.classicLinks(s)
		default:
			s.Skip()
		}
	}
	return u
}

func (u *classicUser) classicLinks(s *jsonscan.Scanner) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		if s.Key() == "computers" {
			s.Each(func() {
				classicWrapped(s, "computer", func(s *jsonscan.Scanner) {
					if id := idOf(s); id != "" {
						u.computers = append(u.computers, id)
					}
				})
			})
		} else {
			s.Skip()
		}
	}
}

func idOf(s *jsonscan.Scanner) string {
	id := ""
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		if s.Key() == "id" {
			id = s.Text()
		} else {
			s.Skip()
		}
	}
	return id
}

// readClassicIDs reads the numbers in a list such as {"computers": [{"id": 1}]}.
func readClassicIDs(body []byte, list, element string) ([]string, error) {
	s := jsonscan.New(body)
	var ids []string
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		if s.Key() != list {
			s.Skip()
			continue
		}
		s.Each(func() {
			classicWrapped(s, element, func(s *jsonscan.Scanner) {
				if id := idOf(s); id != "" {
					ids = append(ids, id)
				}
			})
		})
	}
	return ids, s.End()
}
