package device_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
)

// says is what one record says about a practice.
type says struct {
	hours    int // when the record was last heard from
	platform string
	practice device.Practice
}

func TestMerge_Practices(t *testing.T) {
	t.Parallel()
	at := func(hours int) time.Time { return benchNow.Add(time.Duration(hours) * time.Hour) }
	yes, no := device.Bool(true), device.Bool(false)
	tests := []struct {
		name    string
		records []says
		want    device.Practice
	}{
		{
			name:    "a newer null does not beat an older value",
			records: []says{{1, "Mac", device.Practice{Value: yes, Details: "on"}}, {2, "Mac", device.Practice{Details: "no answer", LastUpdated: at(2)}}},
			want:    device.Practice{Value: yes, Details: "on", LastUpdated: at(1)},
		},
		{
			name: "a newer unknown does not beat an older verdict",
			records: []says{
				{1, "Mac", device.Practice{Value: no, Status: device.Warn, LastUpdated: at(1)}},
				{2, "Mac", device.Practice{Status: device.Unknown, Details: "jamf failed"}},
			},
			want: device.Practice{Value: no, Status: device.Warn, LastUpdated: at(1)},
		},
		{
			name: "a verdict without a value beats na and unknown",
			records: []says{
				{3, "Mac", device.Practice{Status: device.Unknown, Details: "why"}},
				{1, "Mac", device.Practice{Status: device.OK, Details: "1.2", LastUpdated: at(0)}},
				{2, "Mac", device.Practice{Status: device.NA}},
			},
			want: device.Practice{Status: device.OK, Details: "1.2", LastUpdated: at(0)},
		},
		{
			name:    "na beats unknown",
			records: []says{{1, "ChromeOS", device.Practice{Status: device.NA, LastUpdated: at(1)}}, {2, "Mac", device.Practice{Status: device.Unknown, Details: "why"}}},
			want:    device.Practice{Status: device.NA, LastUpdated: at(1)},
		},
		{
			name:    "na for want of a platform does not beat unknown with details",
			records: []says{{2, "", device.Practice{Status: device.NA, LastUpdated: at(2)}}, {1, "Mac", device.Practice{Status: device.Unknown, Details: "why", LastUpdated: at(1)}}},
			want:    device.Practice{Status: device.Unknown, Details: "why", LastUpdated: at(1)},
		},
		{
			name:    "na for want of a platform beats unknown without details",
			records: []says{{1, "", device.Practice{Status: device.NA, LastUpdated: at(1)}}, {2, "Mac", device.Practice{Status: device.Unknown}}},
			want:    device.Practice{Status: device.NA, LastUpdated: at(1)},
		},
		{
			name: "the newest finding, whichever record is newest",
			records: []says{
				{9, "Mac", device.Practice{Value: yes, LastUpdated: at(1)}},
				{1, "Mac", device.Practice{Value: no, LastUpdated: at(2)}},
			},
			want: device.Practice{Value: no, LastUpdated: at(2)},
		},
		{
			name: "a finding without a time is as old as its record",
			records: []says{
				{3, "Mac", device.Practice{Value: no}},
				{1, "Mac", device.Practice{Value: yes, LastUpdated: at(2)}},
			},
			want: device.Practice{Value: no},
		},
		{
			name: "of findings of one time the worse",
			records: []says{
				{1, "Mac", device.Practice{Value: yes, Status: device.OK, LastUpdated: at(1)}},
				{1, "Mac", device.Practice{Value: no, Status: device.Warn, LastUpdated: at(1)}},
				{1, "Mac", device.Practice{Value: no, Status: device.Nudge, LastUpdated: at(1)}},
			},
			want: device.Practice{Value: no, Status: device.Warn, LastUpdated: at(1)},
		},
		{
			name: "of findings not judged the worse",
			records: []says{
				{1, "Mac", device.Practice{Value: yes, LastUpdated: at(1)}},
				{1, "Mac", device.Practice{Value: no, LastUpdated: at(1)}},
			},
			want: device.Practice{Value: no, LastUpdated: at(1)},
		},
		{
			name: "a newer verdict without a value keeps the value known before",
			records: []says{
				{1, "Mac", device.Practice{Value: yes, Status: device.OK, LastUpdated: at(1)}},
				{2, "Mac", device.Practice{Status: device.Warn, Details: "version", LastUpdated: at(2)}},
			},
			want: device.Practice{Value: yes, Status: device.Warn, Details: "version", LastUpdated: at(2)},
		},
		{
			name: "a value that the policy could not judge gives way to a verdict",
			records: []says{
				{2, "", device.Practice{Value: yes, Status: device.NA, LastUpdated: at(2)}},
				{1, "Mac", device.Practice{Value: no, Status: device.Warn, LastUpdated: at(1)}},
			},
			want: device.Practice{Value: no, Status: device.Warn, LastUpdated: at(1)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var records []device.Device
			for i, s := range tt.records {
				r := synced(rec(fmt.Sprint("source", i), "S1"), s.hours)
				r.Platform = s.platform
				r.Practices = map[string]device.Practice{"encryption": s.practice}
				records = append(records, r)
			}
			for range 2 {
				devices := device.Merge(records, device.MergeOptions{})
				if len(devices) != 1 {
					t.Fatalf("%d devices, want 1", len(devices))
				}
				if diff := cmp.Diff(map[string]device.Practice{"encryption": tt.want}, devices[0].Practices); diff != "" {
					t.Errorf("practices (-want +got):\n%s", diff)
				}
				slices.Reverse(records)
			}
		})
	}
}

// All practices of all records are there, however many: past a few they are
// found by other means.
func TestMerge_ManyPractices(t *testing.T) {
	t.Parallel()
	a, b := synced(rec("jamf", "S1"), 1), synced(rec("google", "S1"), 2)
	a.Practices, b.Practices = map[string]device.Practice{}, map[string]device.Practice{}
	want := map[string]device.Practice{}
	for i := range 100 {
		key := fmt.Sprintf("practice %d", i)
		p := device.Practice{Value: device.Bool(i%2 == 0), LastUpdated: benchNow}
		want[key] = p
		switch i % 4 {
		case 0:
			a.Practices[key] = p
		case 1:
			b.Practices[key] = p
		case 2:
			a.Practices[key], b.Practices[key] = p, device.Practice{LastUpdated: benchNow.Add(time.Hour)}
		default:
			a.Practices[key], b.Practices[key] = device.Practice{Value: device.Bool(true), LastUpdated: benchNow.Add(-time.Hour)}, p
		}
	}
	devices := device.Merge([]device.Device{a, b}, device.MergeOptions{})
	if diff := cmp.Diff(want, devices[0].Practices); diff != "" {
		t.Errorf("practices (-want +got):\n%s", diff)
	}
}
