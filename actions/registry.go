package actions

// All returns every action fathom has, in the order menus show them. The slice is the caller's.
func All() []Action {
	return []Action{
		deletePod(), scale(), restart(), cordon(), uncordon(),
		moveLeader(), defragment(), promote(), removeMember(), updatePeers(),
		defragmentAll(healthWait), compact(), recoverNospace(healthWait), disarm(), addLearner(),
		saveSnapshot(),
		putKey(), editKey(), deleteKey(), revokeLease(),
	}
}

// For returns the actions that apply to a plural resource name ("pods"; "members" for etcd).
func For(resource string) []Action {
	var out []Action
	for _, a := range All() {
		if a.Applies(resource) {
			out = append(out, a)
		}
	}
	return out
}

// Lookup finds an action by its ID.
func Lookup(id string) (Action, bool) {
	for _, a := range All() {
		if a.ID == id {
			return a, true
		}
	}
	return Action{}, false
}
