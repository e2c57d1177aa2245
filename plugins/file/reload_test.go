package file_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/file"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func table(serials ...string) string {
	return "email,serial\n" + strings.Join(append([]string{""}, serials...), "\na@x.org,")[min(1, len(serials)):] + "\n"
}

func checkSerials(t *testing.T, client *sdk.Client, want []string, says string) {
	t.Helper()
	got, err := client.DevicesByEmail(t.Context(), "a@x.org")
	if diff := cmp.Diff(want, serials(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
		t.Errorf("error %v, want %q", err, says)
	}
}

func TestChangedFilesAreReadAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "1.csv"), filepath.Join(dir, "2.json")
	rewrite(t, one, table("A"))
	client := sdktest.Open(t, file.Plugin(), map[string]any{"DEVICES_FILES": []string{filepath.Join(dir, "*.csv"), filepath.Join(dir, "*.json*"), one}})

	checkSerials(t, client, []string{"A"}, "no such file") // a pattern without a file
	rewrite(t, two, `[{"email":"a@x.org","serial":"B"}]`)
	checkSerials(t, client, []string{"A", "B"}, "")
	rewrite(t, one, table("C")) // as long as before
	checkSerials(t, client, []string{"C", "B"}, "")
	rewrite(t, two, `[{"email":"a@x.org","serial":"D"},`)
	checkSerials(t, client, []string{"C", "B"}, "the file's content before is used")
	checkSerials(t, client, []string{"C", "B"}, "line 1: unexpected EOF")
	rewrite(t, two, `[{"email":"a@x.org","serial":"E"}]`)
	checkSerials(t, client, []string{"C", "E"}, "")
	if err := os.Remove(one); err != nil {
		t.Fatal(err)
	}
	checkSerials(t, client, []string{"E", "C"}, "first of 2 files that cannot be read") // it is named, so it is missed
	if err := os.Remove(two); err != nil {
		t.Fatal(err)
	}
	rewrite(t, filepath.Join(dir, "3.json.gz"), `{"email":"a@x.org","serial":"F"}`)
	rewrite(t, one, table("G"))
	checkSerials(t, client, []string{"G", "F"}, "")
}

// Many callers, while the file changes: each sees one state or the other, whole.
func TestConcurrentLookUps(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.csv")
	states := map[string]bool{}
	var texts []string
	for n := range 2 {
		names := make([]string, 500)
		for i := range names {
			names[i] = fmt.Sprintf("S%d-%d", n, i)
		}
		states[strings.Join(names, " ")] = true
		texts = append(texts, table(names...))
	}
	rewrite(t, path, texts[0])
	client := sdktest.Open(t, file.Plugin(), map[string]any{"DEVICES_FILES": path})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 20 {
				got, err := client.DevicesByEmail(t.Context(), "a@x.org")
				if err != nil || !states[strings.Join(serials(got), " ")] {
					t.Errorf("%d devices, %v", len(got), err)
					return
				}
			}
		})
	}
	for i := range 20 {
		rewrite(t, path, texts[i%2])
	}
	callers.Wait()
}

// A caller whose time is up leaves; the reading goes on for the next one.
func TestSlowReading(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	var text strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&text, "{\"email\":\"p%d@x.org\",\"serial\":\"S%d\",\"practices\":{\"encryption\":true}}\n", i, i)
	}
	rewrite(t, path, text.String())
	instance, err := file.Plugin().Open(t.Context(), []byte(fmt.Sprintf(`{"DEVICES_FILES":%q}`, path)), env(t))
	if err != nil {
		t.Fatal(err)
	}
	source := instance.(*file.Source)
	t.Cleanup(source.Close)
	ctx, cancel := timeout(t, time.Millisecond)
	defer cancel()
	if _, err := source.DevicesByEmail(ctx, "p1@x.org"); fault.KindOf(err) != fault.Timeout {
		t.Errorf("error %v, want a timeout", err)
	}
	if got, err := source.DevicesByEmail(t.Context(), "p59999@x.org"); err != nil || len(got) != 1 {
		t.Errorf("%d devices, %v", len(got), err)
	}
}

// The plugin ends in the middle of a reading.
func TestCloseWhileReading(t *testing.T) {
	t.Parallel()
	path := write(t, "a.csv", table(make([]string, 100_000)...))
	instance, err := file.Plugin().Open(t.Context(), []byte(fmt.Sprintf(`{"DEVICES_FILES":%q}`, path)), env(t))
	if err != nil {
		t.Fatal(err)
	}
	source := instance.(*file.Source)
	ctx, cancel := timeout(t, time.Millisecond)
	defer cancel()
	_, _ = source.DevicesByEmail(ctx, "a@x.org")
	source.Close()
}

func TestLists(t *testing.T) {
	t.Parallel()
	client := sdktest.Open(t, file.Plugin(), map[string]any{
		"DEVICES_FILES": write(t, "d.csv", "email,serial\nA@x.org,1\nb@x.org,2\n,3\nbad\n"),
		"USERS_FILES":   write(t, "u.csv", "email,name,team\na@x.org,Ada,x\nnobody,\nc@x.org,Cleo,y\n"),
	})
	var devices []string
	err := client.ListDevices(t.Context(), time.Second, func(d []device.Device) error {
		devices = append(devices, serials(d)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1", "2", "3"}, devices); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	var users []device.User
	err = client.ListUsers(t.Context(), time.Second, func(u []device.User) error {
		users = append(users, u...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]device.User{{Email: "a@x.org", Name: "Ada"}, {Email: "c@x.org", Name: "Cleo"}, {Email: "b@x.org"}}, users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}
