package device

import (
	"encoding/json"
	"slices"
	"strings"
)

// builder makes devices of their records. It is not safe for concurrent use.
type builder struct {
	ix       *index
	findings findings
	macs     []MAC
	sorted   []string
	names    nameSet
	linker   linker
}

// build makes the device of a group.
func (b *builder) build(g *group, out *Device) {
	for _, rec := range g.records {
		out.fill(&b.ix.records[rec])
	}
	b.identifiers(g.records, out)
	out.Sources = b.sources(g.records)
	out.Practices = b.practices(g.records, out.LastSync)
	out.Software = b.software(g.records)
	out.Notes = b.notes(g.records)
	out.Joined = b.joined(g.records)
	out.Ambiguous = b.ambiguous(g, out)
	out.Raw = b.raw(g.records)
}

// identifiers unites the identifiers. The serial shown is the device's, though a
// newer record may show a placeholder or something else in its place.
func (b *builder) identifiers(records []int32, out *Device) {
	b.macs = b.macs[:0]
	var serial int32
	for _, rec := range records {
		for _, id := range b.ix.of(rec) {
			switch k := b.ix.idents[id].kind; k {
			case kindMAC:
				b.macs = append(b.macs, MAC(b.ix.idents[id].value))
				continue
			case kindSerial:
				serial = id
				fallthrough
			default:
				if to := out.Identifiers.single(k); *to == "" {
					*to = b.ix.given(rec, k)
				}
			}
		}
	}
	if len(b.macs) > 0 {
		slices.Sort(b.macs)
		out.Identifiers.MACAddresses = slices.Clone(slices.Compact(b.macs))
	}
	if serial == 0 || normalize(out.Serial) == b.ix.idents[serial].value {
		return
	}
	out.Serial = out.Identifiers.Serial
	for _, rec := range records {
		if s := b.ix.records[rec].Serial; normalize(s) == b.ix.idents[serial].value {
			out.Serial = s
			return
		}
	}
}

// sources lists the sources, sorted, once each.
func (b *builder) sources(records []int32) []string {
	b.sorted = b.sorted[:0]
	for _, rec := range records {
		r := &b.ix.records[rec]
		if r.Source != "" {
			b.sorted = append(b.sorted, r.Source)
		}
		b.sorted = append(b.sorted, r.Sources...)
	}
	if len(b.sorted) == 0 {
		return nil
	}
	slices.Sort(b.sorted)
	return slices.Clone(slices.Compact(b.sorted))
}

// label names a record's source, or all of them when it has been merged before.
func (d *Device) label() string {
	if d.Source != "" || len(d.Sources) == 0 {
		return d.Source
	}
	return strings.Join(d.Sources, ", ")
}

// notes unites the notes in the order of the records, once each, and adds what
// merging found odd.
func (b *builder) notes(records []int32) []string {
	var out []string
	for _, rec := range records {
		out = append(out, b.ix.records[rec].Notes...)
		if b.ix.unparsed != nil {
			out = append(out, b.ix.unparsed[rec]...)
		}
	}
	if len(out) < 2 {
		return out
	}
	seen := make(map[string]struct{}, len(out))
	return slices.DeleteFunc(out, func(note string) bool {
		_, known := seen[note]
		seen[note] = struct{}{}
		return known
	})
}

// ambiguous tells what the device shares with others. What earlier merging said
// about an identifier stays.
func (b *builder) ambiguous(g *group, out *Device) []Ambiguity {
	var list []Ambiguity
	for _, rec := range g.records {
		list = append(list, b.ix.records[rec].Ambiguous...)
	}
	for _, s := range g.shared {
		id := &b.ix.idents[s.ident]
		value := id.value
		if id.kind != kindMAC {
			value = *out.Identifiers.single(id.kind)
		}
		list = append(list, Ambiguity{Identifier: id.kind.String(), Value: value, Reason: s.reason})
	}
	if len(list) < 2 {
		return list
	}
	slices.SortStableFunc(list, func(x, y Ambiguity) int {
		x.Reason, y.Reason = "", ""
		return compareAmbiguities(x, y)
	})
	return slices.CompactFunc(list, func(x, y Ambiguity) bool { return x.Identifier == y.Identifier && x.Value == y.Value })
}

// raw keeps the sources' own documents: an object of them by source, with a list
// where a source has several. It is nil when there is none.
func (b *builder) raw(records []int32) json.RawMessage {
	var documents map[string][]json.RawMessage
	add := func(source string, doc json.RawMessage) {
		if documents == nil {
			documents = make(map[string][]json.RawMessage)
		}
		documents[source] = append(documents[source], doc)
	}
	for _, rec := range records {
		r := &b.ix.records[rec]
		if len(r.Raw) == 0 {
			continue
		}
		var merged map[string]json.RawMessage
		if r.Source == "" && json.Unmarshal(r.Raw, &merged) == nil {
			for source, doc := range merged {
				add(source, doc)
			}
			continue
		}
		doc := r.Raw
		if !json.Valid(doc) {
			doc, _ = json.Marshal(string(doc)) // a string always marshals
		}
		add(r.Source, doc)
	}
	if documents == nil {
		return nil
	}
	bySource := make(map[string]any, len(documents))
	for source, docs := range documents {
		bySource[source] = docs
		if len(docs) == 1 {
			bySource[source] = docs[0]
		}
	}
	out, err := json.Marshal(bySource)
	if err != nil {
		return nil
	}
	return out
}
