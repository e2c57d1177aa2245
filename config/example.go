package config

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Example gives a complete configuration file that works as it is: every key is
// explained, and all but the address to listen on are comments. Lines that start
// with "# " explain; a line that starts with "#" and no space is a setting.
func Example(docs []Doc, practices []byte) ([]byte, error) {
	read, err := readDocs(docs)
	if err != nil {
		return nil, err
	}
	top, err := tableShape(topLevel())
	if err != nil {
		return nil, err
	}
	hosts, err := tableShape(hostKeys())
	if err != nil {
		return nil, err
	}
	policy, err := newSchema("practices", practices)
	if err != nil {
		return nil, err
	}
	w := &exampleWriter{}
	w.comment("", exampleIntroduction)
	w.topLevel(top)
	w.plugins(read, hosts)
	w.practices(policy.shape())
	return w.out.Bytes(), nil
}

const exampleIntroduction = `Posture's configuration.

To set a key, remove the # before it. Keys are the same in upper and lower case. An environment variable wins over the file: POSTURE_LISTEN sets listen, POSTURE_PLUGINS_<PLUGIN>_<KEY> sets a plugin's key.

A text may be file:PATH (the content of that file; a relative path starts at this file's folder) or env:NAME (an environment variable), so that secrets need not stand here. literal: before a text takes it as it is. A length of time is a number of seconds, or has a unit: 90s, 12h, 30d.

posture config check tries the file; posture config show prints what is in force.`

// exampleWriter writes the lines of the example.
type exampleWriter struct{ out bytes.Buffer }

func (w *exampleWriter) line(parts ...string) {
	for _, p := range parts {
		w.out.WriteString(p)
	}
	w.out.WriteByte('\n')
}

// comment writes paragraphs of explanation.
func (w *exampleWriter) comment(indent, text string) {
	const width = 78
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			w.line(indent, "#")
		}
		for _, l := range wrap(paragraph, width-len(indent)-2) {
			w.line(indent, "# ", l)
		}
	}
}

// key explains a key and gives a value for it, as a comment or in force.
func (w *exampleWriter) key(indent, key string, sh shape, value any, required, active bool) {
	text := sentence(sh.description())
	if allowed := sh.enum(); len(allowed) > 0 {
		text += " One of " + strings.Join(allowed, ", ") + "."
	}
	if required {
		text += " Required."
	} else if def := defaultText(sh); def != "" {
		text += " Default: " + sentence(def)
	}
	w.comment(indent, strings.TrimSpace(text))
	mark := "#"
	if active {
		mark = ""
	}
	w.line(indent, mark, key, ": ", inline(value))
}

func (w *exampleWriter) topLevel(top shape) {
	group := ""
	for _, key := range top.properties() {
		_, of, _ := top.property(key)
		if name, _ := of.lookup(groupName); name != group {
			group, _ = name.(string)
			w.line()
			w.line("# ", group, ":")
		}
		w.line()
		if len(of.properties()) == 0 {
			w.key("", key, of, sampleValue("", key, of), false, key == "listen")
			continue
		}
		w.comment("", sentence(of.description()))
		w.line("#", key, ":")
		for _, inner := range of.properties() {
			_, sh, _ := of.property(inner)
			w.key("  ", inner, sh, sampleValue(key, inner, sh), false, false)
		}
	}
}

func (w *exampleWriter) plugins(docs []documented, hosts shape) {
	w.line()
	w.comment("", "Where devices, events and accounts come from, what they pass, and where they go. Remove the # before a plugin's name and before the keys it needs. Beside its own keys each plugin has these:")
	for _, key := range hosts.properties() {
		_, of, _ := hosts.property(key)
		text := key + ": " + sentence(of.description())
		if def := defaultText(of); def != "" {
			text += " Default: " + sentence(def)
		}
		w.comment("", text)
	}
	w.line("plugins:")
	for _, d := range docs {
		w.line()
		w.comment("  ", sentence(d.Summary))
		if len(d.shape.properties()) == 0 {
			w.line("  #", inline(d.Name), ": {}")
			continue
		}
		w.line("  #", inline(d.Name), ":")
		for _, key := range readingOrder(d.shape) {
			_, of, _ := d.shape.property(key)
			w.key("    ", key, of, sampleValue(d.Name, key, of), requires(d.shape, key), false)
		}
	}
}

// practices lists the practices; keys that several have are explained once.
func (w *exampleWriter) practices(policy shape) {
	w.line()
	w.comment("", "What is asked of devices. Posture has a default for every key; set only what differs.")
	w.line("practices:")
	explained := map[string]string{}
	for _, name := range policy.properties() {
		_, of, _ := policy.property(name)
		w.line()
		if doc := of.description(); doc != "" {
			w.comment("  ", sentence(doc))
		}
		w.practice(name, of, explained)
	}
	if _, of, known := policy.property(anyPractice); known == general {
		w.line()
		w.comment("  ", "Any further practice, under a name of your own.")
		w.practice(anyPractice, of, explained)
	}
}

// anyPractice stands for a practice that no schema names.
const anyPractice = "my_practice"

func (w *exampleWriter) practice(name string, of shape, explained map[string]string) {
	keys := of.properties()
	if len(keys) == 0 {
		w.line("  #", inline(name), ": ", inline(sampleValue("", name, of)))
		return
	}
	v, _ := of.lookup("default")
	defaults, _ := v.(map[string]any)
	signature := keySignature(of)
	first, done := explained[signature]
	if done {
		w.comment("  ", "Its keys are those of "+first+".")
	} else {
		explained[signature] = name
	}
	w.line("  #", inline(name), ":", empty(done && len(defaults) == 0))
	for _, key := range keys {
		_, k, _ := of.property(key)
		def, given := defaults[key]
		if !given {
			def = sampleValue("", key, k)
		}
		switch {
		case !done:
			w.key("    ", key, k, def, requires(of, key), false)
		case given:
			w.line("    #", key, ": ", inline(def))
		}
	}
}

func empty(mapping bool) string {
	if mapping {
		return " {}"
	}
	return ""
}

// keySignature tells whether two shapes have the same keys.
func keySignature(sh shape) string {
	signature := []any{}
	for _, key := range sh.properties() {
		_, of, _ := sh.property(key)
		signature = append(signature, key, of.description(), of.types())
	}
	text, err := json.Marshal(signature)
	if err != nil {
		return ""
	}
	return string(text)
}
