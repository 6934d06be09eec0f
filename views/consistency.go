package views

import (
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/ui/text"
	"fathom/watchers"
	"fathom/watchers/etcd"
	"fathom/watchers/etcd/check"
)

// consistency is the pane of what etcd promises: whether the members hold the same data, asked for on request, and the live checks.
type consistency struct {
	env     *Env
	ref     Ref
	snap    *etcd.Snapshot
	live    *check.Live
	hash    *check.HashRun
	members []consistencyRow
	table   *table.Table
	cols    []Column
	view    *text.View
}

// consistencyRow is one member in both halves.
type consistencyRow struct {
	*etcd.MemberRow
	hash *check.MemberHash // nil: it was not compared
	live *check.LiveMember // nil: nobody watches on it
}

func newConsistency(env *Env, r Ref) (Pane, error) {
	p := &consistency{env: env, ref: r, snap: &etcd.Snapshot{}, live: &check.Live{}, table: table.New(env.Theme), view: text.NewView(env.Theme)}
	p.view.SetWrap(true)
	p.cols = consistencyColumns(env.Theme.Glyphs())
	setColumns(p.table, p.cols)
	return p, nil
}

// Open implements Pane. The checks run as long as the program does.
func (p *consistency) Open() {}

// Close implements Pane. A comparison goes on.
func (p *consistency) Close() {}

// Sync implements Pane.
func (p *consistency) Sync() bool {
	if p.env.Check == nil || p.env.Etcd == nil {
		return false
	}
	p.env.Etcd.Look()
	snap, live, hash := p.env.Etcd.Snapshot(), p.env.Check.Live(), p.env.Check.Hash()
	if snap == p.snap && live == p.live && hash == p.hash {
		return false
	}
	p.snap, p.live, p.hash = snap, live, hash
	p.arrange()
	return true
}

// arrange puts the members' rows together, and the text below them. Both are of a handful of members and at most 32 breaches.
func (p *consistency) arrange() {
	p.members = p.members[:0:0]
	for _, m := range p.snap.Members {
		r := consistencyRow{MemberRow: m}
		if p.hash != nil {
			if i := slices.IndexFunc(p.hash.Members, func(h check.MemberHash) bool { return h.ID == m.MemberID }); i >= 0 && m.MemberID != 0 {
				r.hash = &p.hash.Members[i]
			}
		}
		if i := slices.IndexFunc(p.live.Members, func(l check.LiveMember) bool { return l.ID == m.MemberID }); i >= 0 {
			r.live = &p.live.Members[i]
		}
		p.members = append(p.members, r)
	}
	p.table.SetSource(rowSource[consistencyRow]{p.env, p.members, p.cols})
	p.view.SetLines(p.lines())
}

// Title implements Pane.
func (p *consistency) Title() Title {
	t := Title{Name: safe.Lit("consistency"), Scope: safe.Lit("etcd")}
	if p.live.Broken > 0 {
		t.Count = fmt.Sprintf("%d breaches", p.live.Broken)
	}
	return t
}

// State implements Pane.
func (p *consistency) State() watchers.State {
	if p.env.Check == nil || p.env.Etcd == nil {
		return watchers.State{Phase: watchers.Unsupported, Resource: "members", Why: noEtcd(p.env)}
	}
	return p.snap.State
}

// Ticks implements Ticker: since when, and how long a member has been hashing.
func (p *consistency) Ticks() bool { return len(p.members) > 0 }

// Ref implements Pane.
func (p *consistency) Ref() Ref { return p.ref }

// Scopes implements Pane.
func (p *consistency) Scopes() []keymap.Scope {
	return []keymap.Scope{keymap.Checks, keymap.Scroll}
}

// Do implements Pane.
func (p *consistency) Do(in keymap.Intent) tea.Cmd {
	if scroll(p.view, in) || in != keymap.ChecksHash {
		return nil
	}
	if p.env.Check == nil {
		return toast("there is no etcd to compare the members of", true)
	}
	if p.hash != nil && p.hash.Running() {
		p.env.Check.StopHashes()
		return toast("no further member is asked; the one that hashes now goes on until it is done", false)
	}
	if err := p.env.Check.CompareHashes(); err != nil {
		return toast(err.Error(), true)
	}
	return func() tea.Msg { return PullMsg{} }
}

// Click implements Clicker.
func (p *consistency) Click(int, int) tea.Cmd { return nil }

// Wheel implements Clicker.
func (p *consistency) Wheel(lines int) tea.Cmd { p.view.Move(lines); return nil }

// Draw implements Pane: the verdict, the members, and below them the live checks with what broke.
func (p *consistency) Draw(a draw.Area, _ bool) {
	if st := p.State(); st.Phase == watchers.Unsupported {
		p.table.SetEmpty(safe.Sprintf("not available: %s", st.Why))
		p.table.Draw(a, false)
		return
	}
	p.table.SetEmpty(safe.Lit("asking the members…"))
	y := p.drawVerdict(a, p.env.Now())
	rows := min(max(len(p.members), 1)+1, max(2, a.H()-y))
	p.table.Draw(a.Sub(draw.Rect{Y: y, W: a.W(), H: rows}), false)
	if y += rows + 1; y < a.H() {
		p.view.Draw(padded(a.Sub(draw.Rect{Y: y, W: a.W(), H: a.H() - y})), false)
	}
}

// drawVerdict says what the newest comparison found and returns the line after it.
func (p *consistency) drawVerdict(a draw.Area, now time.Time) int {
	style, said, dim := p.verdict(now)
	g := p.env.Theme.Glyphs()
	glyph := map[theme.Style]rune{theme.Good: g.Good, theme.Bad: g.Bad, theme.Warn: g.Warn, theme.Pending: g.Pending, theme.Info: g.Unknown}[style]
	lines := wrapped(said, max(1, a.W()-2))
	for i, l := range lines[:min(len(lines), max(1, a.H()/4))] {
		x := 2
		if i == 0 {
			x = a.Text(0, 0, style, safe.String(string(glyph)+" "))
		}
		a.Text(x, i, style, safe.String(l))
	}
	y := min(len(lines), max(1, a.H()/4))
	for _, l := range wrapped(dim, max(1, a.W()-2)) {
		if y >= a.H()/3 {
			break
		}
		a.Text(2, y, theme.Dim, safe.String(l))
		y++
	}
	return y + 1
}

// verdict is the newest comparison in a sentence, and what else to know of it.
func (p *consistency) verdict(now time.Time) (style theme.Style, said, dim string) {
	const cost = "H asks one member after the other, the leader last: each reads all its keys, and its clients wait until it is done (about a second per GB in memory)"
	h := p.hash
	if h == nil {
		return theme.Info, "whether the members hold the same data has not been asked", cost
	}
	if h.Running() {
		done := 0
		which := "for their revision"
		for _, m := range h.Members {
			switch m.Phase {
			case check.Answered, check.Failed:
				done++
			case check.Hashing:
				which = fmt.Sprintf("%s hashes its keys up to revision %d for %s", m.Name, h.Revision, Age(now.Sub(m.Began)))
			}
		}
		return theme.Pending, fmt.Sprintf("comparing the members, %d of %d done: %s", done, len(h.Members), which), "H ends it after this member"
	}
	style = map[check.Verdict]theme.Style{check.Same: theme.Good, check.Differs: theme.Bad, check.Apart: theme.Bad, check.Partly: theme.Warn}[h.Verdict]
	if h.Verdict == check.Unknown {
		style = theme.Info
	}
	dim = fmt.Sprintf("compared %s ago in %s; H compares again", Age(now.Sub(h.Ended)), lasted(h.Ended.Sub(h.Began)))
	if h.Canceled {
		dim = "ended before all members were asked; " + dim
	}
	return style, h.Text, dim
}

// lasted is a duration that a person reads.
func lasted(d time.Duration) string {
	if d < 10*time.Second {
		return rtt(d)
	}
	return Age(d)
}

// consistencyKeys are the fields in JSON. Scripts rely on them and on their order.
var consistencyKeys = []string{"member", "id", "verdict", "hash", "revision", "compactRevision", "why", "watching", "events", "breaches"}

var verdictNames = map[check.Verdict]string{check.Unknown: "unknown", check.Same: "same", check.Partly: "partly", check.Differs: "differs", check.Apart: "apart"}

// printed begins the comparison that print asks for. On the screen it waits for the key.
func (p *consistency) printed() error {
	if p.hash != nil {
		return nil
	}
	return p.env.Check.CompareHashes()
}

// Print implements Printer: it compares the members first.
func (p *consistency) Print(bool) (Printed, bool, error) {
	if st := p.State(); st.Phase == watchers.Unsupported {
		return Printed{}, false, fmt.Errorf("not available: %s", st.Why)
	}
	if !p.snap.Polled {
		return Printed{}, false, nil
	}
	if err := p.printed(); err != nil {
		return Printed{}, false, err
	}
	if p.hash == nil || p.hash.Running() {
		return Printed{}, false, nil
	}
	out := Printed{Keys: consistencyKeys, Titles: []string{"MEMBER", "VERDICT", "HASH", "REVISION", "COMPACTED", "WHY"}}
	for _, m := range p.hash.Members {
		hash, revision := "-", int64(0)
		if m.Phase == check.Answered {
			hash, revision = fmt.Sprintf("%08x", m.Hash), p.hash.Revision
		}
		out.Rows = append(out.Rows, []string{m.Name, verdictNames[m.Verdict], hash, fmt.Sprint(revision), fmt.Sprint(m.CompactRevision), firstOf(m.Why, p.hash.Text)})
		var watching bool
		var events uint64
		var breaches int
		if i := slices.IndexFunc(p.live.Members, func(l check.LiveMember) bool { return l.ID == m.ID }); i >= 0 {
			watching, events, breaches = p.live.Members[i].Watching, p.live.Members[i].Events, p.live.Members[i].Breaches
		}
		out.Values = append(out.Values, []any{m.Name, fmt.Sprintf("%x", m.ID), verdictNames[m.Verdict], hash, revision, m.CompactRevision, m.Why, watching, events, breaches})
	}
	return out, true, nil
}
