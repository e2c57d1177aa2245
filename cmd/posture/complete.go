package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/plugins/builtin"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/transforms"
)

// completer suggests words for a shell's completion.
type completer = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective)

// completeConfigured suggests what is configured; where there is no readable
// configuration, what is built in. No plugin is started for it.
func (e *environment) completeConfigured(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	names := builtin.Names()
	if e.configPath != "-" { // somebody may be typing there
		if file, err := e.load(); err == nil {
			names = file.Plugins()
		}
	}
	return beginning(names, begun)
}

// completeSources suggests what is configured, without what is built in and no
// source.
func (e *environment) completeSources(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	names, directive := e.completeConfigured(cmd, args, begun)
	return slices.DeleteFunc(names, isNoSource), directive
}

// isNoSource reports whether a name is that of a built-in sink or transform.
func isNoSource(name string) bool {
	if _, transform := transforms.Summaries()[name]; transform {
		return true
	}
	d, builtIn := builtin.Describe(name)
	return builtIn && d.Has(sdk.CapDeliver)
}

func completeNamespaces(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return beginning(host.Namespaces(), begun)
}

// completeTimeout suggests what is often wanted.
func completeTimeout(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return beginning([]string{"5s", "15s", "30s", "1m"}, begun)
}

// beginning gives the names that begin as typed; of a list with commas, the last
// word is the one being typed.
func beginning(names []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	before, word := "", begun
	if i := strings.LastIndexByte(begun, ','); i >= 0 {
		before, word = begun[:i+1], begun[i+1:]
	}
	var out []cobra.Completion
	for _, name := range names {
		if strings.HasPrefix(name, word) {
			out = append(out, before+name)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeFlag has a shell suggest values for an option.
func completeFlag(cmd *cobra.Command, flag string, f completer) {
	// It fails only for an option that does not exist, or twice for one.
	_ = cmd.RegisterFlagCompletionFunc(flag, f)
}
