package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/plugins/builtin"
	"github.com/postureproject/posture/practices"
	"github.com/postureproject/posture/transforms"
)

func newConfig(env *environment) *cobra.Command {
	return group(&cobra.Command{Use: "config", Short: "Check, show and explain the configuration"},
		newConfigCheck(env), newConfigShow(env),
		newConfigText(env, "example", "Print a complete, commented configuration to start from", config.Example),
		newConfigText(env, "schema", "Print the JSON Schema of the configuration, for editors", config.EditorSchema),
		newConfigText(env, "reference", "Print the description of every key, as Markdown", config.Reference))
}

func newConfigCheck(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Check the configuration, the plugins' part included",
		Long: `Check the configuration as the daemon would at its start: the plugins are started
and asked about their part. Whether the vendors can be reached is what posture
connectivity tests. Exit status 1 when anything is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, load, err := env.loadOnce()
			if err != nil {
				return env.allProblems(err)
			}
			h, err := host.Open(cmd.Context(), env.options(load, env.logger()))
			if err != nil {
				return err
			}
			defer h.Close()
			failed := false
			for _, s := range h.Status() {
				if s.State == "ready" {
					_, _ = fmt.Fprintf(env.stdout, "%s %s: ok\n", s.Name, s.Description.Version)
					continue
				}
				failed = true
				_, _ = fmt.Fprintf(env.stderr, "%s: does not start: %s\n", s.Name, printable(s.LastError))
				if s.LastRemedy != "" {
					_, _ = fmt.Fprintf(env.stderr, "  → %s\n", printable(s.LastRemedy))
				}
			}
			for _, w := range h.Warnings() {
				_, _ = fmt.Fprintln(env.stderr, "warning: "+w.String())
			}
			if failed {
				return exitStatus(exitUsage)
			}
			_, err = fmt.Fprintf(env.stdout, "%s is fine.\n", h.ConfigName())
			return err
		},
	}
}

// allProblems adds to what is wrong with the top level what is wrong with the
// blocks of built-in plugins, so that one run tells everything.
func (e *environment) allProblems(err error) error {
	var problems config.Problems
	path, findErr := config.Find(e.configPath, e.getenv)
	if !errors.As(err, &problems) || findErr != nil || path == "-" {
		return err
	}
	file, _ := config.Load(path, e.environ, builtin.Names()...)
	if file == nil { // not readable at all
		return err
	}
	schemas, schemaErr := localSchemas()
	if schemaErr != nil {
		return err
	}
	var more config.Problems
	if errors.As(file.Check(schemas, practices.Schema()), &more) {
		for _, p := range more {
			if name, isBlock := strings.CutPrefix(p.Path, "plugins."); isBlock && schemas[strings.SplitN(name, ".", 2)[0]] == nil {
				continue // an external plugin, which is asked when it runs
			}
			problems = append(problems, p)
		}
	}
	return problems
}

func newConfigShow(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the configuration in force, without secrets", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			file, err := env.load()
			if err != nil {
				return err
			}
			schemas, err := localSchemas()
			if err != nil {
				return err
			}
			text, err := file.Show(schemas, practices.Schema())
			if err != nil {
				return err
			}
			_, err = env.stdout.Write(text)
			return err
		},
	}
}

// newConfigText is a command that prints what is derived from the schemas.
func newConfigText(env *environment, use, short string, derive func([]config.Doc, []byte) ([]byte, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			docs, err := localDocs()
			if err != nil {
				return err
			}
			text, err := derive(docs, practices.Schema())
			if err != nil {
				return err
			}
			_, err = env.stdout.Write(text)
			return err
		},
	}
}

// localDocs describes every plugin and transform that is built in.
func localDocs() ([]config.Doc, error) {
	var docs []config.Doc
	for _, name := range builtin.Names() {
		p, _ := builtin.Plugin(name)
		d, err := p.Describe()
		if err != nil {
			return nil, err
		}
		docs = append(docs, config.Doc{Name: name, Summary: d.Summary, Schema: d.ConfigSchema})
	}
	schemas, summaries := transforms.Schemas(), transforms.Summaries()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		docs = append(docs, config.Doc{Name: name, Summary: summaries[name], Schema: schemas[name]})
	}
	return docs, nil
}

func localSchemas() (map[string][]byte, error) {
	docs, err := localDocs()
	schemas := make(map[string][]byte, len(docs))
	for _, d := range docs {
		schemas[d.Name] = d.Schema
	}
	return schemas, err
}
