package backup

import (
	"fmt"
	"time"
)

// Verdict is what a check found.
type Verdict string

// Verdicts.
const (
	Passed  Verdict = "passed"
	Failed  Verdict = "failed"
	Unknown Verdict = "unknown" // it could not be told, and Text says why; no fault of the snapshot
	Refused Verdict = "refused" // of a report: the file is not whole, so nothing was restored from it
)

// Check is one thing that a drill looked at.
type Check struct {
	Name    string  `json:"name"` // stable: "checksum", "contents", "restore", "member", "revision", "keys", "hash", "sample", "live ..."
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"` // untrusted, one sentence
}

// Report is what a drill found out.
type Report struct {
	File    string        `json:"file"`
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"tookNanoseconds"`
	Verdict Verdict       `json:"verdict"`
	Reason  string        `json:"reason,omitempty"` // of Refused and Failed, in a sentence; untrusted
	Checks  []Check       `json:"checks"`
	Inside  *Inside       `json:"inside,omitempty"`
	Version string        `json:"etcdVersion,omitempty"` // of the etcd that restored it
}

// Names of the checks, in the order they are made.
const (
	CheckSum      = "checksum"
	CheckContents = "contents"
	CheckRestore  = "restore"
	CheckMember   = "member"
	CheckRevision = "revision"
	CheckKeys     = "keys"
	CheckHash     = "hash"
	CheckSample   = "sample"
	CheckCluster  = "live cluster"
	CheckLiveHash = "live hash"
	CheckLiveKeys = "live keys"
	CheckLive     = "live sample"
)

// add notes a check. The report fails with the first that does.
func (r *Report) add(name string, v Verdict, format string, args ...any) {
	c := Check{Name: name, Verdict: v, Text: fmt.Sprintf(format, args...)}
	r.Checks = append(r.Checks, c)
	if v == Failed && r.Verdict == "" {
		r.Verdict, r.Reason = Failed, c.Name+": "+c.Text
	}
}

// judge notes a comparison.
func (r *Report) judge(name string, equal bool, format string, args ...any) {
	v := Failed
	if equal {
		v = Passed
	}
	r.add(name, v, format, args...)
}

// refuse ends a drill before anything was restored.
func (r *Report) refuse(name, why string) {
	r.Checks = append(r.Checks, Check{Name: name, Verdict: Refused, Text: why})
	r.Verdict, r.Reason = Refused, why
}

// Unknowns is how many checks could not be made.
func (r *Report) Unknowns() int {
	n := 0
	for _, c := range r.Checks {
		if c.Verdict == Unknown {
			n++
		}
	}
	return n
}
