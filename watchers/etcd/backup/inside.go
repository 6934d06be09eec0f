// Package backup looks after snapshots of etcd: what is in a folder of them, what is inside one, and whether one can be restored. A snapshot is
// saved by the action members.snapshot (package actions), because every Secret leaves the cluster with it.
//
// A damaged database can make those who read it panic, or fault on a page that is not there. Therefore everything that opens one, restores one or
// serves one runs in a child process of fathom (package worker), which a damaged file may end without harm.
package backup

import "time"

// Inside is what a snapshot holds, as etcd's own library and a pass over its database say.
type Inside struct {
	Hash            uint32   `json:"hash"`     // CRC-32C over all buckets, as etcdutl snapshot status prints it
	Revision        int64    `json:"revision"` // the newest one
	TotalKey        int      `json:"totalKey"` // as etcdutl counts: since 3.7 the keys that exist
	TotalSize       int64    `json:"totalSize"`
	StorageVersion  string   `json:"storageVersion,omitempty"` // empty before etcd 3.6
	Keys            int64    `json:"keys"`                     // keys that exist at Revision
	Revisions       int64    `json:"revisions"`                // stored revisions of keys, tombstones included
	CompactRevision int64    `json:"compactRevision"`          // history begins after it; 0: never compacted
	HashKV          uint32   `json:"hashKV"`                   // what etcd's HashKV says of Revision
	Members         []Member `json:"members,omitempty"`        // of the cluster that it was taken from
	Auth            bool     `json:"auth"`                     // authentication is on
	// Sample are up to [SampleSize] keys that exist at Revision, chosen evenly by a hash of their names; a key may be any bytes.
	Sample [][]byte `json:"sample,omitempty"`
}

// At is the revision that a member restored from it begins at: that of an etcd without a key is 1, and a compaction may have removed the last.
func (in *Inside) At() int64 { return max(in.Revision, in.CompactRevision, 1) }

// Member is a member of the cluster that a snapshot was taken from.
type Member struct {
	ID   string `json:"id"`   // in hex, as etcdctl prints it
	Name string `json:"name"` // untrusted text
}

// SampleSize is how many objects a drill compares.
const SampleSize = 256

// Brief is what the end of the database tells without reading it all.
type Brief struct {
	Revision       int64  `json:"revision"`
	StorageVersion string `json:"storageVersion,omitempty"`
}

// What is asked of a worker, one line of JSON on its standard input.
const (
	OpBrief   = "brief"   // Brief of each of Files
	OpInspect = "inspect" // Inside of File
	OpDrill   = "drill"   // Inside, then restore File into Dir and serve it until the input ends
)

// Request is what a worker is asked.
type Request struct {
	Op    string   `json:"op"`
	File  string   `json:"file,omitempty"`
	Files []string `json:"files,omitempty"`
	// Dir is the scratch folder of a drill. The worker removes it when it ends, also when its parent is gone.
	Dir string `json:"dir,omitempty"`
	// Cert, Key and CA are those of the throw-away member: files within Dir.
	Cert, Key, CA string `json:",omitempty"`
}

// Reply is a line of what a worker answers.
type Reply struct {
	File     string        `json:"file,omitempty"` // of a Brief
	Brief    *Brief        `json:"brief,omitempty"`
	Inside   *Inside       `json:"inside,omitempty"`
	Restored time.Duration `json:"restored,omitempty"` // how long the restore took, in nanoseconds
	Version  string        `json:"version,omitempty"`  // of the etcd that restored it
	URL      string        `json:"url,omitempty"`      // the throw-away member serves here
	Err      string        `json:"err,omitempty"`      // of this step; nothing follows but, for OpBrief, the other files
}
