// Package outbox sees that documents reach the systems they are for. Whoever has
// a document puts it into the queue that a [Store] keeps on disk, in the
// transaction that makes it true; an [Outbox] hands it to its [Sink] until the
// sink has accepted it.
//
// A document arrives at least once, and with the same ID each time: it is
// forgotten only after its acceptance is on disk. What was accepted is remembered
// by its ID for some days, so that queueing it again does nothing. Of one key,
// nothing overtakes. A document that its sink refuses for good is set aside with
// the reason, as is one that an administrator's rules call too old; all others
// are tried for as long as it takes.
//
// One process at a time delivers to a sink, whichever of those that share a
// store comes first; when it is gone, another takes over. No time of day decides
// anything that matters, so a clock that jumps does no more than hasten or put
// off an attempt by the longest pause.
//
// The package imports device and fault and nothing else of Posture.
package outbox
