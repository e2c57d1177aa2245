package config

import (
	"bytes"
	"fmt"
	"strings"
)

// Reference gives the description of every key as Markdown.
func Reference(docs []Doc, practices []byte) ([]byte, error) {
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
	w := &referenceWriter{}
	w.out.WriteString(referenceIntroduction)
	w.topLevel(top)
	w.out.WriteString("\n## plugins\n\nEach plugin and transform has a block under `plugins`, by its name. Every block may have these keys beside the plugin's own:\n\n")
	w.table(hosts, func(key string) string { return pluginPrefix + "<PLUGIN>_" + key })
	for _, d := range read {
		fmt.Fprintf(&w.out, "\n### %s\n\n", d.Name)
		if d.Summary != "" {
			fmt.Fprintf(&w.out, "%s\n\n", sentence(cell(d.Summary)))
		}
		if len(d.shape.properties()) == 0 {
			w.out.WriteString("It has no keys of its own.\n")
			continue
		}
		w.table(d.shape, func(key string) string { return pluginPrefix + variableName(d.Name) + "_" + variableName(key) })
	}
	w.practices(policy.shape())
	return w.out.Bytes(), nil
}

const referenceIntroduction = `# Configuration

Posture reads one YAML file: the one that ` + "`--config`" + ` names, else the one that ` + "`POSTURE_CONFIG`" + ` names, else the first that exists of ` + "`./posture.yaml`" + `, ` + "`$XDG_CONFIG_HOME/posture/posture.yaml`" + ` (or ` + "`~/.config/posture/posture.yaml`" + `) and ` + "`/etc/posture/posture.yaml`" + `. ` + "`--config -`" + ` reads standard input.

` + "`posture config example`" + ` prints a complete file, ` + "`posture config check`" + ` tells everything that is wrong with one, and ` + "`posture config show`" + ` prints what is in force, without secrets.

Keys are the same in upper and lower case: ` + "`LOGIN_MANAGER`" + ` is ` + "`login_manager`" + `. A key without a value counts as absent. YAML anchors, aliases and ` + "`<<`" + ` may be used; a file has one document and at most 1 MiB.

## Environment variables

An environment variable wins over the file. ` + "`POSTURE_<KEY>`" + ` sets a key of the top level, and ` + "`POSTURE_PLUGINS_<PLUGIN>_<KEY>`" + ` one of a plugin; ` + "`POSTURE_PLUGINS_<PLUGIN>__<KEY>`" + ` does the same and cannot be misread when the names contain underscores. A list is separated by commas or written as YAML, a section is written as YAML or JSON. An empty variable counts as not set. A ` + "`POSTURE_`" + ` variable that sets nothing is an error, except ` + "`POSTURE_CONFIG`" + `, ` + "`POSTURE_PLUGIN`" + `, ` + "`POSTURE_LIFELINE_FD`" + ` and those that start with ` + "`POSTURE_TEST_`" + `. The section ` + "`practices`" + ` is set in the file only.

## Secrets and other values from elsewhere

Any text, in the file or in a ` + "`POSTURE_`" + ` variable, may stand for another:

| text | value |
|---|---|
| ` + "`file:PATH`" + ` | the content of the file, without its last line break; a relative path starts at the configuration file's folder |
| ` + "`env:NAME`" + ` | the environment variable |
| ` + "`literal:TEXT`" + ` | the text as it is, for one that really starts with ` + "`file:`, `env:` or `literal:`" + ` |

What is read so is taken as the type that the key wants: ` + "`env:PORT`" + ` may give a number. A secret in a file that every user of the machine may read gives a warning. Secrets, and all values that came by a reference, are never printed.

## Lengths of time

A number of seconds, or numbers with units: ` + "`5`, `90s`, `1h30m`, `30d`" + `.

`

// referenceWriter writes the reference.
type referenceWriter struct{ out bytes.Buffer }

func (w *referenceWriter) topLevel(top shape) {
	w.out.WriteString("## Top level\n\n")
	w.table(top, func(key string) string { return variablePrefix + strings.ToUpper(key) })
}

// table writes a row for each key.
func (w *referenceWriter) table(sh shape, variable func(key string) string) {
	w.out.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	w.rows(sh, variable)
}

// section writes a row for a section and one for each of its keys.
func (w *referenceWriter) section(name string, sh shape, variable func(key string) string) {
	fmt.Fprintf(&w.out, "| `%s` | section | | %s |\n", name, sentence(cell(sh.description())))
	inner := referenceWriter{}
	inner.rows(sh, func(key string) string { return variable(name) + "_" + strings.ToUpper(key) })
	for _, row := range strings.SplitAfter(inner.out.String(), "\n") {
		if rest, ok := strings.CutPrefix(row, "| `"); ok {
			w.out.WriteString("| `" + name + "." + rest)
		}
	}
}

func (w *referenceWriter) rows(sh shape, variable func(key string) string) {
	for _, key := range readingOrder(sh) {
		_, of, _ := sh.property(key)
		if len(of.properties()) > 0 && variable != nil {
			w.section(key, of, variable)
			continue
		}
		def := "none"
		switch text := defaultText(of); {
		case requires(sh, key):
			def = "**required**"
		case text != "":
			def = code(text)
			if _, words := of.lookup(defaultNote); words {
				def = cell(text)
			}
		}
		meaning := sentence(cell(of.description()))
		if of.secret() {
			meaning = strings.TrimSpace(meaning + " A secret.")
		}
		if example, ok := of.example(); ok && !of.secret() {
			meaning = strings.TrimSpace(meaning + " Example: " + code(inline(example)) + ".")
		}
		if variable != nil {
			meaning = strings.TrimSpace(meaning + " Environment: `" + variable(key) + "`.")
		}
		fmt.Fprintf(&w.out, "| `%s` | %s | %s | %s |\n", key, cell(typeText(of)), def, meaning)
	}
}

// cell keeps a text within a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", "").Replace(strings.TrimSpace(text))
}

// code marks a text as code, also when it contains the mark itself.
func code(text string) string {
	if text = cell(text); strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}

func (w *referenceWriter) practices(policy shape) {
	w.out.WriteString("\n## practices\n\nWhat is asked of devices. Every key has a default; set only what differs.\n")
	explained := map[string]string{}
	names := policy.properties()
	if _, _, known := policy.property(anyPractice); known == general {
		names = append(names, anyPractice)
	}
	for _, name := range names {
		_, of, _ := policy.property(name)
		title, doc := "`"+name+"`", of.description()
		if name == anyPractice {
			title, doc = "Any other name", "A practice of your own"
		}
		fmt.Fprintf(&w.out, "\n### %s\n\n", title)
		if doc != "" {
			fmt.Fprintf(&w.out, "%s\n\n", sentence(cell(doc)))
		}
		signature := keySignature(of)
		switch first, done := explained[signature]; {
		case len(of.properties()) == 0:
		case done:
			fmt.Fprintf(&w.out, "Its keys are those of `%s`.\n", first)
		default:
			explained[signature] = name
			w.table(of, nil)
		}
		w.practiceDefaults(of)
	}
}

// practiceDefaults writes what a practice sets by default.
func (w *referenceWriter) practiceDefaults(of shape) {
	v, _ := of.lookup("default")
	defaults, _ := v.(map[string]any)
	if len(defaults) == 0 {
		return
	}
	w.out.WriteString("\n| key | default |\n|---|---|\n")
	for _, key := range of.properties() {
		if def, given := defaults[key]; given {
			fmt.Fprintf(&w.out, "| `%s` | %s |\n", key, code(inline(def)))
		}
	}
}
