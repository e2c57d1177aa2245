// Package supervise runs plugins as subprocesses and keeps each one's trouble to
// itself: it starts them on demand, watches their health, starts them again
// after a crash with growing pauses, bounds how long and how many calls may run,
// stops asking a source that keeps failing, and leaves no process behind. It
// knows the protocol (plugins/sdk) and nothing of what the answers mean.
package supervise
