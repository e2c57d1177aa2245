package main

import (
	"regexp"
	"strings"

	"charm.land/lipgloss/v2"
)

// marks are what directions may hold of Markdown within a line.
type marks struct{ bold, code, link, step *regexp.Regexp }

func newMarks() marks {
	return marks{
		bold: regexp.MustCompile(`\*\*(.+?)\*\*`),
		code: regexp.MustCompile("`([^`]+)`"),
		link: regexp.MustCompile(`\[([^\]]+)\]\(([^)\s]+)\)`),
		step: regexp.MustCompile(`^\s*(\d+\.|[-*])\s+(.*)$`),
	}
}

// directions writes what to do for a terminal: steps on lines of their own,
// aligned, under the words "What to do"; a single sentence beside them.
func (s styles) directions(text, indent string, width int) string {
	m := newMarks()
	const lead = "What to do: "
	var lines []string
	steps := false
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		match := m.step.FindStringSubmatch(line)
		switch {
		case match != nil:
			if len(lines) == 0 {
				lines = append(lines, indent+strings.TrimSpace(lead))
			}
			steps = true
			number := match[1]
			if number == "-" || number == "*" {
				number = "•"
			}
			first := indent + "  " + number + " "
			lines = append(lines, hang(s.inline(m, match[2]), first, strings.Repeat(" ", lipgloss.Width(first)), width))
		case len(lines) == 0:
			lines = append(lines, hang(s.inline(m, line), indent+lead, indent, width))
		case steps && strings.HasPrefix(line, " "): // goes on with the step
			lines = append(lines, wrap(s.inline(m, line), indent+"     ", width))
		default:
			lines = append(lines, wrap(s.inline(m, line), indent, width))
		}
	}
	return strings.Join(lines, "\n")
}

// inline takes the marks out of a line. What was set in bold, names of menus and
// buttons mostly, is bold in colour and in quotation marks without.
func (s styles) inline(m marks, line string) string {
	line = m.link.ReplaceAllString(line, "$1 ($2)")
	line = m.code.ReplaceAllString(line, "$1")
	return m.bold.ReplaceAllStringFunc(line, func(marked string) string {
		text := strings.Trim(marked, "*")
		if s.plain {
			return "“" + text + "”"
		}
		words := strings.Fields(text)
		for i, word := range words { // one by one, as a line may end between them
			words[i] = s.heading.Render(word)
		}
		return strings.Join(words, " ")
	})
}
