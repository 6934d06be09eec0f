package etcd

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// tableBasis is what the tables below were made of.
const tableBasis = "made from etcd's changelogs and advisories of 2026-08-20"

const (
	changelogs = "https://github.com/etcd-io/etcd/blob/main/CHANGELOG"
	etcdIssue  = "https://github.com/etcd-io/etcd/issues/"
	etcdPull   = "https://github.com/etcd-io/etcd/pull/"
	advisory   = "https://github.com/etcd-io/etcd/security/advisories/"

	downgradeDocs = "https://etcd.io/docs/v3.6/downgrades/downgrade_3_6/"
)

// newestKnown is the newest patch release of each line as of tableBasis.
var newestKnown = map[string]string{"3.4": "3.4.45", "3.5": "3.5.33", "3.6": "3.6.14", "3.7": "3.7.1"}

// oldestLine is the first release of the oldest line that the table knows.
var oldestLine = version.MustParseSemantic("3.4.0-alpha")

// affectedRange is a part of one minor line: from (empty: its beginning) up to, and without, fixed (empty: there is no fix in it).
type affectedRange struct{ line, from, fixed string }

func (a affectedRange) has(r *release) bool {
	return r.line == a.line && (a.from == "" || !r.v.LessThan(version.MustParseSemantic(a.from))) &&
		(a.fixed == "" || r.v.LessThan(version.MustParseSemantic(a.fixed)))
}

// before makes ranges from the beginning of each line up to the release with the fix.
func before(fixed ...string) (out []affectedRange) {
	for _, f := range fixed {
		out = append(out, affectedRange{line: f[:strings.LastIndexByte(f, '.')], fixed: f})
	}
	return out
}

// condition is what must be so besides the version for a defect to matter.
type condition uint8

const (
	always condition = iota
	needsAuth
	needsSingle // a single voting member
)

// defect is something that is wrong with a range of releases. text goes on after the names of the members.
type defect struct {
	id                  string
	severity            Severity
	in                  []affectedRange
	needs               condition
	text, meaning, next string // next empty: to upgrade, said from the ranges
	source              string
}

// defects are those that harm data, watches, membership or access. Where a fix was made in several lines each is listed; 3.4 is only
// listed where its changelog has the fix.
var defects = []defect{
	{id: "inconsistent-index", severity: Critical, in: []affectedRange{{"3.5", "3.5.0", "3.5.3"}},
		text:    "can lose committed entries when it is killed under load",
		meaning: "after a crash a member may skip entries that the others have applied: the members hold different data and none of the checks of 3.5.0 to 3.5.2 is sure to notice; with a single member it cannot be noticed at all",
		next:    "upgrade to 3.5.3 or newer, then compare the members' hashes (:consistency); a member that differs must be removed and added again",
		source:  "https://github.com/etcd-io/etcd/blob/main/Documentation/postmortems/v3.5-data-inconsistency.md"},
	{id: "zombie-members", severity: Warning, in: []affectedRange{{"3.5", "3.5.0", "3.5.1"}},
		text:    "can bring removed members back",
		meaning: "members that were removed before an upgrade from 3.4 reappear in the member list and count towards the quorum",
		source:  etcdIssue + "13196"},
	{id: "auth-panic", severity: Warning, in: []affectedRange{{"3.5", "3.5.3", "3.5.4"}}, needs: needsAuth,
		text: "panics at its start", meaning: "a member that is restarted does not come back", source: etcdPull + "13946"},
	{id: "single-durability", severity: Critical, in: before("3.4.21", "3.5.5"), needs: needsSingle,
		text:    "can lose acknowledged writes of a cluster of one member",
		meaning: "a write is confirmed before it is on disk: a crash in that moment loses what a client was told is kept",
		source:  etcdIssue + "14370"},
	{id: "alarm-list", severity: Warning, in: before("3.5.5"),
		text:    "may not start again after its alarms were listed and the power failed",
		meaning: "health checks that list alarms, as `etcdctl endpoint health` does, write to the log each time; a member that loses power then may refuse to start. fathom never lists alarms",
		next:    "upgrade to 3.5.5 or newer; until then take health checks off `etcdctl endpoint health`", source: etcdIssue + "14382"},
	{id: "defrag-crash", severity: Warning, in: before("3.5.6"),
		text:    "can get another revision than the other members when it crashes during a defragmentation",
		meaning: "its revision drifts from that of the others, and transactions that compare revisions may have different outcomes on different members",
		next:    "upgrade to 3.5.6 or newer; until then do not defragment", source: etcdPull + "14733"},
	{id: "auth-snapshot", severity: Warning, in: before("3.4.22", "3.5.6"), needs: needsAuth,
		text:    "can apply requests differently after it recovered from a snapshot",
		meaning: "a member with stale users and roles refuses what the others apply: the data differ", source: etcdPull + "14648"},
	{id: "progress-order", severity: Warning, in: before("3.4.25", "3.5.8"),
		text:    "answers a request for watch progress before the events it speaks of",
		meaning: "a client that trusts the answer believes it has seen everything up to a revision and has not. Kubernetes asks for progress when it serves consistent lists from its cache and turns that off on these versions",
		source:  etcdPull + "15695"},
	{id: "watch-loss", severity: Warning, in: before("3.4.31", "3.5.13"),
		text:    "can lose watch events after a compaction, and sends no progress to watches without events",
		meaning: "an informer may miss a change until it lists again: controllers act on objects that are gone or have changed",
		source:  etcdPull + "17612"},
	{id: "revision-decrease", severity: Warning, in: before("3.4.32", "3.5.14"),
		text:    "can go back to an older revision when it crashes during a compaction",
		meaning: "revisions that were given out already are given out again, for other changes: caches and watches that go by the revision are wrong",
		source:  etcdIssue + "17780"},
	{id: "watch-delete", severity: Warning, in: before("3.4.36", "3.5.18"),
		text:    "can leave a deletion out of a watch that begins at the revision of a compaction",
		meaning: "an informer keeps an object that was deleted until it lists again", source: etcdIssue + "19179"},
	{id: "learner-promotion-lost", severity: Info, in: []affectedRange{{"3.5", "3.5.1", "3.5.20"}},
		text:    "does not store in its new membership store that a learner was promoted",
		meaning: "harmless on 3.5; after the upgrade to 3.6 the member is a learner again and the upgrade may fail with \"too many learner members\"",
		source:  etcdIssue + "19557"},
	{id: "defrag-snapshot", severity: Critical, in: before("3.4.38", "3.5.23", "3.6.5"),
		text:    "can corrupt its database when it is defragmented while it applies a snapshot",
		meaning: "a member that is far behind gets a snapshot from the leader; a defragmentation in that moment works on the file that is being replaced",
		next:    "do not defragment a member that lags or has just joined, and upgrade; fathom refuses it while a snapshot is being applied, where the member's metrics say so",
		source:  etcdPull + "20553"},
	{id: "promotion-replay", severity: Warning, in: before("3.6.4"),
		text:    "may not start again after a learner was promoted",
		meaning: "the promotion is replayed against a membership that has it already: \"too many learner members\", and the member panics",
		source:  etcdIssue + "20340"},
	{id: "stale-reads", severity: Warning, in: before("3.4.42", "3.5.28", "3.6.9"),
		text:    "can answer linearizable reads with old data after it was paused",
		meaning: "a process that was stopped (a live migration, a frozen disk) confirms reads with an index from before the pause",
		source:  etcdIssue + "20418"},
	{id: "cve-2026-33413", severity: Warning, in: before("3.4.42", "3.5.28", "3.6.9"), needs: needsAuth,
		text:    "has two vulnerabilities of users and roles (CVE-2026-33413, CVE-2026-33343)",
		meaning: "an authenticated user may reach what its roles do not allow; without etcd users, as Kubernetes usually runs it, there is nothing to reach",
		source:  advisory},
	{id: "member-add-refused", severity: Info, in: before("3.5.30", "3.6.11"),
		text:    "may refuse to add a member while another one is down",
		meaning: "a failed member cannot be replaced by adding first; remove the failed one before", source: changelogs + "/CHANGELOG-3.6.md"},
	{id: "cve-2026-44283", severity: Warning, in: before("3.5.30", "3.6.11"),
		text: "has a vulnerability (CVE-2026-44283)", meaning: "see the advisory for who can reach it", source: advisory},
	{id: "update-promotes", severity: Warning, in: before("3.5.31", "3.6.12"),
		text:    "promotes a learner when its peer URLs are changed",
		meaning: "a learner that is not up to date becomes a voter: the quorum grows by a member that cannot keep up",
		next:    "do not change the peer URLs of a learner before the upgrade: remove and add it", source: etcdIssue + "21694"},
	{id: "ghsa-6vch-q96h-7gc3", severity: Warning, in: before("3.5.33", "3.6.14", "3.7.1"),
		text:    "can be kept busy by TLS handshakes (GHSA-6vch-q96h-7gc3)",
		meaning: "whoever reaches the client or peer port can deny service without a certificate; Kubernetes' etcd is affected",
		next:    "close both ports to everybody but the API servers and the members, and upgrade", source: advisory + "GHSA-6vch-q96h-7gc3"},
	{id: "ghsa-xg4h-6gfc-h4m8", severity: Warning, in: before("3.5.33", "3.6.14", "3.7.1"), needs: needsAuth,
		text:    "lets a watch see keys that its user may not read (GHSA-xg4h-6gfc-h4m8)",
		meaning: "roles do not bound watches as they bound reads", source: advisory + "GHSA-xg4h-6gfc-h4m8"},
}

// upgrade is what to know before an upgrade from one line to the next.
type upgrade struct{ from, to, atLeast, meaning, next, source string }

var upgrades = []upgrade{
	{from: "3.4", to: "3.5", atLeast: "3.4.45", meaning: "one minor version at a time, one member at a time, followers first", source: "https://etcd.io/docs/v3.5/upgrades/upgrade_3_5/",
		next: "take a snapshot, make sure that every member is healthy, then upgrade to the newest 3.5"},
	{from: "3.5", to: "3.6", atLeast: "3.5.32",
		meaning: "members of the old membership store can come back as zombies or learners, for which there is no workaround; from 3.5.32 on both stores are made to agree first",
		next:    "run `etcdutl check v2store` on each data folder, and take a snapshot", source: "https://etcd.io/docs/v3.6/upgrades/upgrade_3_6/"},
	{from: "3.6", to: "3.7", atLeast: "3.6.11", meaning: "3.7 does not start with --experimental-* flags, nor from an older 3.6",
		next: "replace every --experimental-* flag by its feature gate or new name, and take a snapshot", source: "https://etcd.io/docs/v3.7/upgrades/upgrade_3_7/"},
}
