package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/builtin"
	"github.com/postureproject/posture/plugins/sdk/scaffold"
	"github.com/postureproject/posture/transforms"
)

func newPluginNew(env *environment) *cobra.Command {
	var o scaffold.Options
	var dir string
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Write the beginning of a source plugin of your own", Args: cobra.ExactArgs(1),
		Long: `Write a Go module that builds a source plugin, with a small source that asks a
made-up vendor's API, and tests. Change it into what you need: CONTRIBUTING.md
and docs/plugins.md tell how. Nothing that exists is overwritten.`,
		Example: "  posture plugin new acme_mdm --module git.example.com/me/posture-plugin-acme_mdm",
		RunE: func(_ *cobra.Command, args []string) error {
			o.Name = args[0]
			o.PostureVersion = released(version)
			if dir == "" {
				dir = scaffold.Program(o.Name)
			}
			if err := notTaken(o.Name); err != nil {
				return err
			}
			files, err := scaffold.Write(dir, o)
			if err != nil {
				return err
			}
			return env.reportScaffold(dir, files, o)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`FOLDER` to write to (default: posture-plugin-NAME)")
	cmd.Flags().StringVar(&o.Module, "module", "", "the plugin's Go module `PATH` (default: example.com/posture-plugin-NAME)")
	cmd.Flags().StringVar(&o.PostureDir, "posture-dir", "", "checkout of Posture to build with, instead of a published version")
	return cmd
}

// notTaken refuses the names of what is built in: the host would never look for
// another program of that name.
func notTaken(name string) error {
	_, isPlugin := builtin.Plugin(name)
	_, isTransform := transforms.Schemas()[name]
	if isPlugin || isTransform {
		return fault.InvalidField("name", name, "is the name of a built-in plugin", "choose another one")
	}
	return nil
}

// released gives the version to require of Posture: this program's own if it is
// a published one, else none.
func released(version string) string {
	v := "v" + strings.TrimPrefix(version, "v")
	if regexp.MustCompile(`^v\d+\.\d+\.\d+(-(alpha|beta|rc)[0-9.]*)?$`).MatchString(v) {
		return v
	}
	return ""
}

func (e *environment) reportScaffold(dir string, files []string, o scaffold.Options) error {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "Wrote %s: %s.\n\nNext:\n", dir, strings.Join(files, ", "))
	step := func(command, why string) { _, _ = fmt.Fprintf(&b, "  %-34s %s\n", command, why) }
	step("cd "+dir, "")
	if o.PostureDir == "" && o.PostureVersion == "" {
		step("go get "+scaffold.PostureModule+"@latest", "")
	}
	step("go mod tidy", "fetch what it needs")
	step("make test", "it passes before you change anything")
	step("make install PLUGIN_DIR=FOLDER", "build it into your plugin_dir")
	_, _ = fmt.Fprintf(&b, "\nThen put this into posture.yaml:\n\n")
	_, _ = fmt.Fprintf(&b, "  plugin_dir: FOLDER\n  plugins:\n    %s:\n      %s_URL: https://…\n      %s_TOKEN: …\n\n", o.Name, strings.ToUpper(o.Name), strings.ToUpper(o.Name))
	_, _ = fmt.Fprintf(&b, "and try it with: posture connectivity --plugins %s\n%s says more.\n", o.Name, filepath.Join(dir, "README.md"))
	_, err := fmt.Fprint(e.stdout, b.String())
	return err
}
