package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/postureproject/posture/fault"
)

// environment is the File of a [Problem] with an environment variable.
const environment = "environment"

// Problem is one thing that is wrong with a configuration. None of its fields
// ever holds a value that might be a secret.
type Problem struct {
	File       string `json:"file"`           // the file as it was named, or "environment"
	Line       int    `json:"line,omitempty"` // from 1; zero when it has no place in the file
	Column     int    `json:"column,omitempty"`
	Path       string `json:"path,omitempty"` // dotted keys, or the environment variable's name
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"` // what to do about it
}

// String reads "posture.yaml:12:3: plugins.jamf.KEY: message; suggestion".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		b.WriteString(":" + strconv.Itoa(p.Line))
		if p.Column > 0 {
			b.WriteString(":" + strconv.Itoa(p.Column))
		}
	}
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	b.WriteString(": " + p.Message)
	if p.Suggestion != "" {
		b.WriteString("; " + p.Suggestion)
	}
	return b.String()
}

// Problems is everything that is wrong with a configuration, as one error of
// kind [fault.Invalid].
type Problems []Problem

// Error tells one problem per line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the problems as a [fault.Error] with a field for each.
func (p Problems) Unwrap() error {
	e := &fault.Error{Kind: fault.Invalid, Op: "read configuration", Remedy: "correct the configuration; posture config check tries it"}
	for _, one := range p {
		name := one.Path
		if name == "" {
			name = one.File
		}
		e.Fields = append(e.Fields, fault.Field{Name: name, Reason: one.Message, Remedy: one.Suggestion})
	}
	return e
}

// orNil gives the problems in the order of the file and without repetitions, or
// nil when there are none.
func (p Problems) orNil() error {
	if len(p) == 0 {
		return nil
	}
	sorted := slices.Clone(p)
	slices.SortStableFunc(sorted, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(boolInt(a.File == environment), boolInt(b.File == environment)),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path),
		)
	})
	return slices.Compact(sorted)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
