//go:build race

package adminevent_test

// storm is smaller where every access to memory is watched.
const storm = 50_000
