package duo_test

import (
	"testing"

	sim "github.com/postureproject/posture/internal/simulator/duo"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// A second process, such as a scan on the command line beside the daemon, answers
// from what the first has read without asking Duo, which allows few requests.
func TestSecondProcessDoesNotPullAgain(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{sim: sim.Options{Days: 1}})
	if _, err := b.client.TestConnectivity(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := b.server.Faults.Requests()
	second := sdktest.Open(t, b.plugin, b.settings, sdktest.WithStateDir(b.dir))
	email := b.fleet.Person(0).Email
	want, err := b.client.EventsByEmail(t.Context(), email)
	if err != nil || len(want) == 0 {
		t.Fatalf("got %d events, %v", len(want), err)
	}
	got, err := second.EventsByEmail(t.Context(), email)
	if err != nil || len(got) != len(want) {
		t.Errorf("the second got %d events of %d, %v", len(got), len(want), err)
	}
	if again := b.server.Faults.Requests() - asked; again != 0 {
		t.Errorf("the second asked Duo %d times", again)
	}
	// The connectivity test is about Duo itself, so it does ask.
	if _, err := second.TestConnectivity(t.Context()); err != nil || b.server.Faults.Requests() == asked {
		t.Errorf("the connectivity test asked nobody: %v", err)
	}
}
