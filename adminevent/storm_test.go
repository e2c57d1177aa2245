//go:build !race

package adminevent_test

// storm is how many failures make the storm of the tests.
const storm = 1_000_000
