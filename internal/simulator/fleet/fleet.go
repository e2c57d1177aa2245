// Package fleet is the synthetic company that every vendor simulator serves: the
// same people and devices, seen from each vendor's side. It is deterministic,
// of any size, and computes each person and device when asked, so that a large
// fleet costs no memory. Tests, benchmarks and the demo import it.
package fleet

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Kind says what sort of device it is, and so which vendors know it.
type Kind string

// The kinds, with the vendors that know them. bitFit owns all but phones.
const (
	Mac        Kind = "mac"        // Jamf, bitFit
	Windows    Kind = "windows"    // LANDESK, bitFit
	Android    Kind = "android"    // Google
	IPhone     Kind = "iphone"     // Google
	Chromebook Kind = "chromebook" // Google, bitFit
	Linux      Kind = "linux"      // files, bitFit
)

// Options shape a fleet. The zero value is usable.
type Options struct {
	People int       // 20 when zero
	Seed   uint64    // other seeds give other fleets
	Domain string    // example.com when empty
	Apps   int       // applications on a computer; 50 when zero
	Now    time.Time // what "recent" means; 2026-11-01 12:00 UTC when zero
}

// Fleet is a synthetic company.
type Fleet struct{ o Options }

// New makes a fleet.
func New(o Options) *Fleet {
	if o.People == 0 {
		o.People = 20
	}
	if o.Domain == "" {
		o.Domain = "example.com"
	}
	if o.Apps == 0 {
		o.Apps = 50
	}
	if o.Now.IsZero() {
		o.Now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	}
	o.Now = o.Now.UTC().Truncate(time.Second)
	return &Fleet{o: o}
}

// Len is the number of people.
func (f *Fleet) Len() int { return f.o.People }

// Now is the fleet's present.
func (f *Fleet) Now() time.Time { return f.o.Now }

// Domain is the people's mail domain.
func (f *Fleet) Domain() string { return f.o.Domain }

// Person is one employee.
type Person struct {
	Index int
	Local string // the address's part before the @
	Email string
	Name  string
}

// Device is one device, with the truth that the vendors report.
type Device struct {
	ID       int // unique in the fleet; Jamf's, LANDESK's and bitFit's number
	Owner    Person
	Kind     Kind
	Name     string
	Model    string
	Maker    string
	Serial   string
	UDID     string // computers: upper-case UUID
	IMEI     string // phones
	MEID     string // phones
	GoogleID string // phones, Chromebooks
	// MACs are canonical. Computers have two; one in 50 has a third, that of a
	// dongle shared between people.
	MACs      []string
	OS        string // as people say it: "macOS", "Windows 11", "Android", "iOS", "ChromeOS", "Ubuntu"
	OSVersion string
	OSBuild   string
	LastSync  time.Time
	HWRelease time.Time
	Retired   bool

	Encrypted, Firewall, UpToDate, AutoUpdate, ScreenLock, RemoteLogin, Compromised bool
}

// App is one installed program.
type App struct {
	Name, Version, Publisher string
	Installed                time.Time
}

// Login is one log-in of a person.
type Login struct {
	ID      string // unique in the fleet; Duo's txid
	Person  Person
	At      time.Time
	IP      string
	Success bool
	Reason  string // Duo's words
	Factor  string // Duo's words
}

const slots = 8 // device numbers set aside for one person

func firstNames() []string {
	return []string{
		"ada", "alan", "grace", "edsger", "barbara", "donald", "frances", "dennis", "katherine", "ken",
		"hedy", "linus", "margaret", "niklaus", "radia", "tony", "joan", "john", "mary", "claude",
	}
}

func lastNames() []string {
	return []string{
		"lovelace", "turing", "hopper", "dijkstra", "liskov", "knuth", "allen", "ritchie", "johnson", "thompson",
		"lamarr", "torvalds", "hamilton", "wirth", "perlman", "hoare", "clarke", "backus", "keller", "shannon",
	}
}

// Person gives the person with an index from 0 to Len()-1. Person 0,
// ada.lovelace, has a device of every kind.
func (f *Fleet) Person(i int) Person {
	first, last := firstNames(), lastNames()
	a, q := i%len(first), i/len(first)
	b, n := (a+q)%len(last), q/len(last)
	local := first[a] + "." + last[b]
	if n > 0 {
		local += strconv.Itoa(n)
	}
	return Person{Index: i, Local: local, Email: local + "@" + f.o.Domain, Name: title(first[a]) + " " + title(last[b])}
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// PersonByLocal finds a person by the part of the address before the @, without
// case.
func (f *Fleet) PersonByLocal(local string) (Person, bool) {
	local = strings.ToLower(local)
	name, surname, ok := strings.Cut(local, ".")
	if !ok {
		return Person{}, false
	}
	word := strings.TrimRight(surname, "0123456789")
	n, err := strconv.Atoi(surname[len(word):])
	if err != nil && len(word) != len(surname) {
		return Person{}, false
	}
	first, last := firstNames(), lastNames()
	a, b := indexOf(first, name), indexOf(last, word)
	if a < 0 || b < 0 {
		return Person{}, false
	}
	q := n*len(last) + (b-a+len(last))%len(last)
	p := q*len(first) + a
	if p >= f.o.People || f.Person(p).Local != local {
		return Person{}, false
	}
	return f.Person(p), true
}

// PersonByEmail finds a person by address, without case.
func (f *Fleet) PersonByEmail(email string) (Person, bool) {
	local, domain, ok := strings.Cut(email, "@")
	if !ok || !strings.EqualFold(domain, f.o.Domain) {
		return Person{}, false
	}
	return f.PersonByLocal(local)
}

func indexOf(list []string, s string) int {
	for i, v := range list {
		if v == s {
			return i
		}
	}
	return -1
}

func (f *Fleet) rng(n int) *rand.Rand {
	return rand.New(rand.NewPCG(f.o.Seed, uint64(n)))
}

// kinds gives what a person has, slot by slot.
func (f *Fleet) kinds(person int) []Kind {
	if person == 0 {
		return []Kind{Mac, Windows, Android, IPhone, Chromebook, Linux}
	}
	r := f.rng(person)
	kinds := []Kind{Mac}
	if r.IntN(100) < 40 {
		kinds[0] = Windows
	}
	if r.IntN(100) < 90 {
		kinds = append(kinds, []Kind{Android, IPhone}[r.IntN(2)])
	}
	if r.IntN(100) < 10 {
		kinds = append(kinds, Mac)
	}
	if r.IntN(100) < 10 {
		kinds = append(kinds, Chromebook)
	}
	if r.IntN(100) < 5 {
		kinds = append(kinds, Linux)
	}
	return kinds
}

// Devices gives a person's devices, of the given kinds only when any are given.
func (f *Fleet) Devices(p Person, only ...Kind) []Device {
	var out []Device
	for slot, kind := range f.kinds(p.Index) {
		if len(only) == 0 || contains(only, kind) {
			out = append(out, f.make(p, slot, kind))
		}
	}
	return out
}

func contains(kinds []Kind, k Kind) bool {
	for _, have := range kinds {
		if have == k {
			return true
		}
	}
	return false
}

// Device gives the device with a number.
func (f *Fleet) Device(id int) (Device, bool) {
	id--
	person, slot := id/slots, id%slots
	if id < 0 || person >= f.o.People {
		return Device{}, false
	}
	kinds := f.kinds(person)
	if slot >= len(kinds) {
		return Device{}, false
	}
	return f.make(f.Person(person), slot, kinds[slot]), true
}

// All calls yield for every device of the given kinds (of all when none is
// given), in ascending order of number, until it returns false.
func (f *Fleet) All(yield func(Device) bool, only ...Kind) {
	for i := range f.o.People {
		for _, d := range f.Devices(f.Person(i), only...) {
			if !yield(d) {
				return
			}
		}
	}
}

// DeviceBySerial finds a device by its serial number, without case.
func (f *Fleet) DeviceBySerial(serial string) (Device, bool) {
	serial = strings.ToUpper(serial)
	if len(serial) < 4 {
		return Device{}, false
	}
	id, err := strconv.ParseInt(serial[3:], 36, 64)
	if err != nil {
		return Device{}, false
	}
	d, ok := f.Device(int(id))
	if !ok || !strings.EqualFold(d.Serial, serial) {
		return Device{}, false
	}
	return d, true
}

// DevicesByMAC finds the devices with a canonical MAC address; several when it
// is a shared dongle's.
func (f *Fleet) DevicesByMAC(mac string) []Device {
	digits := strings.ReplaceAll(strings.ToUpper(mac), ":", "")
	if len(digits) != 12 {
		return nil
	}
	n, err := strconv.ParseInt(digits[6:], 16, 64)
	if err != nil {
		return nil
	}
	if digits[:6] == dongleOUI {
		var out []Device
		f.All(func(d Device) bool {
			if len(d.MACs) > 2 && d.MACs[2] == mac {
				out = append(out, d)
			}
			return len(out) < 10
		})
		return out
	}
	if d, ok := f.Device(int(n / 2)); ok {
		for _, m := range d.MACs {
			if m == mac {
				return []Device{d}
			}
		}
	}
	return nil
}

const dongleOUI = "000EC6" // ASIX, whose chips sit in many network dongles

// maker is what a kind's devices have in common.
type maker struct {
	prefix, oui, name, os string
	models, versions      []string
}

func makerOf(k Kind) maker {
	switch k {
	case Mac:
		return maker{
			"C02", "3C22FB", "Apple", "macOS",
			[]string{"MacBook Pro (14-inch, 2023)", "MacBook Air (M2, 2022)", "MacBook Pro (16-inch, 2021)"},
			[]string{"27.2", "26.7.2", "27.1", "15.8.2", "14.8.1"},
		}
	case Windows:
		return maker{
			"PF2", "8C1645", "LENOVO", "Windows 11",
			[]string{"ThinkPad X1 Carbon Gen 11", "ThinkPad T14 Gen 4"},
			[]string{"10.0.26200", "10.0.26100", "10.0.22631"},
		}
	case Android:
		return maker{"R58", "F0D7AA", "Google", "Android", []string{"Pixel 8", "Pixel 9 Pro"}, []string{"16.0.0", "15.0.0", "13.0.0"}}
	case IPhone:
		return maker{"F17", "A4C361", "Apple", "iOS", []string{"iPhone 15", "iPhone 16 Pro"}, []string{"27.0.0", "26.7.0", "18.7.10"}}
	case Chromebook:
		return maker{"5CD", "DC7196", "HP", "ChromeOS", []string{"HP Chromebook x360 14c"}, []string{"152.0.7712", "150.0.7602"}}
	default:
		return maker{"LNX", "A0369F", "Dell Inc.", "Ubuntu", []string{"XPS 13 9315"}, []string{"26.04", "24.04"}}
	}
}

func (f *Fleet) make(p Person, slot int, kind Kind) Device {
	id := p.Index*slots + slot + 1
	r := f.rng(1<<40 + id)
	m := makerOf(kind)
	likely := func(percent int) bool { return r.IntN(100) < percent }
	d := Device{
		ID: id, Owner: p, Kind: kind, Maker: m.name, OS: m.os,
		Model: m.models[r.IntN(len(m.models))], Serial: m.prefix + fmt.Sprintf("%07s", strings.ToUpper(strconv.FormatInt(int64(id), 36))),
		OSVersion: m.versions[min(r.IntN(2*len(m.versions)), r.IntN(len(m.versions)))],
		LastSync:  f.o.Now.Add(-time.Duration(r.IntN(72*60)) * time.Minute),
		HWRelease: time.Date(2021+r.IntN(4), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC),
		Encrypted: likely(90), Firewall: likely(85), UpToDate: likely(70), AutoUpdate: likely(80), ScreenLock: likely(90),
		RemoteLogin: likely(10), Compromised: likely(2), Retired: p.Index != 0 && likely(2),
	}
	d.Name = p.Local + "-" + string(kind)
	if slot > 0 {
		d.Name += strconv.Itoa(slot)
	}
	if p.Index != 0 && likely(5) {
		d.LastSync = f.o.Now.AddDate(0, 0, -31-r.IntN(200))
	}
	d.MACs = []string{mac(m.oui, 2*id)}
	switch kind {
	case Android, IPhone:
		d.IMEI = fmt.Sprintf("35%013d", id)
		d.MEID = fmt.Sprintf("A1%012X", id)
		d.GoogleID = fmt.Sprintf("gm-%08x", id)
	case Chromebook:
		d.GoogleID = fmt.Sprintf("gc-%08x", id)
	default:
		d.UDID = fmt.Sprintf("%08X-0000-4000-8000-%012X", id, id)
		d.MACs = append(d.MACs, mac(m.oui, 2*id+1))
		if id%50 == 1 {
			d.MACs = append(d.MACs, mac(dongleOUI, id/500))
		}
	}
	return d
}

func mac(oui string, n int) string {
	h := oui + fmt.Sprintf("%06X", n&0xFFFFFF)
	return h[0:2] + ":" + h[2:4] + ":" + h[4:6] + ":" + h[6:8] + ":" + h[8:10] + ":" + h[10:12]
}

// Apps gives what is installed on a computer. Most run the endpoint sensors
// that the default practices look for.
func (f *Fleet) Apps(d Device) []App {
	r := f.rng(1<<41 + d.ID)
	apps := make([]App, 0, f.o.Apps)
	if r.IntN(100) < 85 {
		apps = append(apps, App{"CbOsxSensorService", "7.3.1", "Carbon Black", d.HWRelease})
	}
	if r.IntN(100) < 85 {
		apps = append(apps, App{"SentinelOne", "24.2.1", "SentinelOne", d.HWRelease})
	}
	for i := len(apps); i < f.o.Apps; i++ {
		apps = append(apps, App{
			Name: fmt.Sprintf("Application %02d", i), Version: fmt.Sprintf("%d.%d.%d", 1+r.IntN(9), r.IntN(20), r.IntN(10)),
			Publisher: fmt.Sprintf("Publisher %d", r.IntN(12)), Installed: d.HWRelease.AddDate(0, 0, r.IntN(600)),
		})
	}
	return apps
}

// Logins gives a person's log-ins of the last days before Now, newest first.
func (f *Fleet) Logins(p Person, days int) []Login {
	r := f.rng(1<<42 + p.Index)
	var out []Login
	for day := range days {
		for n := range 1 + r.IntN(3) {
			l := Login{
				ID: fmt.Sprintf("%08x-%04x-4000-8000-%012x", p.Index, day, n), Person: p, Success: true, Reason: "user_approved", Factor: "duo_push",
				At: f.o.Now.AddDate(0, 0, -day).Add(-time.Duration(10+n*200+r.IntN(150)) * time.Minute),
				IP: []string{"192.0.2." + strconv.Itoa(1+r.IntN(250)), "198.51.100." + strconv.Itoa(1+r.IntN(250)), "2001:db8::" + strconv.FormatInt(int64(1+r.IntN(250)), 16)}[r.IntN(3)],
			}
			if r.IntN(100) < 8 {
				l.Success, l.Reason = false, []string{"user_mistake", "no_response", "invalid_passcode"}[r.IntN(3)]
			}
			out = append(out, l)
		}
	}
	return out
}
