// Package batch runs the pipeline over a whole company: it reads every source
// that can list its devices once, page by page, finds out whose each record is,
// asks per person only what cannot be listed, and settles one person after the
// other, so that a run that is killed goes on where it stopped, scans and sends
// nobody twice and forgets nobody. It has the engine, the model of a run, the
// resolution of identities and the schedule; what it needs of sources, pipeline
// and storage is handed in as the small interfaces that it declares. It imports
// only packages device and fault and the library that reads cron expressions.
package batch
