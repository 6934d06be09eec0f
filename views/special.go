package views

// specials are the views that are not one resource, in the order the palette shows them.
func specials() []special {
	return []special{
		{name: "overview", aliases: []string{"ov", "pulse", "pulses", "pu"}, help: "the condition of the cluster", wide: true, open: newOverview},
		{name: "members", aliases: []string{"etcd", "raft", "member"}, help: "etcd members and Raft", open: newMembers},
		{name: "findings", aliases: []string{"finding", "advisor", "wrong"}, help: "what is wrong with etcd, what it means and what to do", open: newFindings},
		{name: "keys", aliases: []string{"key"}, help: "etcd keys as a tree", open: newKeys},
		{name: "history", aliases: []string{"hist"}, help: "the revisions of an etcd key: history KEY", open: newHistory},
		{name: "watch", help: "changes of etcd keys as they come: watch KEY or PREFIX/", open: newKeyWatch},
		{name: "search", aliases: []string{"find"}, help: "look for etcd keys by name", open: newSearch},
		{name: "space", aliases: []string{"usage"}, help: "what fills etcd's database", open: newSpace},
		{name: "leases", aliases: []string{"lease", "ttl"}, help: "etcd's leases", open: newLeases},
		{name: "users", aliases: []string{"user", "roles", "auth"}, help: "etcd's users and roles", open: newUsers},
		{name: "consistency", aliases: []string{"hash", "checks"}, help: "whether etcd's members hold the same data and keep their promises", wide: true, open: newConsistency},
		{name: "backups", aliases: []string{"snapshots", "snapshot", "drill"}, help: "snapshots of etcd, and their drills", open: newBackups},
		{name: "placement", aliases: []string{"place", "pl"}, help: "pods on nodes, by zone", wide: true, open: newPlacement},
		{name: "contexts", aliases: []string{"ctx", "context"}, help: "contexts of the kubeconfig", open: newContexts},
		{name: "logs", object: true, open: newLogs},
		{name: "logs-previous", object: true, open: newLogs},
		{name: "yaml", object: true, open: newYAML},
		{name: "describe", object: true, open: newDescribe},
		{name: "backup", object: true, open: newBackup},
		{name: "value", object: true, open: newValue},
		{name: "diff", object: true, open: newDiff},
		{name: "lease-keys", object: true, open: newLease},
		{name: "crosscheck", object: true, open: newCrossCheck},
	}
}
