package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report collects tables and writes each as soon as it is whole, or all of them
// as JSON at the end.
type report struct {
	Machine machine `json:"machine"`
	Quick   bool    `json:"quick"`
	Tables  []table `json:"tables"`

	json    bool
	written int   // how many tables have been
	failure error // the first wrong result
}

// machine says where the figures are from.
type machine struct {
	Processor string    `json:"processor"`
	Cores     int       `json:"cores"`
	Go        string    `json:"go"`
	System    string    `json:"system"`
	Load      string    `json:"load"` // averages before the first part: what else was running
	At        time.Time `json:"at"`
}

// table is one part's figures. Rows are as they are shown; Values are the same
// as numbers, for programs.
type table struct {
	Title  string             `json:"title"`
	Notes  []string           `json:"notes,omitempty"` // how it was measured
	Header []string           `json:"header"`
	Rows   [][]string         `json:"rows"`
	Values map[string]float64 `json:"values"`
}

func newReport(o options) *report {
	return &report{Quick: o.quick, json: o.json, Machine: machine{
		Processor: processor(), Cores: runtime.NumCPU(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Load: firstFields("/proc/loadavg", 3), At: time.Now().UTC().Truncate(time.Second),
	}}
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func firstFields(path string, n int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(n, len(fields))], " ")
}

func (r *report) add(t table) { r.Tables = append(r.Tables, t) }

// flush writes what is new.
func (r *report) flush(w io.Writer) error {
	if r.json {
		return nil
	}
	if r.written == 0 {
		m := r.Machine
		if _, err := fmt.Fprintf(w, "%s, %d cores, %s, %s; load before: %s\n", m.Processor, m.Cores, m.System, m.Go, m.Load); err != nil {
			return err
		}
		if r.Quick {
			if _, err := fmt.Fprintln(w, "Quick mode: the figures only show that everything runs."); err != nil {
				return err
			}
		}
	}
	for _, t := range r.Tables[r.written:] {
		if err := t.write(w); err != nil {
			return err
		}
	}
	r.written = len(r.Tables)
	return nil
}

// end writes everything as JSON, if that was asked for.
func (r *report) end(w io.Writer) error {
	if !r.json {
		return nil
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func (t table) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", t.Title)
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		fmt.Fprintf(tw, "  %s\n", strings.Join(row, "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, note := range t.Notes {
		fmt.Fprintf(&b, "  %s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// quantile gives the value below which a share of the values lies.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

func median(values []float64) float64 { return quantile(values, 0.5) }

func decimal(v float64, digits int) string { return fmt.Sprintf("%.*f", digits, v) }

func percent(v float64) string { return decimal(100*v, 0) + " %" }

func megabytes(bytes int64) string { return decimal(float64(bytes)/(1<<20), 1) }
