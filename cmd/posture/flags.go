package main

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/timespan"
)

// isAddress reports whether text is an e-mail address and nothing else.
func isAddress(text string) bool {
	parsed, err := mail.ParseAddress(text)
	return err == nil && parsed.Address == text
}

// timeoutUsage explains --timeout, which means the same to every command.
const timeoutUsage = "let no call on a source take longer than `DURATION` (default: its TIMEOUT in the configuration)"

// timeLimit is the value of --timeout, written as lengths of time are in the
// configuration.
type timeLimit time.Duration

// Set implements [pflag.Value].
func (l *timeLimit) Set(text string) error {
	d, err := timespan.Parse(text)
	if err == nil && d <= 0 {
		err = errors.New("it is too small; write a length of time such as 30s")
	}
	*l = timeLimit(d)
	return err
}

// String implements [pflag.Value].
func (l *timeLimit) String() string {
	if *l == 0 {
		return ""
	}
	return time.Duration(*l).String()
}

// Type implements [pflag.Value].
func (*timeLimit) Type() string { return "duration" }

// peopleAtOnce adds --limit, which leaves n at 0 unless it is given.
func peopleAtOnce(cmd *cobra.Command, n *int) {
	cmd.Flags().IntVar(n, "limit", 0, "scan at most `N` people at once (default: batch.limit of the configuration)")
	completeFlag(cmd, "limit", cobra.NoFileCompletions)
}

func badLimit(n int) error {
	return fault.InvalidField("--limit", fmt.Sprint(n), "is too small", "write 1 or more")
}

// explainArgs adds to a complaint about the words after a command how it is used,
// for the command and all below it.
func explainArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil && (!cmd.HasSubCommands() || strings.Contains(cmd.Use, " ")) { // groups say more themselves
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err == nil || fault.RemedyOf(err) != "" {
				return err
			}
			return fmt.Errorf("%w\n  usage: %s", err, cmd.UseLine())
		}
	}
	for _, child := range cmd.Commands() {
		explainArgs(child)
	}
}
