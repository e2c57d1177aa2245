// Package store keeps what Posture must remember: each person's last posture
// with what every source said and when, how practices developed, and what other
// areas of the package add in files of their own. It speaks one query text to
// two engines, SQLite in one file and PostgreSQL, and knows no vendor, no web
// and no configuration. It imports only the domain packages whose records it
// keeps, and package fault.
//
// Every function of the package behaves the same on both engines; package
// storetest runs the tests on both. Times are kept as whole microseconds in
// UTC, so a time read back may differ from the one saved by less than that.
//
// What a function accepted without an error is on disk, and survives the death
// of the process and of the machine. An error of kind Unavailable means that
// the database cannot be used now and that the same call may work later.
package store
