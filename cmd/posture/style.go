package main

import (
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/postureproject/posture/device"
)

// styles are the few ways in which text is set apart. Without colour they leave
// it as it is, so every meaning is in words or marks too.
type styles struct {
	heading, faint, ok, warning, critical lipgloss.Style
	plain                                 bool
}

func (e *environment) styles() styles {
	if !e.colour() {
		return styles{plain: true}
	}
	return styles{
		heading:  lipgloss.NewStyle().Bold(true),
		faint:    lipgloss.NewStyle().Faint(true),
		ok:       lipgloss.NewStyle().Foreground(lipgloss.Green),
		warning:  lipgloss.NewStyle().Foreground(lipgloss.Yellow),
		critical: lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true),
	}
}

func (s styles) render(style lipgloss.Style, text string) string {
	if s.plain {
		return text
	}
	return style.Render(text)
}

func (s styles) rating(r device.Rating) string {
	switch r {
	case device.RatingCritical:
		return s.render(s.critical, "✗ critical")
	case device.RatingWarning:
		return s.render(s.warning, "! warning")
	case device.RatingOK:
		return s.render(s.ok, "✓ ok")
	default:
		return s.render(s.faint, "? unknown")
	}
}

// wrap breaks text at spaces so that no line is wider than width, where words
// allow, and starts every line with indent.
func wrap(text, indent string, width int) string {
	var lines []string
	for paragraph := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, hang(paragraph, indent, indent, width))
	}
	return strings.Join(lines, "\n")
}

// hang wraps one paragraph whose first line starts with first and whose further
// lines start with rest.
func hang(paragraph, first, rest string, width int) string {
	var lines []string
	indent, line := first, ""
	for word := range strings.FieldsSeq(paragraph) {
		if line != "" && lipgloss.Width(indent)+lipgloss.Width(line)+1+lipgloss.Width(word) > width {
			lines = append(lines, indent+line)
			indent, line = rest, ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, indent+line), "\n")
}

// printable takes control characters out of text that came from outside, so that
// a device's name cannot drive somebody's terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			return -1
		default:
			return r
		}
	}, s)
}
