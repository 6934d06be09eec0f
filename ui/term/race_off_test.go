//go:build !race

package term

// slower is how much slower everything is here.
const slower = 1
