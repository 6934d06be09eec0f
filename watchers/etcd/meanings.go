package etcd

// meaning is what a kind of finding means, what to do about it, and where that is written.
type meaning struct{ Meaning, Next, Source string }

// explain fills in what the kind of a finding means, where the finding does not say it by itself.
func (f *Finding) explain() {
	m := meanings[f.Kind]
	if f.Meaning == "" {
		f.Meaning = m.Meaning
	}
	if f.Next == "" {
		f.Next = m.Next
	}
	if f.Source == "" {
		f.Source = m.Source
	}
}

const (
	docsFAQ      = "https://etcd.io/docs/v3.6/faq/"
	docsMaintain = "https://etcd.io/docs/v3.6/op-guide/maintenance/"
	docsRecovery = "https://etcd.io/docs/v3.6/op-guide/recovery/"
	docsReconf   = "https://etcd.io/docs/v3.6/op-guide/runtime-configuration/"
	docsTuning   = "https://etcd.io/docs/v3.6/tuning/"
	docsLearner  = "https://etcd.io/docs/v3.6/learning/design-learner/"
	docsUpgrade  = "https://etcd.io/docs/v3.6/upgrades/"
	docsSecurity = "https://etcd.io/docs/v3.6/op-guide/security/"
	mixin        = "https://github.com/etcd-io/etcd/blob/main/contrib/mixin/mixin.libsonnet"
	issues       = "https://github.com/etcd-io/etcd/issues/"
)

var meaningCorrupt = meaning{
	"Members do not hold the same data. etcd refuses writes (and, through the log, reads) until the alarm is disarmed. Which member is wrong the alarm does not prove.",
	"Compare the members with HashKV at one revision; only a majority tells which one differs. Replace that one (remove it, wipe its data, add it anew), then disarm.",
	"https://etcd.io/docs/v3.6/op-guide/data_corruption/",
}

// meanings by kind. A test holds that none is missing.
var meanings = map[string]meaning{
	FoundNoQuorum: {
		"Nothing can be written, and linearizable reads fail: the API server answers errors. What was committed is not lost.",
		"Bring stopped members back first: their data is intact. Restore from a snapshot only when a majority is lost for good.",
		docsRecovery},
	FoundTwoClusters: {
		"It was bootstrapped or restored apart from the others: two clusters with data of their own answer under addresses of one. Clients see now the one, now the other.",
		"Find out which of the two holds the data that is wanted, take the other's endpoints out of every client, then remove, wipe and add its members anew.",
		issues + "13093"},
	FoundTwoLeaders: {
		"Raft rules out two leaders in one term: a member runs on data that is not its own (restored, copied, or a disk that forgot a write).",
		"Stop writing clients if you can, take a snapshot of each side, and compare the members with HashKV.",
		"https://raft.github.io/raft.pdf"},
	FoundTermBack: {
		"A member's term only grows, and is on its disk before it answers: its data was replaced by older data, or its disk has lost a write.",
		"If nobody restored it, remove the member, wipe its data and add it anew; check its disk.",
		"https://raft.github.io/raft.pdf"},
	FoundRevisionBack: {
		"Clients that watched beyond that revision hold objects that no longer are: informers and controllers work on a state that never was.",
		"After a restore restart the API servers and controllers. Restore with --bump-revision and --mark-compacted, so that clients list anew.",
		issues + "16028"},
	FoundAppliedAhead: {
		"A member applies only what is committed: what it has beyond that may never have been agreed on.",
		"Compare the members with HashKV. If it differs, remove the member, wipe its data and add it anew.",
		issues + "13766"},
	FoundAlarm: {
		"An alarm is kept in the cluster until it is disarmed, also after its cause is gone. NOSPACE: puts, transactions with puts and new leases are refused; reads, deletes and compaction work; the API server's own compaction fails too.",
		"For NOSPACE: compact, defragment each member, then disarm, in this order. An alarm of a member that was removed can be disarmed at once.",
		docsMaintain + "#space-quota"},
	FoundReads: {
		"The leader does not confirm its reads, though /health may say that all is well. What reads from this member hangs or is stale.",
		"Look at the round trip to its peers and at the leader's load; if it stays so, restart this member.",
		issues + "22214"},
	FoundNoLeader: {
		"It serves old data to serializable reads and nothing to all others. It counts as lost for the quorum.",
		"Check the network between it and its peers (port 2380), their certificates, and its log.",
		docsTuning},
	FoundUnreachable: {
		"It is stopped, hangs, or cannot be reached from here. If its peers cannot reach it either, the quorum is one member poorer.",
		"If the others still have a quorum: look at its process and its log on its host. Do not remove it in haste; a member that comes back catches up by itself.",
		docsFAQ},
	FoundDenied: {
		"Authentication is on, and the user that we are may not see it: before 3.5.32 and 3.6.12 only the role root may.",
		"Show a client certificate whose common name is a user with the role root, or upgrade etcd.",
		"https://etcd.io/docs/v3.6/op-guide/authentication/rbac/"},
	FoundNearQuota: {
		"At the quota etcd raises the alarm NOSPACE and refuses writes: Kubernetes stands still.",
		"Look what fills it (:space). Compact and defragment one member after the other; raise --quota-backend-bytes (up to 8 GiB) on every member if it is needed.",
		docsMaintain + "#space-quota"},
	FoundFragmented: {
		"Free pages are used again, but the file does not shrink: it counts against the quota as it is.",
		"Defragment, one member after the other, the leader last: a member answers nothing meanwhile.",
		docsMaintain + "#defragmentation"},
	FoundVersions: {
		"That is so during a rolling upgrade, and should not stay: the cluster speaks the oldest of them.",
		"Finish the upgrade, one member after the other, one minor version at a time.",
		docsUpgrade},
	FoundStorage: {
		"The upgrade of the storage has not come to its end, or a downgrade is being prepared; new features wait for it.",
		"Look for a downgrade that was enabled and not ended (etcdctl downgrade cancel), and at the leader's log.",
		docsUpgrade},
	FoundStranger: {
		"A zombie: it was removed, or belongs elsewhere, and still serves reads of the data it had. Its list of members may be of itself alone.",
		"Stop it, take its address out of every client (--etcd-servers of the API server), and wipe its data before it is added anew.",
		issues + "13196"},
	FoundLists: {
		"Members that do not agree on who is a member count different quorums. Known from upgrades to 3.6 (members that were removed come back), and from members restored alone.",
		"Ask the leader's list for the truth. If this member's does not follow within minutes: remove it, wipe its data, add it anew.",
		issues + "20967"},
	FoundEven: {
		"The one member more is one more that can fail, and none more that may: the quorum grows with it.",
		"Add a member, or remove one, so that the number is odd.",
		docsFAQ + "#why-an-odd-number-of-cluster-members"},
	FoundSingle: {
		"When it fails nothing can be read or written, and its disk is the only copy. Defragmentation and upgrades stop the API server.",
		"Take snapshots, and run the drill on them; have three members where it matters.",
		docsFAQ + "#what-is-failure-tolerance"},
	FoundOneHost: {
		"When that host fails, all of them fail at once: the quorum bears less than its number says.",
		"Move all but one of them to other hosts.",
		docsFAQ},
	FoundUnstarted: {
		"It counts for the quorum already (a learner does not), and gives no vote until it runs.",
		"Start it with --initial-cluster-state=existing and the --initial-cluster that member add printed; or remove it.",
		docsReconf},
	FoundLearner: {
		"It cannot be promoted, or should not be: etcd's own gate (90 % of the leader's index) passes a learner that is hundreds of thousands of entries behind.",
		"Look at its disk and its network to the leader. If it needs a snapshot over and over, raise --snapshot-count or take load off.",
		docsLearner},
	FoundLearnerReady: {
		"A learner has no vote: for the quorum it is not there. Some installers forget it when they fail halfway.",
		"Promote it, or remove it if it was left behind.",
		docsLearner},
	FoundLag: {
		"It applies more slowly than the leader commits: its reads are old, and when it is 5000 entries behind it refuses new requests.",
		"Look at its disk (fsync and commit p99), its processor, and its network to the leader.",
		docsFAQ + "#what-does-the-etcd-warning-apply-entries-took-too-long-mean"},
	FoundFsync: {
		"A member must write to its log before it answers: a leader that waits for its disk sends no heartbeats and is deposed. 10 ms is what etcd wants.",
		"Look for what else uses the disk. Move etcd to a disk of its own (SSD), or give it a higher I/O priority (ionice).",
		mixin},
	FoundCommit: {
		"The backend is written every 100 ms or 10,000 entries: slow commits slow applies, and with them reads and writes.",
		"As for slow fsyncs: a disk of its own; and see whether the database is large and fragmented.",
		mixin},
	FoundRTT: {
		"Each write waits for a round trip to a majority; near the heartbeat interval (100 ms) and the election timeout (1 s) leaders are lost.",
		"Look at the network between the members; for members far apart raise --heartbeat-interval and --election-timeout on all of them.",
		docsTuning + "#time-parameters"},
	FoundCertificate: {
		"After that no new connection is made with it: clients and peers are refused, one after the other as their connections end.",
		"Renew it (kubeadm certs renew, or as your distribution does) and restart what does not read it anew; etcd reads its own files at each handshake.",
		docsSecurity},
	FoundCompaction: {
		"The API server compacts every five minutes (--etcd-compaction-interval). While it does not, every change stays in the database, which grows to its quota. An alarm NOSPACE blocks it.",
		"Look for alarms, and for \"compact\" in the API server's log; if no API server runs that compacts, compact by hand.",
		"https://github.com/kubernetes/kubernetes/issues/94029"},
}
