package device

import (
	"cmp"
	"slices"
)

// fewPairs is the number of comparisons of identifiers up to which two records
// are compared directly.
const fewPairs = 1024

// joined tells for each record after the first which identifier links it: to the
// first, or else to one linked to that before. Reasons from earlier merging
// come first.
func (b *builder) joined(records []int32) []Join {
	earlier := 0
	for _, rec := range records {
		earlier += len(b.ix.records[rec].Joined)
	}
	if len(records) == 1 && earlier == 0 {
		return nil
	}
	out := make([]Join, 0, earlier+len(records)-1)
	if earlier > 0 {
		for _, rec := range records {
			out = append(out, b.ix.records[rec].Joined...)
		}
	}
	if len(records) == 1 {
		return out
	}
	for i, rec := range records[1:] {
		id := b.ix.strongestShared(records[0], rec)
		if id == 0 {
			return b.linker.join(b.ix, records, out[:len(out)-i])
		}
		out = append(out, b.ix.joinOf(records[0], rec, id))
	}
	return out
}

// joinOf says that an identifier links a record to one before.
func (ix *index) joinOf(with, rec, id int32) Join {
	j := Join{
		Source: ix.records[rec].label(), With: ix.records[with].label(),
		Identifier: ix.idents[id].kind.String(), Value: ix.idents[id].value,
	}
	if k := ix.idents[id].kind; k < kindMAC {
		j.Value = ix.given(rec, k)
	}
	return j
}

// strongestShared gives the first identifier of a that b has too. It gives zero
// when there is none, or when finding out is too much to do for one pair.
func (ix *index) strongestShared(a, b int32) int32 {
	x, y := ix.of(a), ix.of(b)
	if len(x)*len(y) > fewPairs {
		return 0
	}
	for _, id := range x {
		if slices.Contains(y, id) {
			return id
		}
	}
	return 0
}

// linker finds the links among a device's records when not all are with the first.
type linker struct {
	holdings []holding
	links    []link // by place of the record
	queue    []int32
}

// holding is an identifier of the record at a place among the device's.
type holding struct{ ident, place int32 }

// link is the identifier that links a record, and the place of the one it is linked to.
type link struct{ ident, with int32 }

// join appends the link of every record after the first: it goes from the first
// to all that share an identifier with it, from these to all that share one with
// them, and so on.
func (l *linker) join(ix *index, records []int32, out []Join) []Join {
	l.holdings = l.holdings[:0]
	for place, rec := range records {
		for _, id := range ix.of(rec) {
			l.holdings = append(l.holdings, holding{id, int32(place)})
		}
	}
	slices.SortFunc(l.holdings, func(a, b holding) int {
		return cmp.Or(cmp.Compare(a.ident, b.ident), cmp.Compare(a.place, b.place))
	})
	l.links = slices.Grow(l.links[:0], len(records))[:len(records)]
	clear(l.links)
	l.queue = append(l.queue[:0], 0)
	next := 0
	for next < len(l.queue) { // which grows as links are followed
		from := l.queue[next]
		next++
		for _, id := range ix.of(records[from]) {
			l.follow(id, from)
		}
	}
	for place, rec := range records {
		if lk := l.links[place]; place > 0 && lk.ident != 0 {
			out = append(out, ix.joinOf(records[lk.with], rec, lk.ident))
		}
	}
	return out
}

// follow links all records that hold an identifier and have no link yet to the
// one at a place. The identifier's holdings are used up by that.
func (l *linker) follow(id, from int32) {
	i, _ := slices.BinarySearchFunc(l.holdings, id, func(h holding, id int32) int { return cmp.Compare(h.ident, id) })
	for ; i < len(l.holdings) && l.holdings[i].ident == id && l.holdings[i].place >= 0; i++ {
		place := l.holdings[i].place
		if place > 0 && l.links[place].ident == 0 {
			l.links[place] = link{id, from}
			l.queue = append(l.queue, place)
		}
		l.holdings[i].place = -1
	}
}
