package acceptance_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/store/storetest"
)

// A built-in sink that has never started is no reason to leave it out of a run: what
// is for it waits. Nor is it a source, of which something would be missing.
func TestSink_NeverStarted(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	program := filepath.Join(s.dir, "posture-without-sink")
	writeFile(t, program, fmt.Sprintf("#!/bin/sh\n[ \"$3\" != batch_restful_summary ] || exit 3\nexec %s \"$@\"\n", postureProgram(t)), 0o700)
	s.Plugins["batch_restful_summary"] = map[string]any{"URL": "http://127.0.0.1:1/summary"}
	s.write(t, nil, "file", "jamf", "bitfit", "batch_restful_summary")
	kept := storetest.Open(t, storetest.SQLite(t), nil)
	h := s.open(t, func(o *host.Options) { o.Store, o.Executable = kept, program })
	run, err := h.Night(t.Context(), host.NightOptions{}, batch.Request{})
	if err != nil || run.Complete != 3 {
		t.Fatalf("run %+v, error %v", run, err)
	}
	waiting, err := kept.ListDeliveries(t.Context(), outbox.Filter{Sink: "batch_restful_summary"})
	if err != nil || len(waiting) != 1 {
		t.Errorf("%d documents wait for the sink, error %v; want the summary", len(waiting), err)
	}
}
