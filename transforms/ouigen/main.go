// Command ouigen makes the table of hardware address prefixes that comes with
// Posture out of lists in any form that package ouidata reads; of equal prefixes
// that of the last list holds. docs/mac-prefixes.md tells where to get lists.
//
//	ouigen OUTPUT LIST...
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/postureproject/posture/transforms/ouidata"
)

// fewest is how many prefixes the IEEE had long given out when this was written;
// a list with fewer has lost some.
const fewest = 50_000

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ouigen:", err)
		os.Exit(1)
	}
}

func run(args []string, report io.Writer) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: ouigen OUTPUT LIST [LIST ...]")
	}
	output := args[0]
	prefixes := []ouidata.Prefix(nil)
	for _, name := range args[1:] {
		more, err := read(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		prefixes = append(prefixes, more...)
	}
	prefixes = ouidata.Unique(prefixes)
	sizes := map[int]int{}
	for _, p := range prefixes {
		sizes[p.Bits]++
	}
	if len(prefixes) < fewest || len(sizes) < 3 {
		return fmt.Errorf("%d prefixes of %d sizes are too few for the whole registry", len(prefixes), len(sizes))
	}
	var table bytes.Buffer
	if err := ouidata.Pack(&table, prefixes); err != nil {
		return err
	}
	size := table.Len()
	if err := os.WriteFile(output, table.Bytes(), 0o644); err != nil { //nolint:gosec // source code, for everybody
		return err
	}
	_, err := fmt.Fprintf(report, "%s: %d bytes; prefixes of 24 bits: %d, of 28: %d, of 36: %d\n",
		output, size, sizes[24], sizes[28], sizes[36])
	return err
}

func read(name string) ([]ouidata.Prefix, error) {
	list, err := os.Open(name) //nolint:gosec // named on the command line
	if err != nil {
		return nil, err
	}
	defer list.Close()
	return ouidata.Parse(list)
}
