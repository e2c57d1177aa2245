package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The environment variables that set keys, and those that have another use.
const (
	variablePrefix = "POSTURE_"
	pluginPrefix   = "POSTURE_PLUGINS_"
	testPrefix     = "POSTURE_TEST_" // left to tests and demonstrations
)

func reserved(name string) bool {
	switch name {
	case "POSTURE_CONFIG", "POSTURE_PLUGIN", "POSTURE_LIFELINE_FD":
		return true
	}
	return strings.HasPrefix(name, testPrefix)
}

// variable is an environment variable that sets a key.
type variable struct {
	name string // of the environment variable
	key  string // the part of it that names the key, as it stands there
	text string
}

// environMap reads the strings that [os.Environ] gives; the last of a name wins.
func environMap(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			m[name] = value
		}
	}
	return m
}

// assign gives each POSTURE_ variable to the top level or to the plugin that it
// is for. An empty variable counts as not set. A plugin of known is added when a
// variable is for it.
func (f *File) assign(known []string) (top []variable, problems Problems) {
	names := make([]string, 0, len(f.environ))
	for name, text := range f.environ {
		if strings.HasPrefix(name, variablePrefix) && !reserved(name) && text != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		v := variable{name: name, key: strings.TrimPrefix(name, variablePrefix), text: f.environ[name]}
		rest, forPlugin := strings.CutPrefix(name, pluginPrefix)
		section, _, _ := strings.Cut(v.key, "_")
		switch {
		case forPlugin:
			if p := f.assignPlugin(v, rest, known); p != nil {
				problems = append(problems, *p)
			}
		case section == "PLUGINS" || section == "PRACTICES":
			problems = append(problems, Problem{
				File: environment, Path: name, Message: fold(section) + " are set in the configuration file",
				Suggestion: "a plugin's key is set by POSTURE_PLUGINS_<PLUGIN>_<KEY>",
			})
		default:
			top = append(top, v)
		}
	}
	return top, problems
}

// assignPlugin gives a variable to its plugin. rest is what follows the prefix.
func (f *File) assignPlugin(v variable, rest string, known []string) *Problem {
	names := slices.Clone(known)
	for _, b := range f.blocks {
		names = append(names, b.name)
	}
	name, key := splitVariable(rest, names)
	if name == "" {
		word, _, _ := strings.Cut(strings.TrimPrefix(rest, "_"), "_")
		suggestion := "add it under plugins in the configuration file"
		if near := nearest(word, names); near != "" {
			suggestion = fmt.Sprintf("did you mean %s%s_…?", pluginPrefix, variableName(near))
		}
		return &Problem{File: environment, Path: v.name, Message: "no plugin of this name is configured", Suggestion: suggestion}
	}
	v.key = key
	b := f.block(name)
	if b == nil {
		b = &block{name: fold(name), node: &node{kind: kindMap, origin: v.name}}
		f.blocks = append(f.blocks, b)
	}
	b.variables = append(b.variables, v)
	return nil
}

// splitVariable divides what follows POSTURE_PLUGINS_ into a plugin's name and a
// key. Both contain underscores, so two of them divide surely, and otherwise the
// longest name that fits is the plugin.
func splitVariable(rest string, names []string) (name, key string) {
	rest = strings.ToUpper(strings.TrimPrefix(rest, "_"))
	if before, after, divided := strings.Cut(rest, "__"); divided {
		for _, n := range names {
			if variableName(n) == before {
				return n, after
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return len(b) - len(a) })
	for _, n := range names {
		if after, fits := strings.CutPrefix(rest, variableName(n)+"_"); fits {
			return n, after
		}
	}
	return "", ""
}

// variableName spells a name as environment variables can.
func variableName(name string) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

// overlay puts environment variables over the keys of a mapping. The shapes say
// which keys there are; a key that none of them knows is left for the schema to
// refuse.
func (a *applier) overlay(n *node, variables []variable, shapes ...shape) *node {
	made := *n
	made.fields = slices.Clone(n.fields)
	setBy := map[string]string{}
	sections := map[string][]variable{}
	for _, v := range variables {
		key := v.key
		if section, rest, ok := inSection(v.key, shapes); ok {
			v.key = rest
			sections[section] = append(sections[section], v)
			continue
		}
		for _, sh := range shapes {
			if name, _, known := sh.property(v.key); known == named {
				key = name
				break
			}
		}
		if other, twice := setBy[key]; twice {
			a.problems = append(a.problems, Problem{
				File: environment, Path: v.name, Message: "sets the same key as " + other, Suggestion: "keep one of them",
			})
			continue
		}
		setBy[key] = v.name
		value := &node{kind: kindText, origin: v.name, scalar: v.text, source: v.text}
		at := slices.IndexFunc(made.fields, func(f field) bool { return fold(f.key) == fold(key) })
		if at >= 0 {
			made.fields[at].value = value
		} else {
			made.fields = append(made.fields, field{key: key, value: value})
		}
	}
	for _, section := range slices.Sorted(maps.Keys(sections)) {
		a.overlaySection(&made, section, sections[section], shapes)
	}
	return &made
}

// overlaySection sets keys of a section, which the file need not have.
func (a *applier) overlaySection(n *node, section string, variables []variable, shapes []shape) {
	inner := make([]shape, 0, len(shapes))
	for _, sh := range shapes {
		if _, of, known := sh.property(section); known == named {
			inner = append(inner, of)
		}
	}
	at := slices.IndexFunc(n.fields, func(f field) bool { return fold(f.key) == section })
	if at < 0 {
		at = len(n.fields)
		n.fields = append(n.fields, field{key: section, value: &node{kind: kindMap}})
	}
	if n.fields[at].value.kind == kindNull {
		n.fields[at].value = &node{kind: kindMap}
	}
	n.fields[at].value = a.overlay(n.fields[at].value, variables, inner...)
}

// inSection splits the name of a variable that sets a key of a section.
func inSection(key string, shapes []shape) (section, rest string, ok bool) {
	for _, sh := range shapes {
		for _, name := range sh.properties() {
			_, of, _ := sh.property(name)
			if len(of.properties()) == 0 {
				continue
			}
			if rest, ok := strings.CutPrefix(fold(key), fold(name)+"_"); ok {
				if _, _, known := of.property(rest); known == named {
					return name, rest, true
				}
			}
		}
	}
	return "", "", false
}
