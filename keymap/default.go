package keymap

import "strconv"

// Default are fathom's bindings: the hand of k9s, with two deliberate deviations. ctrl+k deletes with confirmation like
// ctrl+d, and wherever a control key is taken by tmux or screen (ctrl+b, ctrl+a) there is another.
func Default() []Binding {
	in := func(s Scope, group string, bs ...Binding) []Binding {
		for i := range bs {
			bs[i].Scope, bs[i].Group = s, group
		}
		return bs
	}
	keys := func(k ...string) []string { return k }

	var out []Binding
	put := func(bs []Binding) { out = append(out, bs...) }

	put(in(Pods, "Pods",
		Binding{Keys: keys("l"), Intent: Logs, Help: "logs", Hint: true},
		Binding{Keys: keys("p"), Intent: LogsPrevious, Help: "logs of the previous run"},
		Binding{Keys: keys("o"), Intent: PodNode, Help: "go to the pod's node"},
		Binding{Keys: keys("ctrl+d", "ctrl+k"), Intent: PodsDelete, Help: "delete", Hint: true, Writes: true},
	))
	put(in(Workloads, "Workloads",
		Binding{Keys: keys("s"), Intent: WorkloadsScale, Help: "scale", Hint: true, Writes: true},
		Binding{Keys: keys("r"), Intent: WorkloadsRestart, Help: "restart", Hint: true, Writes: true},
	))
	put(in(Nodes, "Nodes",
		Binding{Keys: keys("c"), Intent: NodesCordon, Help: "cordon", Hint: true, Writes: true},
		Binding{Keys: keys("u"), Intent: NodesUncordon, Help: "uncordon", Hint: true, Writes: true},
		Binding{Keys: keys("C"), Intent: CopyName, Help: "copy the name"},
	))
	put(in(Members, "etcd members",
		Binding{Keys: keys("w"), Intent: MembersFindings, Help: "findings", Hint: true},
		Binding{Keys: keys("t"), Intent: MembersTimeline, Help: "terms and leaders", Hint: true},
		Binding{Keys: keys("m"), Intent: MembersMoveLeader, Help: "move leader here", Hint: true, Writes: true},
		Binding{Keys: keys("f"), Intent: MembersDefragment, Help: "defragment", Hint: true, Writes: true},
		Binding{Keys: keys("F"), Intent: EtcdDefragmentAll, Help: "defragment all members, one after the other", Writes: true},
		Binding{Keys: keys("c"), Intent: EtcdCompact, Help: "compact the history", Writes: true},
		Binding{Keys: keys("n"), Intent: EtcdRecover, Help: "recover from NOSPACE", Writes: true},
		Binding{Keys: keys("D"), Intent: EtcdDisarm, Help: "disarm alarms", Writes: true},
		Binding{Keys: keys("a"), Intent: EtcdAddLearner, Help: "add a member as learner", Writes: true},
		Binding{Keys: keys("p"), Intent: MembersPromote, Help: "promote a learner", Writes: true},
		Binding{Keys: keys("e"), Intent: MembersPeers, Help: "change the peer URLs", Writes: true},
		Binding{Keys: keys("ctrl+d", "ctrl+k"), Intent: MembersRemove, Help: "remove from the cluster", Writes: true},
	))
	put(in(Findings, "Findings",
		Binding{Keys: keys("o"), Intent: FindingsMember, Help: "go to the member", Hint: true},
	))
	put(in(Members, "etcd members",
		Binding{Keys: keys("H"), Intent: MembersCheck, Help: "whether they hold the same data"},
	))
	put(in(Checks, "Consistency",
		Binding{Keys: keys("H"), Intent: ChecksHash, Help: "compare what the members hold, or end that", Hint: true},
	))
	put(in(KeyTree, "etcd keys",
		Binding{Keys: keys("right", "l"), Intent: KeysExpand, Help: "expand", Hint: true},
		Binding{Keys: keys("left", "h"), Intent: KeysCollapse, Help: "collapse", Hint: true},
		Binding{Keys: keys("H"), Intent: KeysHistory, Help: "the key's history", Hint: true},
		Binding{Keys: keys("w"), Intent: KeysWatch, Help: "watch the key, or all below the prefix", Hint: true},
		Binding{Keys: keys("s"), Intent: KeysSearch, Help: "search below here", Hint: true},
		Binding{Keys: keys("u"), Intent: KeysSpace, Help: "what fills the space below here"},
		Binding{Keys: keys("K"), Intent: OtherSide, Help: "the key's object", Hint: true},
		Binding{Keys: keys("V"), Intent: CrossCheck, Help: "stored and served, compared"},
		Binding{Keys: keys("a"), Intent: KeysPut, Help: "make a key", Writes: true},
		Binding{Keys: keys("e"), Intent: KeysEdit, Help: "edit the value", Hint: true, Writes: true},
		Binding{Keys: keys("ctrl+d", "ctrl+k"), Intent: KeysDelete, Help: "delete the key", Writes: true},
	))
	put(in(Leases, "etcd leases",
		Binding{Keys: keys("ctrl+d", "ctrl+k"), Intent: LeasesRevoke, Help: "revoke the lease and delete its keys", Hint: true, Writes: true},
	))
	put(in(History, "History of a key",
		Binding{Keys: keys("d"), Intent: HistoryDiff, Help: "compare with the one before, or the two that are marked", Hint: true},
		Binding{Keys: keys("w"), Intent: KeysWatch, Help: "watch the key", Hint: true},
		Binding{Keys: keys("m"), Intent: HistoryFurther, Help: "look further back for earlier lives of the key"},
	))
	put(in(WatchView, "Watch of keys",
		Binding{Keys: keys("space"), Intent: WatchPause, Help: "pause, and go on", Hint: true},
		Binding{Keys: keys("s"), Intent: WatchSave, Help: "save to a file", Hint: true},
		Binding{Keys: keys("H"), Intent: KeysHistory, Help: "the key's history", Hint: true},
		Binding{Keys: keys("C"), Intent: WatchClear, Help: "clear"},
	))
	put(in(Search, "Search for keys",
		Binding{Keys: keys("e"), Intent: SearchQuery, Help: "change what is looked for", Hint: true},
		Binding{Keys: keys("c"), Intent: CopyName, Help: "copy the key"},
	))
	put(in(Space, "Space of etcd's database",
		Binding{Keys: keys("r"), Intent: SpaceScan, Help: "scan", Hint: true},
		Binding{Keys: keys("v"), Intent: SpacePicture, Help: "by prefix, resource, value, writes", Hint: true},
		Binding{Keys: keys("right", "l"), Intent: SpaceInto, Help: "a level deeper"},
		Binding{Keys: keys("left", "h"), Intent: SpaceUp, Help: "a level up", Hint: true},
	))
	put(in(Users, "etcd users and roles",
		Binding{Keys: keys("a"), Intent: UsersAsk, Help: "ask for them: raft proposals", Hint: true},
	))
	put(in(Backups, "Snapshots of etcd",
		Binding{Keys: keys("s"), Intent: MembersSnapshot, Help: "save a new snapshot", Hint: true, Writes: true},
		Binding{Keys: keys("d"), Intent: BackupsDrill, Help: "hold a restore drill", Hint: true},
		Binding{Keys: keys("v"), Intent: BackupsVerify, Help: "verify checksum and pages", Hint: true},
		Binding{Keys: keys("x"), Intent: BackupsGiveUp, Help: "give the drill up"},
	))
	put(in(Backup, "One snapshot",
		Binding{Keys: keys("d"), Intent: BackupsDrill, Help: "hold a restore drill", Hint: true},
		Binding{Keys: keys("v"), Intent: BackupsVerify, Help: "verify checksum and pages", Hint: true},
		Binding{Keys: keys("x"), Intent: BackupsGiveUp, Help: "give the drill up", Hint: true},
	))
	put(in(Value, "Value of a key",
		Binding{Keys: keys("x"), Intent: KeysReveal, Help: "reveal the next masked value for 30 s", Hint: true},
		Binding{Keys: keys("H"), Intent: KeysHistory, Help: "the key's history", Hint: true},
		Binding{Keys: keys("W"), Intent: KeysWatch, Help: "watch the key"},
		Binding{Keys: keys("e"), Intent: KeysEdit, Help: "edit the value", Hint: true, Writes: true},
		Binding{Keys: keys("ctrl+d", "ctrl+k"), Intent: KeysDelete, Help: "delete the key", Writes: true},
	))
	put(in(Objects, "Objects",
		Binding{Keys: keys("y"), Intent: YAML, Help: "YAML", Hint: true},
		Binding{Keys: keys("d"), Intent: Describe, Help: "describe", Hint: true},
		Binding{Keys: keys("K"), Intent: OtherSide, Help: "the object's etcd key"},
		Binding{Keys: keys("V"), Intent: CrossCheck, Help: "stored and served, compared"},
		Binding{Keys: keys("c"), Intent: CopyName, Help: "copy the name", Unless: []Scope{Nodes}},
	))
	put(in(Table, "Table",
		Binding{Keys: keys("enter"), Intent: Enter, Help: "open", Hint: true},
		Binding{Keys: keys("j", "down"), Intent: Down, Help: "down"},
		Binding{Keys: keys("k", "up"), Intent: Up, Help: "up"},
		Binding{Keys: keys("g", "home"), Intent: Top, Help: "first row"},
		Binding{Keys: keys("G", "end"), Intent: Bottom, Help: "last row"},
		Binding{Keys: keys("ctrl+f", "pgdown"), Intent: PageDown, Help: "page down"},
		Binding{Keys: keys("ctrl+b", "pgup"), Intent: PageUp, Help: "page up"},
		Binding{Keys: keys("left", "h"), Intent: ScrollLeft, Help: "columns to the left", Unless: []Scope{KeyTree, Space}},
		Binding{Keys: keys("right"), Intent: ScrollRight, Help: "columns to the right", Unless: []Scope{KeyTree, Space}},
		Binding{Keys: keys("space"), Intent: Mark, Help: "mark", Unless: []Scope{WatchView}},
		Binding{Keys: keys("ctrl+space"), Intent: MarkRange, Help: "mark from the last mark to here"},
		Binding{Keys: keys(`ctrl+\`), Intent: MarkClear, Help: "clear the marks"},
		Binding{Keys: keys("shift+right"), Intent: SortNext, Help: "sort by the next column"},
		Binding{Keys: keys("shift+left"), Intent: SortPrev, Help: "sort by the previous column"},
		Binding{Keys: keys("O"), Intent: SortReverse, Help: "reverse the order"},
		Binding{Keys: keys("N"), Intent: SortName, Help: "sort by name"},
		Binding{Keys: keys("A"), Intent: SortAge, Help: "sort by age"},
		Binding{Keys: keys("S"), Intent: SortStatus, Help: "sort by status"},
		Binding{Keys: keys("ctrl+w"), Intent: Wide, Help: "all columns"},
	))
	put(in(LogView, "Logs",
		Binding{Keys: keys("0"), Intent: LogsTail, Help: "from the tail"},
		Binding{Keys: keys("1"), Intent: LogsHead, Help: "from the head"},
		Binding{Keys: keys("2"), Intent: Logs1m, Help: "last minute"},
		Binding{Keys: keys("3"), Intent: Logs5m, Help: "last 5 minutes"},
		Binding{Keys: keys("4"), Intent: Logs15m, Help: "last 15 minutes"},
		Binding{Keys: keys("5"), Intent: Logs30m, Help: "last 30 minutes"},
		Binding{Keys: keys("6"), Intent: Logs1h, Help: "last hour"},
		Binding{Keys: keys("s"), Intent: LogsFollow, Help: "follow", Hint: true},
		Binding{Keys: keys("w"), Intent: LogsWrap, Help: "wrap", Hint: true},
		Binding{Keys: keys("t"), Intent: LogsTimestamps, Help: "timestamps", Hint: true},
		Binding{Keys: keys("a"), Intent: LogsContainers, Help: "all containers", Hint: true},
		Binding{Keys: keys("m"), Intent: LogsMark, Help: "draw a line here"},
		Binding{Keys: keys("C"), Intent: LogsClear, Help: "clear"},
	))
	put(in(TextView, "Text",
		Binding{Keys: keys("n"), Intent: SearchNext, Help: "next match", Hint: true},
		Binding{Keys: keys("N"), Intent: SearchPrev, Help: "previous match", Hint: true},
		Binding{Keys: keys("w"), Intent: TextWrap, Help: "wrap", Hint: true},
		Binding{Keys: keys("K"), Intent: OtherSide, Help: "the object's etcd key, and back"},
		Binding{Keys: keys("V"), Intent: CrossCheck, Help: "stored and served, compared"},
	))
	put(in(Scroll, "Scrolling",
		Binding{Keys: keys("j", "down"), Intent: Down, Help: "down"},
		Binding{Keys: keys("k", "up"), Intent: Up, Help: "up"},
		Binding{Keys: keys("g", "home"), Intent: Top, Help: "beginning"},
		Binding{Keys: keys("G", "end"), Intent: Bottom, Help: "end"},
		Binding{Keys: keys("ctrl+f", "pgdown", "space"), Intent: PageDown, Help: "page down"},
		Binding{Keys: keys("ctrl+b", "pgup"), Intent: PageUp, Help: "page up"},
		Binding{Keys: keys("left", "h"), Intent: ScrollLeft, Help: "to the left"},
		Binding{Keys: keys("right", "l"), Intent: ScrollRight, Help: "to the right"},
	))
	put(in(Global, "Everywhere",
		Binding{Keys: keys(":"), Intent: Command, Help: "command", Hint: true},
		Binding{Keys: keys("/"), Intent: Filter, Help: "filter", Hint: true},
		Binding{Keys: keys("?"), Intent: Help, Help: "help", Hint: true},
		Binding{Keys: keys("esc"), Intent: Back, Help: "clear the filter, the marks, or go back"},
		Binding{Keys: keys("q", "ctrl+c"), Intent: Quit, Help: "quit"},
		Binding{Keys: keys("["), Intent: HistoryBack, Help: "back in the history"},
		Binding{Keys: keys("]"), Intent: HistoryForward, Help: "forward in the history"},
		Binding{Keys: keys("-"), Intent: LastView, Help: "the last view"},
		Binding{Keys: keys("tab"), Intent: FocusNext, Help: "next pane"},
		Binding{Keys: keys("shift+tab"), Intent: FocusPrev, Help: "previous pane"},
		Binding{Keys: keys("|"), Intent: SplitRight, Help: "split side by side"},
		Binding{Keys: keys("_"), Intent: SplitDown, Help: "split one above the other"},
		Binding{Keys: keys("X"), Intent: CloseSplit, Help: "close the pane"},
		Binding{Keys: keys("z"), Intent: Zoom, Help: "the pane alone, and back"},
		Binding{Keys: keys("ctrl+r"), Intent: Refresh, Help: "reconnect and read again"},
		Binding{Keys: keys("!"), Intent: Aside, Help: "show the operation that is under way"},
		Binding{Keys: keys("ctrl+l"), Intent: Redraw, Help: "redraw the screen"},
		Binding{Keys: keys("ctrl+z"), Intent: Suspend, Help: "suspend fathom"},
	))
	put(in(Global, "Namespaces", namespaceKeys()...))
	put(in(Prompt, "Command and filter line",
		Binding{Keys: keys("enter"), Intent: PromptAccept, Help: "accept"},
		Binding{Keys: keys("esc"), Intent: PromptCancel, Help: "cancel"},
		Binding{Keys: keys("tab"), Intent: PromptComplete, Help: "complete"},
		Binding{Keys: keys("up"), Intent: PromptPrev, Help: "earlier line"},
		Binding{Keys: keys("down"), Intent: PromptNext, Help: "later line"},
	))
	put(in(Dialog, "Confirmation",
		Binding{Keys: keys("y"), Intent: DialogConfirm, Help: "do it"},
		Binding{Keys: keys("esc", "n", "q"), Intent: DialogCancel, Help: "do nothing"},
		Binding{Keys: keys("tab", "shift+tab", "left", "right"), Intent: DialogNext, Help: "the other button"},
		Binding{Keys: keys("enter"), Intent: DialogChoose, Help: "press the button"},
		Binding{Keys: keys("s"), Intent: DialogStop, Help: "stop after the step that is under way"},
		Binding{Keys: keys("c"), Intent: DialogCopy, Help: "copy what is shown for it"},
		Binding{Keys: keys("up", "k"), Intent: DialogUp, Help: "up"},
		Binding{Keys: keys("down", "j"), Intent: DialogDown, Help: "down"},
		Binding{Keys: keys("pgup"), Intent: DialogPageUp, Help: "page up"},
		Binding{Keys: keys("pgdown"), Intent: DialogPageDown, Help: "page down"},
	))
	return out
}

// namespaceKeys are 0 for all namespaces and 1 to 9 for favourites; in logs the digits are time ranges.
func namespaceKeys() []Binding {
	unless := []Scope{LogView}
	out := []Binding{{Keys: []string{"0"}, Intent: AllNamespaces, Help: "all namespaces", Unless: unless}}
	for i := 1; i <= 9; i++ {
		n := strconv.Itoa(i)
		out = append(out, Binding{Keys: []string{n}, Intent: Intent(NamespacePrefix + n), Help: "favourite namespace " + n, Unless: unless})
	}
	return out
}

// NewDefault is the map of [Default] over [Stacks].
func NewDefault() (*Map, error) { return New(Default(), Stacks()...) }
