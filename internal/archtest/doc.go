// Package archtest holds the tests that keep the code within the plan of
// ARCHITECTURE.md: who may import whom, what packages may not be called, and
// where state may live. The plan itself is read from there, so that it cannot
// say one thing and the tests another.
package archtest
