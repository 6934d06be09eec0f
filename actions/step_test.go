package actions

import (
	"testing"
	"time"
)

// What a step of a run took is what those after it are expected to take, in proportion to their size; a step that was not done, or of
// which nothing was expected, says nothing of the others.
func TestExpectedFromTheStepBefore(t *testing.T) {
	var run tracker
	run.plan([]StepProgress{{Expect: 10 * time.Second}, {}, {Expect: 20 * time.Second}, {Expect: 5 * time.Second}, {Expect: 5 * time.Second}})
	want := func(when string, expected ...time.Duration) {
		t.Helper()
		for i, s := range run.get().Steps {
			if s.Expect != expected[i] {
				t.Errorf("%s: step %d is expected to take %v, want %v", when, i, s.Expect, expected[i])
			}
		}
	}
	run.end(0, Outcome{Status: Done, Took: 30 * time.Second})
	want("after one of three times the time", 10*time.Second, 0, 60*time.Second, 15*time.Second, 15*time.Second)
	run.end(1, Outcome{Status: Done, Took: time.Hour})
	want("after one of which nothing was expected", 10*time.Second, 0, 60*time.Second, 15*time.Second, 15*time.Second)
	run.end(2, Outcome{Status: Done, Took: 20 * time.Second})
	want("after one that was faster", 10*time.Second, 0, 60*time.Second, 5*time.Second, 5*time.Second)
	run.end(3, Outcome{Status: Unknown, Took: time.Hour})
	want("after one that was not done", 10*time.Second, 0, 60*time.Second, 5*time.Second, 5*time.Second)
}
