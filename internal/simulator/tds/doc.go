// Package tds is the server's side of Microsoft's Tabular Data Stream as far as
// a database driver needs it: TDS 7.4, and TDS 8.0 where TLS comes first. It
// negotiates encryption, checks SQL Server log-ins, takes SQL batches and
// sp_executesql calls with their parameters, streams typed rows over as many
// packets as they need, and honours cancellation. What a query means is its
// [Handler]'s business. On demand it misbehaves; see [Fault].
//
// The formats follow "[MS-TDS]: Tabular Data Stream Protocol" of Microsoft's
// Open Specifications. Tests and the demo import the package.
package tds
