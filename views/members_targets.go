package views

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"fathom/actions"
	"fathom/watchers/etcd"
)

// single are the actions that make sense for one member at a time only: each changes what the next would be judged by.
var single = map[string]string{
	"members.move-leader":  "only one member can lead",
	"members.promote":      "learners are promoted one at a time",
	"members.remove":       "members are removed one at a time",
	"members.update-peers": "each member has peer URLs of its own",
}

// memberTarget identifies a member for the write side.
func memberTarget(m *etcd.MemberRow) actions.Target {
	return actions.Target{
		Kind: "Member", Resource: "members", Name: m.GetName(), Member: m.MemberID, UID: m.ID(), Endpoint: m.Endpoint,
		Detail: map[string]string{
			"leader": fmt.Sprint(m.Role == etcd.Leader), "dbSize": fmt.Sprint(m.DBSize), "dbSizeInUse": fmt.Sprint(m.DBSizeInUse),
			"peerURLs": strings.Join(m.PeerURLs, ","),
		},
	}
}

// clusterTarget identifies the etcd cluster as a whole for the write side. Its name is what has to be typed for what cannot be undone:
// the cluster's name where it has one, else "etcd".
func clusterTarget(name string, s *etcd.Snapshot) ([]actions.Target, string) {
	if s.ClusterID == 0 {
		return nil, "it is not known yet which etcd cluster this is: no member has answered"
	}
	t := actions.Target{
		Kind: "Etcd", Resource: "etcd", Name: name, UID: fmt.Sprintf("%x", s.ClusterID),
		Detail: map[string]string{"nextName": nextName(s.Members)},
	}
	if t.Name == "" {
		t.Name = "etcd"
	}
	var rev int64
	for _, m := range s.Members {
		rev = max(rev, m.Revision)
		if m.Reachable && (t.Endpoint == "" || m.Role == etcd.Leader) {
			t.Endpoint = m.Endpoint
		}
	}
	t.Detail["revision"] = strconv.FormatInt(rev, 10)
	return []actions.Target{t}, ""
}

var numbered = regexp.MustCompile(`^(.*?)(\d+)$`)

// nextName is a name for one more member: where the members are numbered, the number after the highest.
func nextName(members []*etcd.MemberRow) string {
	prefix, highest := "", 0
	for _, m := range members {
		p := numbered.FindStringSubmatch(m.Name)
		if p == nil || prefix != "" && p[1] != prefix {
			continue
		}
		n, err := strconv.Atoi(p[2])
		if err == nil && n >= highest {
			prefix, highest = p[1], n
		}
	}
	if prefix == "" {
		return "NAME"
	}
	return prefix + strconv.Itoa(highest+1)
}
