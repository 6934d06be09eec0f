package etcd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// Advice is what is known to be wrong with a version that a member runs, and what to do.
type Advice struct {
	ID       string // of the rule: "defrag-snapshot"; stable
	Severity Severity
	Members  []string // row IDs, in the order of the input
	Text     string   // a sentence with the members and their versions; untrusted text
	Meaning  string   // what can happen
	Next     string   // what to do
	Source   string   // where it is written; an URL
}

// Advisory is what the version advisor says of a cluster.
type Advisory struct {
	Advice []Advice // the worst first
	// Unknown are sentences on what the advisor could not judge or does not look at; there are always some: the table is shorter than
	// the list of etcd's bugs.
	Unknown []string
}

// Fact is something that may not be known.
type Fact uint8

// Facts.
const (
	FactUnknown Fact = iota
	FactNo
	FactYes
)

// AdvisorInput is what the advisor is told.
type AdvisorInput struct {
	Members []AdvisedMember
	Auth    Fact // whether etcd's own authentication is on
}

// AdvisedMember is a member as the advisor knows it.
type AdvisedMember struct {
	ID, Name string // row ID; untrusted text
	Version  string // of the server's binary; empty: not known
	Storage  string // version of its data; empty: not known (before etcd 3.6)
	// Downgrade is the target of a downgrade that it says is enabled; empty: none, or not told (before etcd 3.6).
	Downgrade string
	NoVote    bool // a learner, or not in the member list
}

// AdvisorInputOf is what the advisor can be told of the members of a snapshot: also of those that do not answer now.
func AdvisorInputOf(s *Snapshot) AdvisorInput {
	var in AdvisorInput
	for _, r := range s.Members {
		m := AdvisedMember{ID: r.ID(), Name: r.GetName(), Version: r.Version, Storage: r.StorageVersion, NoVote: !r.Votes()}
		if r.Reachable { // what it said long ago may have ended since
			m.Downgrade = r.Downgrade
		}
		in.Members = append(in.Members, m)
	}
	return in
}

// release is a version that was understood.
type release struct {
	of   *AdvisedMember
	v    *version.Version
	line string // "3.5"
	// build is the suffix of a distribution's build, which is compared as the release it is made of; empty: none.
	build string
	pre   bool // a release candidate and the like
}

// parseRelease understands "3.5.21", "3.7.0-rc.1", "3.5.9-k3s1", "3.6.4+build".
func parseRelease(m *AdvisedMember) (release, error) {
	v, err := version.ParseSemantic(m.Version)
	if err != nil {
		return release{}, err
	}
	r := release{of: m, v: v, line: fmt.Sprintf("%d.%d", v.Major(), v.Minor()), build: v.BuildMetadata()}
	switch pre := v.PreRelease(); {
	case pre == "":
	case slices.ContainsFunc([]string{"alpha", "beta", "rc", "pre", "dev"}, func(s string) bool { return strings.HasPrefix(pre, s) }):
		r.pre = true
	default: // semantic versioning would take 3.5.9-k3s1 for older than 3.5.9
		r.build = pre
		r.v = version.MustParseSemantic(fmt.Sprintf("%d.%d.%d", v.Major(), v.Minor(), v.Patch()))
	}
	return r, nil
}

// Advise compares the versions of the members with the table of known defects. Its time is that of the table's length by the number of members.
func Advise(in AdvisorInput) Advisory {
	var out Advisory
	unknown := func(format string, args ...any) { out.Unknown = append(out.Unknown, fmt.Sprintf(format, args...)) }
	var known []release
	voters := 0
	lines := map[string]bool{}
	for i := range in.Members {
		m := &in.Members[i]
		if !m.NoVote {
			voters++
		}
		if m.Version == "" {
			unknown("the version of %s: it has not told it", m.Name)
			continue
		}
		r, err := parseRelease(m)
		if err != nil {
			unknown("%s: its version %q is none that can be compared with the table", m.Name, m.Version)
			continue
		}
		known = append(known, r)
		lines[r.line] = true
		newest, ok := newestKnown[r.line]
		switch {
		case !ok && oldestLine.LessThan(r.v):
			unknown("%s: the line %s is newer than the table (%s)", m.Name, r.line, tableBasis)
		case ok && version.MustParseSemantic(newest).LessThan(r.v):
			unknown("%s: %s is newer than the newest that the table knows of its line (%s, %s)", m.Name, r.of.Version, newest, tableBasis)
		}
		if r.build != "" {
			unknown("%s: %s is somebody's own build of etcd, which may hold fixes that the table does not know of", m.Name, r.of.Version)
		}
	}
	out.Advice = append(out.Advice, general(known)...)
	guessed := false
	for i := range defects {
		d := &defects[i]
		hit := affected(known, d.in)
		if len(hit) == 0 {
			continue
		}
		text := who(hit, known) + " " + d.text
		switch d.needs {
		case needsAuth:
			if in.Auth == FactNo {
				continue
			}
			if in.Auth == FactUnknown {
				guessed = true
				text += ", if authentication is on"
			}
		case needsSingle:
			if voters != 1 {
				continue
			}
		}
		out.Advice = append(out.Advice, Advice{ID: d.id, Severity: d.severity, Members: ids(hit), Text: text, Meaning: d.meaning,
			Next: firstOf(d.next, upgradeTo(hit, d.in)), Source: d.source})
	}
	out.Advice = append(out.Advice, paths(known)...)
	out.Advice = append(out.Advice, downgrades(in)...)
	slices.SortStableFunc(out.Advice, func(a, b Advice) int { return cmp.Compare(b.Severity, a.Severity) })
	if guessed {
		unknown("whether authentication is on: asking would propose an entry to raft, so fathom does not")
	}
	if len(lines) > 0 {
		var logs []string
		for _, l := range slices.Sorted(maps.Keys(lines)) {
			logs = append(logs, fmt.Sprintf("%s/CHANGELOG-%s.md", changelogs, l))
		}
		unknown("every other bug: the table has %d, chosen because they harm data, watches, membership or access (%s); all are in %s",
			len(defects), tableBasis, strings.Join(logs, " and "))
	}
	unknown("flags and feature gates, the file system and the disk below, backports of a distribution")
	return out
}

// affected are the members that run a version of one of the ranges.
func affected(known []release, in []affectedRange) (out []release) {
	for _, r := range known {
		if slices.ContainsFunc(in, func(a affectedRange) bool { return a.has(&r) }) {
			out = append(out, r)
		}
	}
	return out
}

// upgradeTo names for each line of the members the first release with the fix.
func upgradeTo(hit []release, in []affectedRange) string {
	var parts []string
	for _, a := range in {
		if !slices.ContainsFunc(hit, func(r release) bool { return a.has(&r) }) {
			continue
		}
		if a.fixed == "" {
			parts = append(parts, "leave the line "+a.line+", which gets no fix")
			continue
		}
		to := "upgrade to " + a.fixed
		if newest := newestKnown[a.line]; newest != a.fixed {
			to += fmt.Sprintf(" or newer (%s is the newest known here)", newest)
		}
		parts = append(parts, to)
	}
	return strings.Join(parts, "; ")
}

// general is what can be said of a release without a defect in it.
func general(known []release) (out []Advice) {
	add := func(hit []release, id string, sev Severity, text, meaning, next, source string) {
		if len(hit) > 0 {
			out = append(out, Advice{ID: id, Severity: sev, Members: ids(hit), Text: who(hit, known) + " " + text, Meaning: meaning, Next: next, Source: source})
		}
	}
	pick := func(f func(*release) bool) (hit []release) {
		for _, r := range known {
			if f(&r) {
				hit = append(hit, r)
			}
		}
		return hit
	}
	add(pick(func(r *release) bool { return r.v.LessThan(oldestLine) }), "end-of-life", Warning,
		"is of a line that has had no fixes for years", "known defects and vulnerabilities of this line stay as they are, and this table does not hold them",
		"upgrade one minor version at a time, beginning with a snapshot", "https://etcd.io/docs/latest/upgrades/")
	add(pick(func(r *release) bool { return r.line == "3.4" }), "end-of-life-3.4", Warning, "is of a line that ended on 2026-06-01",
		"defects and vulnerabilities found since are not fixed in 3.4; 3.4.45 is its last release", "upgrade to 3.5, newest patch, one member at a time",
		changelogs+"/CHANGELOG-3.4.md")
	add(pick(func(r *release) bool { return r.pre }), "pre-release", Warning, "is a pre-release", "it was published to be tried out, not to keep data",
		"upgrade to a release", "https://github.com/etcd-io/etcd/releases")
	low, high := skew(known)
	if high > low+1 {
		add(known, "minor-skew", Critical, "runs on members that are more than one minor version apart",
			"etcd supports members of two neighbouring minor versions, and those only while it is being upgraded",
			"bring the members to one minor version, one step at a time; take a snapshot first", "https://etcd.io/docs/latest/upgrades/")
	}
	return out
}

// skew is the lowest and the highest minor version of major version 3.
func skew(known []release) (low, high uint) {
	for i, r := range known {
		if i == 0 || r.v.Minor() < low {
			low = r.v.Minor()
		}
		high = max(high, r.v.Minor())
	}
	return low, high
}

// paths is what to know before the next upgrade.
func paths(known []release) (out []Advice) {
	for i := range upgrades {
		u := &upgrades[i]
		var hit []release
		early := false
		for _, r := range known {
			if r.line == u.from {
				hit = append(hit, r)
				early = early || r.v.LessThan(version.MustParseSemantic(u.atLeast))
			}
		}
		if len(hit) == 0 {
			continue
		}
		next := u.next
		if early {
			next = fmt.Sprintf("first upgrade every member to %s or newer; %s", u.atLeast, next)
		}
		out = append(out, Advice{ID: "upgrade-" + u.to, Severity: Info, Members: ids(hit), Text: fmt.Sprintf("before an upgrade from %s to %s", u.from, u.to),
			Meaning: u.meaning, Next: next, Source: u.source})
	}
	return out
}

// downgrades is about a downgrade that is enabled. etcd lowers the cluster version and then each member's data within seconds, waits for the older binaries, and ends the
// downgrade within seconds once all members run them (server/etcdserver/version/monitor.go); whatever stays between is stuck, or waits for somebody.
func downgrades(in AdvisorInput) (out []Advice) {
	targets := map[string]bool{}
	for _, m := range in.Members {
		if m.Downgrade != "" {
			targets[m.Downgrade] = true
		}
	}
	for _, target := range slices.Sorted(maps.Keys(targets)) {
		var waiting, raised, newer, unready []string // in words, and by ID
		old := 0                                     // members that run the target
		_, err := version.ParseGeneric(target)
		for _, m := range in.Members {
			switch {
			case err != nil || m.Version == "":
			case !laterLine(m.Version, target):
				old++
			case laterLine(m.Storage, target):
				raised, unready = append(raised, fmt.Sprintf("%s (storage version %s)", m.Name, m.Storage)), append(unready, m.ID)
			default:
				waiting, newer = append(waiting, fmt.Sprintf("%s (%s)", m.Name, m.Version)), append(newer, m.ID)
			}
		}
		a := Advice{ID: "downgrade", Severity: Warning, Text: fmt.Sprintf("a downgrade to %s is enabled", target), Source: downgradeDocs}
		switch {
		case len(raised) > 0:
			a.ID, a.Members = "downgrade-storage", unready
			a.Text += ", but not prepared by " + strings.Join(raised, ", ")
			a.Meaning = "the older binary does not start on data of a newer storage version; etcd lowers it some seconds after the downgrade was enabled, unless a member's version or newer entries in the log stand against it"
			a.Next = "do not replace the binaries of these members yet; look for \"invalid downgrade target\" and \"failed to update storage version\" in the members' logs, or give it up with `etcdctl downgrade cancel`"
		case len(waiting) > 0:
			a.Members = newer
			a.Text += " and not ended: it waits for the older binary on " + strings.Join(waiting, ", ")
			a.Meaning = "until it ends the cluster speaks the older version: what is new in the newer one is off, and it cannot be upgraded"
			a.Next = "replace the binaries of these members, one after the other, or give it up with `etcdctl downgrade cancel`"
		case old == len(in.Members):
			a.ID = "downgrade-not-ended"
			a.Text += ", though all members run it"
			a.Meaning = "etcd ends a downgrade by itself within seconds; while it has not, the cluster cannot be upgraded"
			a.Next = "look for \"failed to cancel downgrade\" in the leader's log, and end it with `etcdctl downgrade cancel`"
		default:
			a.Meaning = "whether it goes on cannot be told: not every version is known"
			a.Next = "see that every member answers, and look at `etcdctl endpoint status`"
		}
		out = append(out, a)
	}
	return out
}

// laterLine reports whether a version is of a later minor line than another. What is no version is not.
func laterLine(v, than string) bool {
	a, err1 := version.ParseGeneric(v)
	b, err2 := version.ParseGeneric(than)
	return err1 == nil && err2 == nil && (a.Major() > b.Major() || a.Major() == b.Major() && a.Minor() > b.Minor())
}

// who is the subject of a sentence: "etcd 3.6.8", or with the members that run it, when not all do: "etcd 3.5.2 (etcd-1, etcd-2), 3.5.4 (etcd-3)".
func who(hit, known []release) string {
	var order []string
	names := map[string][]string{}
	for _, r := range hit {
		v := r.of.Version
		if names[v] == nil {
			order = append(order, v)
		}
		names[v] = append(names[v], r.of.Name)
	}
	if len(order) == 1 && len(hit) == len(known) {
		return "etcd " + order[0]
	}
	var parts []string
	for _, v := range order {
		parts = append(parts, fmt.Sprintf("%s (%s)", v, strings.Join(names[v], ", ")))
	}
	return "etcd " + strings.Join(parts, ", ")
}

func ids(hit []release) (out []string) {
	for _, r := range hit {
		out = append(out, r.of.ID)
	}
	return out
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
