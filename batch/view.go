package batch

import (
	"context"
)

// Viewer is what showing a run takes of a store.
type Viewer interface {
	BatchRun(ctx context.Context, id string) (Run, error)
	BatchRuns(ctx context.Context, before string, n int) ([]Run, error)
	Listings(ctx context.Context, run string) ([]Listing, error)
	People(ctx context.Context, run, after string, n int) ([]Person, error)
	PeopleByState(ctx context.Context, run string) (map[State]int, error)
	BatchLease(ctx context.Context) (Lease, error)
}

// Show gives a run with all that is known of it; of one that is not finished the
// counts are those of now.
func Show(ctx context.Context, s Viewer, id string) (Detail, error) {
	run, err := s.BatchRun(ctx, id)
	if err != nil {
		return Detail{}, err
	}
	details, err := details(ctx, s, []Run{run})
	if err != nil {
		return Detail{}, err
	}
	d := details[0]
	if d.Listings, err = s.Listings(ctx, id); err != nil {
		return d, err
	}
	if run.Finished() {
		return d, nil
	}
	now := Run{Statistics: Statistics{}}
	for after := ""; ; {
		people, err := s.People(ctx, id, after, peopleAtOnce)
		if err != nil {
			return d, err
		}
		for _, p := range people {
			now.take(p)
			after = p.Email
		}
		if len(people) < peopleAtOnce {
			break
		}
	}
	// When a run ends, its people go.
	if run, err = s.BatchRun(ctx, id); err != nil || run.Finished() {
		d.Run, d.State, d.Phase = run, "finished", run.Phase.String()
		return d, err
	}
	d.People, d.Devices, d.Statistics = now.People, now.Devices, now.Statistics
	d.Complete, d.Partial, d.Failed = now.Complete, now.Partial, now.Failed
	return d, nil
}

// List gives n runs with ids before one, newest first, without their listings. Of
// one that is not finished the counts of people are those of now; devices and
// statistics are those of when its phase began.
func List(ctx context.Context, s Viewer, before string, n int) ([]Detail, error) {
	runs, err := s.BatchRuns(ctx, before, n)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		if err := countNow(ctx, s, &runs[i]); err != nil {
			return nil, err
		}
	}
	return details(ctx, s, runs)
}

// countNow counts the people of a run that is not finished. One that has just ended
// has none any more.
func countNow(ctx context.Context, s Viewer, r *Run) error {
	if r.Finished() {
		return nil
	}
	states, err := s.PeopleByState(ctx, r.ID)
	if err != nil || len(states) == 0 {
		return err
	}
	r.Complete, r.Partial, r.Failed = states[Done], states[Partial]+states[Waiting], states[Failed]
	r.People = r.Settled() + states[Pending]
	return nil
}

func details(ctx context.Context, s Viewer, runs []Run) ([]Detail, error) {
	lease, err := s.BatchLease(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Detail, len(runs))
	for i, r := range runs {
		out[i] = Detail{Run: r, State: "interrupted", Phase: r.Phase.String(), CollectOnly: r.CollectOnly, Scheduled: r.Scheduled}
		switch {
		case r.Finished():
			out[i].State = "finished"
		case lease.Run == r.ID:
			// Of a process that was killed this shows until the lease is taken over.
			out[i].State = "running"
		}
	}
	return out, nil
}
