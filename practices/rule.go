package practices

import (
	"strings"

	"github.com/postureproject/posture/device"
)

// kind says what a practice is judged by.
type kind uint8

const (
	kindFinding  kind = iota // what a source found
	kindSystem               // the operating system's version, and what a source found
	kindSoftware             // installed software and running services
)

// rule is one practice, compiled.
type rule struct {
	name, key   string
	kind        kind
	titles      [5]string // in the order of [statuses]
	description string
	link        string
	directions  map[string]string
	display     *bool // shared by all results; nobody writes through it
	missing     device.Status

	platformRequired bool
	na, ok           map[string]bool // by [platformKey]

	versions       versions
	unsupported    map[string]bool // by key of a system
	unsupportedMsg string
	recommendedMsg string

	software      int // its place among the rules about software
	wantsApps     bool
	wantsServices bool
}

// versions are the minimums by key of a system, or otherwise.
type versions struct{ required, recommended map[string]minimum }

// forSystem gives the minimums for a system; they ask for nothing where the
// system is not listed.
func (v versions) forSystem(s *system) (required, recommended minimum) {
	required, _ = forSystem(v.required, s)
	recommended, _ = forSystem(v.recommended, s)
	return required, recommended
}

// forSystem finds the entry of a system, else that of its family, else the one
// for the rest.
func forSystem[T any](all map[string]T, s *system) (T, bool) {
	if v, ok := all[s.key]; ok {
		return v, true
	}
	if v, ok := all[s.family]; ok {
		return v, true
	}
	v, ok := all[otherwise]
	return v, ok
}

func compile(s *settings) rule {
	r := rule{
		name: s.name, key: s.key, description: s.description, link: s.link, directions: s.directions,
		display: device.Bool(s.display), missing: s.missing, platformRequired: s.platformRequired,
		na: platforms(s.naPlatforms), ok: platforms(s.okPlatforms),
		versions:       versions{s.required, s.recommended},
		unsupported:    map[string]bool{},
		unsupportedMsg: s.unsupportedMsg, recommendedMsg: s.recommendedMsg,
		software: -1, wantsApps: len(s.software) > 0, wantsServices: len(s.service) > 0,
	}
	for _, name := range s.unsupportedOS {
		key, _ := systemKey(name)
		r.unsupported[key] = true
	}
	switch {
	case r.wantsApps || r.wantsServices:
		r.kind = kindSoftware
	case len(s.required)+len(s.recommended)+len(s.unsupportedOS) > 0:
		r.kind = kindSystem
	}
	for i, status := range statuses() {
		r.titles[i] = r.name
		for _, key := range [...]string{otherwise, string(status)} {
			if title := s.title[key]; title != "" {
				r.titles[i] = title
			}
		}
	}
	return r
}

func platforms(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[platformKey(name)] = true
	}
	return set
}

func (r *rule) title(status device.Status) string {
	for i, s := range statuses() {
		if s == status {
			return r.titles[i]
		}
	}
	return r.name
}

func (r *rule) unsupportedText(os, current string) string {
	return strings.NewReplacer("{os}", os, "{current}", current).Replace(r.unsupportedMsg)
}

func (r *rule) recommendedText(os, version, current string) string {
	return strings.NewReplacer("{os}", os, "{version}", version, "{current}", current).Replace(r.recommendedMsg)
}
