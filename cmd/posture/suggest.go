package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// nearest gives the known word that a mistyped one comes nearest to, or "".
func nearest(word string, known []string) string {
	parent := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, k := range known {
		// Only commands that do something are suggested.
		parent.AddCommand(&cobra.Command{Use: k, Run: func(*cobra.Command, []string) {}})
	}
	if found := parent.SuggestionsFor(word); len(found) > 0 {
		return found[0]
	}
	return ""
}

// choices advises somebody who named what does not exist: what is near, and all
// that there is.
func choices(word, all string, known []string) string {
	advice := all + " " + strings.Join(known, ", ")
	if near := nearest(word, known); near != "" {
		advice = fmt.Sprintf("did you mean %s? %s", near, advice)
	}
	return advice
}

// explainFlag adds to a complaint about an unknown flag what may have been meant.
func explainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return fmt.Errorf("%w\n  see %s --help", err, cmd.CommandPath())
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := nearest(unknown.GetSpecifiedName(), known); near != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return fmt.Errorf("%w\n  see %s --help", err, cmd.CommandPath())
}

// group makes a command that only holds others: alone it shows its help, and an
// unknown word after it is a mistake.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(children...)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		var known []string
		for _, child := range children {
			known = append(known, child.Name())
		}
		if near := nearest(args[0], known); near != "" {
			message += "\n\nDid you mean this?\n\t" + near + "\n"
		}
		return errors.New(message)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}
