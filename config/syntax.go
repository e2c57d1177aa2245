package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// exactWork bounds, as lines times bytes, for which files the line of a syntax
// error is found by trying, which costs a parse for each line after it.
const exactWork = 32 << 20

// syntaxProblem tells what is wrong with text that is not YAML. The library's
// own message is replaced, as it may quote a value, and its line is often that
// of the enclosing block.
func syntaxProblem(name string, data []byte, err error) Problem {
	problem := yamlMessage(err)
	line := yamlLine(err)
	lines := bytes.SplitAfter(data, []byte("\n"))
	if len(lines)*len(data) <= exactWork {
		line = failingLine(lines, problem)
	}
	p := Problem{File: name, Line: line}
	text := ""
	if line > 0 && line <= len(lines) {
		text = string(lines[line-1])
	}
	if tab := indentingTab(text); tab > 0 {
		p.Column = tab
		p.Message, p.Suggestion = "a tab stands where only spaces may indent", "replace the tab by spaces"
		return p
	}
	p.Message, p.Suggestion = explainSyntax(problem)
	return p
}

// failingLine gives the first line from which on every longer beginning of the
// text fails in the same way.
func failingLine(lines [][]byte, problem string) int {
	whole := bytes.Join(lines, nil)
	end := len(whole)
	for n := len(lines); n > 1; n-- {
		end -= len(lines[n-1])
		if parseMessage(whole[:end]) != problem {
			return min(n, lastText(lines))
		}
	}
	return 1
}

// lastText is the number of the last line that is not blank.
func lastText(lines [][]byte) int {
	for n := len(lines); n > 1; n-- {
		if len(bytes.TrimSpace(lines[n-1])) > 0 {
			return n
		}
	}
	return 1
}

func parseMessage(data []byte) string {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		if err := decoder.Decode(&n); errors.Is(err, io.EOF) {
			return ""
		} else if err != nil {
			return yamlMessage(err)
		}
	}
}

func yamlLine(err error) int {
	if m := regexp.MustCompile(`^yaml: line (\d+): `).FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		return line
	}
	return 0
}

func yamlMessage(err error) string {
	return regexp.MustCompile(`^yaml: (line \d+: )?`).ReplaceAllString(err.Error(), "")
}

// indentingTab gives the column of a tab in a line's indentation, or zero.
func indentingTab(line string) int {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	return strings.IndexByte(indent, '\t') + 1
}

// explainSyntax says in people's words what the YAML library found.
func explainSyntax(problem string) (message, suggestion string) {
	for _, known := range []struct{ part, message, suggestion string }{
		{"unknown anchor", "a value that starts with * is an alias, and there is no anchor of that name before it", "put the value in quotes"},
		{"cannot start any token", "a value cannot start with %, @ or `", "put the value in quotes"},
		{"mapping values are not allowed", "a second `: ` stands in the line, or its indentation does not fit", "put a value that contains `: ` in quotes, and indent keys of one section alike"},
		{"did not find expected key", "the line does not fit the section it is in: its indentation differs, or text follows a closing quote", "indent keys of one section alike, and put the whole value in one pair of quotes"},
		{"could not find expected ':'", "the line is not of the form `key: value`", "put a colon and a space after the key, or indent a text that goes on"},
		{"found unexpected end of stream", "a quoted text is not closed", "add the closing quote"},
		{"found unexpected document indicator", "a quoted text is not closed", "add the closing quote"},
		{"expected ',' or ']'", "a list that starts with [ is not closed, or misses a comma", "write it as [a, b]"},
		{"expected ',' or '}'", "a section that starts with { is not closed, or misses a comma", "write it as {a: 1, b: 2}"},
		{"expected '-' indicator", "the line does not fit the list it is in", "indent the entries of a list alike, each with `- `"},
		{"sequence entries are not allowed", "a list entry stands on the same line as a key, or its indentation does not fit", "start the list on the next line"},
		{"escape", "a backslash in double quotes starts an escape, and this one does not exist", "use single quotes, or write \\\\ for a backslash"},
		{"tab character", "a tab stands where only spaces may indent", "replace the tab by spaces"},
		{"control characters", "the file contains a control character", "remove it; outside quotes only printable text may stand"},
		{"document start", "text follows the end of the document", "keep one document"},
		{"tag", "a value that starts with ! is a YAML tag, and tags have no meaning here", "put the value in quotes"},
		{"max depth", "values are nested too deep", ""},
		{"directive", "a line that starts with % is a YAML directive, and this one does not exist", "put the value in quotes"},
	} {
		if strings.Contains(problem, known.part) {
			return known.message, known.suggestion
		}
	}
	return "this is not valid YAML", "check quotes and indentation; posture config example prints a valid file"
}
