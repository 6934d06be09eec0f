package keymap

// Scopes. Those of a pane are active together with Global while the pane has the focus; Dialog and Prompt take every key.
const (
	Global     Scope = "global"
	Table      Scope = "table"   // moving, marking and sorting in tables
	Objects    Scope = "objects" // everything with a name, YAML and a description
	Pods       Scope = "pods"
	Workloads  Scope = "workloads" // deployments, stateful sets, daemon sets, replica sets
	Jobs       Scope = "jobs"
	Nodes      Scope = "nodes"
	Namespaces Scope = "namespaces"
	Contexts   Scope = "contexts"
	Events     Scope = "events"
	Members    Scope = "members"
	Findings   Scope = "findings" // what is wrong with etcd
	KeyTree    Scope = "keys"     // the etcd key space
	History    Scope = "history"  // the revisions of a key
	WatchView  Scope = "watch"    // changes of keys as they come
	Search     Scope = "search"
	Space      Scope = "space"
	Leases     Scope = "leases"
	Users      Scope = "users"
	Checks     Scope = "consistency"
	Backups    Scope = "backups" // the folder of snapshots
	Backup     Scope = "backup"  // one snapshot
	Placement  Scope = "placement"
	Overview   Scope = "overview"
	Scroll     Scope = "scroll" // moving in text
	TextView   Scope = "text"   // YAML, describe, values
	Value      Scope = "value"  // the value of a key, masked or not
	LogView    Scope = "logs"
	Dialog     Scope = "dialog"
	Prompt     Scope = "prompt" // the command and the filter line
)

// Stacks are the scopes that can be active together, innermost first.
func Stacks() [][]Scope {
	return [][]Scope{
		{Pods, Objects, Table, Global},
		{Workloads, Objects, Table, Global},
		{Jobs, Objects, Table, Global},
		{Nodes, Objects, Table, Global},
		{Namespaces, Objects, Table, Global},
		{Contexts, Table, Global},
		{Events, Objects, Table, Global},
		{Objects, Table, Global},
		{Members, Table, Global},
		{Findings, Table, Global},
		{Checks, Scroll, Global},
		{KeyTree, Table, Global},
		{History, Table, Global},
		{WatchView, Table, Global},
		{Search, Table, Global},
		{Space, Table, Global},
		{Leases, Table, Global},
		{Users, Table, Global},
		{Backups, Table, Global},
		{Backup, Scroll, Global},
		{Placement, Objects, Table, Global},
		{Placement, Nodes, Objects, Table, Global},
		{Placement, Pods, Objects, Table, Global},
		{Overview, Table, Global},
		{Overview, Scroll, Global},
		{TextView, Scroll, Global},
		{Value, TextView, Scroll, Global},
		{LogView, Scroll, Global},
		{Dialog},
		{Prompt},
	}
}

// Intents of the global scope.
const (
	Command        Intent = "global.command"
	Filter         Intent = "global.filter"
	Help           Intent = "global.help"
	Back           Intent = "global.back"
	Quit           Intent = "global.quit"
	FocusNext      Intent = "global.focus-next"
	FocusPrev      Intent = "global.focus-prev"
	SplitRight     Intent = "global.split-right"
	SplitDown      Intent = "global.split-down"
	CloseSplit     Intent = "global.close-split"
	Zoom           Intent = "global.zoom"
	Redraw         Intent = "global.redraw"
	Aside          Intent = "global.under-way"
	Refresh        Intent = "global.refresh"
	Suspend        Intent = "global.suspend"
	HistoryBack    Intent = "global.history-back"
	HistoryForward Intent = "global.history-forward"
	LastView       Intent = "global.last-view"
	AllNamespaces  Intent = "global.all-namespaces"
)

// NamespacePrefix begins the intents of the keys 1 to 9: "global.namespace.1".
const NamespacePrefix = "global.namespace."

// Intents of tables and of text; Enter, Down, ... are the same in both.
const (
	Up          Intent = "table.up"
	Down        Intent = "table.down"
	Top         Intent = "table.top"
	Bottom      Intent = "table.bottom"
	PageUp      Intent = "table.page-up"
	PageDown    Intent = "table.page-down"
	ScrollLeft  Intent = "table.scroll-left"
	ScrollRight Intent = "table.scroll-right"
	Enter       Intent = "table.enter"
	Mark        Intent = "table.mark"
	MarkRange   Intent = "table.mark-range"
	MarkClear   Intent = "table.mark-clear"
	SortNext    Intent = "table.sort-next"
	SortPrev    Intent = "table.sort-prev"
	SortReverse Intent = "table.sort-reverse"
	SortName    Intent = "table.sort-name"
	SortAge     Intent = "table.sort-age"
	SortStatus  Intent = "table.sort-status"
	Wide        Intent = "table.wide"
)

// Intents on what the cursor is on. Those of actions are the actions' IDs.
const (
	YAML              Intent = "object.yaml"
	Describe          Intent = "object.describe"
	CopyName          Intent = "object.copy-name"
	Logs              Intent = "pods.logs"
	LogsPrevious      Intent = "pods.logs-previous"
	PodNode           Intent = "pods.node"
	PodsDelete        Intent = "pods.delete"
	WorkloadsScale    Intent = "workloads.scale"
	WorkloadsRestart  Intent = "workloads.restart"
	NodesCordon       Intent = "nodes.cordon"
	NodesUncordon     Intent = "nodes.uncordon"
	MembersMoveLeader Intent = "members.move-leader"
	MembersDefragment Intent = "members.defragment"
	MembersTimeline   Intent = "members.timeline"
	MembersFindings   Intent = "members.findings"
	FindingsMember    Intent = "findings.member"
	MembersPromote    Intent = "members.promote"
	MembersRemove     Intent = "members.remove"
	MembersPeers      Intent = "members.update-peers"
	EtcdDefragmentAll Intent = "etcd.defragment-all"
	EtcdCompact       Intent = "etcd.compact"
	EtcdRecover       Intent = "etcd.recover-nospace"
	EtcdDisarm        Intent = "etcd.disarm"
	EtcdAddLearner    Intent = "etcd.add-learner"
	MembersCheck      Intent = "members.consistency"
	ChecksHash        Intent = "consistency.hash"
	MembersSnapshot   Intent = "members.snapshot"
	BackupsDrill      Intent = "backups.drill"
	BackupsVerify     Intent = "backups.verify"
	BackupsGiveUp     Intent = "backups.give-up"
	KeysExpand        Intent = "keys.expand"
	KeysCollapse      Intent = "keys.collapse"
	KeysReveal        Intent = "keys.reveal"
	KeysHistory       Intent = "keys.history"
	KeysWatch         Intent = "keys.watch"
	HistoryDiff       Intent = "history.diff"
	HistoryFurther    Intent = "history.further"
	WatchPause        Intent = "watch.pause"
	WatchSave         Intent = "watch.save"
	WatchClear        Intent = "watch.clear"
	KeysSearch        Intent = "keys.search"
	KeysSpace         Intent = "keys.space"
	SearchQuery       Intent = "search.query"
	SpaceScan         Intent = "space.scan"
	SpacePicture      Intent = "space.picture"
	SpaceInto         Intent = "space.into"
	SpaceUp           Intent = "space.up"
	UsersAsk          Intent = "users.ask"
	KeysPut           Intent = "keys.put"
	KeysEdit          Intent = "keys.edit"
	KeysDelete        Intent = "keys.delete"
	LeasesRevoke      Intent = "leases.revoke"
	OtherSide         Intent = "object.key" // from an object to its etcd key, and back
	CrossCheck        Intent = "object.cross-check"
)

// Intents of text and logs.
const (
	SearchNext     Intent = "text.search-next"
	SearchPrev     Intent = "text.search-prev"
	TextWrap       Intent = "text.wrap"
	LogsTail       Intent = "logs.tail"
	LogsHead       Intent = "logs.head"
	Logs1m         Intent = "logs.1m"
	Logs5m         Intent = "logs.5m"
	Logs15m        Intent = "logs.15m"
	Logs30m        Intent = "logs.30m"
	Logs1h         Intent = "logs.1h"
	LogsFollow     Intent = "logs.follow"
	LogsWrap       Intent = "logs.wrap"
	LogsTimestamps Intent = "logs.timestamps"
	LogsContainers Intent = "logs.all-containers"
	LogsMark       Intent = "logs.mark"
	LogsClear      Intent = "logs.clear"
)

// Intents of dialogs and of the prompt.
const (
	DialogConfirm  Intent = "dialog.confirm"
	DialogCancel   Intent = "dialog.cancel"
	DialogNext     Intent = "dialog.next"
	DialogChoose   Intent = "dialog.choose"
	DialogStop     Intent = "dialog.stop"
	DialogCopy     Intent = "dialog.copy"
	DialogUp       Intent = "dialog.up"
	DialogDown     Intent = "dialog.down"
	DialogPageUp   Intent = "dialog.page-up"
	DialogPageDown Intent = "dialog.page-down"
	PromptAccept   Intent = "prompt.accept"
	PromptCancel   Intent = "prompt.cancel"
	PromptComplete Intent = "prompt.complete"
	PromptPrev     Intent = "prompt.previous"
	PromptNext     Intent = "prompt.next"
)
