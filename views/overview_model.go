package views

import (
	"time"

	"fathom/theme"
	"fathom/ui/chart"
	"fathom/watchers"
	"fathom/watchers/etcd"
	"fathom/watchers/etcd/backup"
)

// overviewData is everything the overview knows: immutable snapshots, any of which may be missing.
type overviewData struct {
	namespace string
	api       bool // there is an API server at all
	pic       *watchers.DerivedSnapshot[watchers.Overview]
	plane     *watchers.ControlPlaneSnapshot
	health    watchers.Health
	etcd      *etcd.Snapshot   // nil: there is no etcd
	backups   *backup.Snapshot // nil: nobody watches a folder
}

// overviewSection is one subject: the lines that are always there, and a list that is cut to the room there is.
type overviewSection struct {
	key, title string
	head       []overviewLine
	brief      []overviewLine // instead of head in a low pane; nil: head
	list       []overviewLine
	compact    int    // list lines that are worth their place in a low pane; the others appear where there is room
	swap       bool   // list lines show their status before their name: the reason of an event, then what it is about
	issue      string // what is wrong, in a few words, for the verdict; empty: nothing
	unseen     string // why it is not known; empty: it is
}

// level is the worst level of the lines that are always there.
func (s *overviewSection) level() theme.Style {
	worst := theme.Good
	for _, l := range s.head {
		if severity(l.level) > severity(worst) {
			worst = l.level
		}
	}
	return worst
}

// overviewLine is about one thing. Print shows its fields, the screen the same ones in columns.
type overviewLine struct {
	id     string      // identity for the cursor; unique in the overview
	level  theme.Style // the state as a role; its glyph stands in front
	name   string
	status string // the state in words
	detail string
	lead   string // list lines: what stands before the name (an age, a count)
	ref    *Ref
	// For print.
	namespace, kind string
	value, total    *int64
	unit            string
	at              time.Time
	// Pictures, drawn after the name instead of status and detail.
	gauge   *chart.Gauge
	gauges  []chart.Gauge // several, side by side
	stack   []chart.Part
	stale   string // how old the part is, when it is stale
	repeats bool   // detail says what the list says, and is not needed beside it
}

func n64(n int64) *int64 { return &n }

// severity orders levels by how much they ask for attention.
func severity(s theme.Style) int {
	switch s.Role() {
	case theme.Bad, theme.Danger:
		return 4
	case theme.Warn:
		return 3
	case theme.Pending:
		return 2
	case theme.Info:
		return 1
	}
	return 0
}

// worse says which of two states takes more away from a picture, in the order of watchers.Derived: a part that is missing is
// named in its place, a part that is stale may mislead.
func worse(a, b watchers.State) watchers.State {
	rank := func(p watchers.Phase) int {
		switch p {
		case watchers.Live:
			return 0
		case watchers.Connecting:
			return 2
		case watchers.Stale:
			return 3
		}
		return 1
	}
	if rank(b.Phase) > rank(a.Phase) {
		return b
	}
	return a
}

// state is the worst of the parts that are there.
func (d *overviewData) state() watchers.State {
	var st watchers.State
	switch {
	case !d.api && d.etcd == nil:
		return watchers.State{Phase: watchers.Unsupported, Why: "neither an API server nor etcd was found; fathom doctor says where it looked"}
	case !d.api:
		return d.etcd.State
	case d.pic == nil || d.pic.Gen == 0:
		st = watchers.State{Phase: watchers.Connecting, Why: d.health.Why}
	default:
		st = d.pic.State
	}
	if d.plane != nil {
		st = worse(st, d.plane.State)
	}
	if d.etcd != nil {
		st = worse(st, d.etcd.State)
	}
	return st
}

// part is the state of some of the overview's sources.
func (d *overviewData) part(keys ...watchers.Key) watchers.State {
	if d.pic == nil || d.pic.Gen == 0 {
		return watchers.State{Phase: watchers.Connecting, Why: d.health.Why}
	}
	st := watchers.State{Phase: watchers.Live}
	for _, k := range keys {
		if s, ok := d.pic.States[k]; ok {
			st = worse(st, s)
		}
	}
	return st
}

// missing says why a part cannot be shown; ok when it can.
func missing(st watchers.State) (level theme.Style, status, detail string, ok bool) {
	switch st.Phase {
	case watchers.Connecting:
		return theme.Pending, "waiting", st.Why, false
	case watchers.Denied:
		return theme.Default, "denied", "you may not " + st.Verb + " " + st.Resource, false
	case watchers.Unsupported:
		return theme.Default, "not available", st.Why, false
	}
	return 0, "", "", true
}

// aged says how old a stale part is.
func aged(st watchers.State, now time.Time) string {
	if st.Phase != watchers.Stale {
		return ""
	}
	if st.Since.IsZero() {
		return "stale"
	}
	return "stale " + Age(now.Sub(st.Since))
}
