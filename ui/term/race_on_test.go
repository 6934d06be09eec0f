//go:build race

package term

// slower is how much slower everything is here: the race detector watches.
const slower = 5
