package worker

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/maphash"
	"slices"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"fathom/watchers/etcd/backup"
)

// lockTimeout bounds the waiting for the lock of a file that somebody else has open for writing: a member's own database.
const lockTimeout = 5 * time.Second

func view(file string, fn func(*bolt.Tx) error) error {
	db, err := bolt.Open(file, 0o400, &bolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return errors.New("it is locked by a process that writes to it: a running etcd's own database?")
	}
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer db.Close()
	return db.View(fn)
}

// brief reads the last revision and the storage version, at the cost of a few pages.
func brief(file string) (b backup.Brief, err error) {
	err = view(file, func(tx *bolt.Tx) error {
		keys := tx.Bucket(schema.Key.Name())
		if keys == nil {
			return errors.New("the database has no bucket of keys: it is not etcd's")
		}
		if k, _ := keys.Cursor().Last(); k != nil {
			r, ok := parseRevision(k)
			if !ok {
				return fmt.Errorf("the last revision is damaged: %x", k)
			}
			b.Revision = r.main
		}
		if v := schema.ReadStorageVersionFromSnapshot(tx); v != nil {
			b.StorageVersion = v.String()
		}
		return nil
	})
	return b, err
}

// inspect reads all of a snapshot: once as etcdutl does, with the check of every page, and once for what that does not tell.
func inspect(file string) (in backup.Inside, err error) {
	st, err := snapshot.NewV3(zap.NewNop()).Status(file)
	if err != nil {
		return in, fmt.Errorf("etcd's check of the database: %w", err)
	}
	in.Hash, in.Revision, in.TotalKey, in.TotalSize, in.StorageVersion = st.Hash, st.Revision, st.TotalKey, st.TotalSize, st.Version
	err = view(file, func(tx *bolt.Tx) error {
		// A compaction that was under way goes on in a restored member.
		in.CompactRevision = max(metaRevision(tx, schema.FinishedCompactKeyName), metaRevision(tx, schema.ScheduledCompactKeyName))
		in.Members = members(tx)
		if b := tx.Bucket(schema.Auth.Name()); b != nil {
			in.Auth = bytes.Equal(b.Get(schema.AuthEnabledKeyName), []byte{1})
		}
		return keys(tx, &in)
	})
	return in, err
}

// keys goes over all revisions of all keys, twice: what exists at the end decides what the hash is of.
func keys(tx *bolt.Tx, in *backup.Inside) error {
	b := tx.Bucket(schema.Key.Name())
	if b == nil {
		return errors.New("the database has no bucket of keys: it is not etcd's")
	}
	seed := maphash.MakeSeed()
	alive := map[uint64]revision{} // by a hash of the key, its newest revision: a million keys fit in some 60 MB
	var kv mvccpb.KeyValue
	err := b.ForEach(func(k, v []byte) error {
		r, ok := parseRevision(k)
		if !ok {
			return fmt.Errorf("a revision is damaged: %x", k)
		}
		kv.Reset()
		if err := proto.Unmarshal(v, &kv); err != nil {
			return fmt.Errorf("the key of revision %d is damaged: %w", r.main, err)
		}
		in.Revisions++
		if id := maphash.Bytes(seed, kv.Key); r.tombstone {
			delete(alive, id)
		} else {
			alive[id] = r
		}
		return nil
	})
	if err != nil {
		return err
	}
	in.Keys = int64(len(alive))
	keep, wanted := map[revision]bool{}, map[revision]bool{}
	for _, r := range alive {
		keep[r] = true
	}
	for _, id := range smallest(alive) {
		wanted[alive[id]] = true
	}
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	_, _ = h.Write(schema.Key.Name())
	in.HashKV = h.Sum32()
	return b.ForEach(func(k, v []byte) error {
		r, _ := parseRevision(k)
		if hashed(r, in.CompactRevision, keep) {
			_, _ = h.Write(k)
			_, _ = h.Write(v)
			in.HashKV = h.Sum32() // it costs nothing: a CRC is its own sum
		}
		if wanted[r] {
			kv.Reset()
			if err := proto.Unmarshal(v, &kv); err != nil {
				return err
			}
			in.Sample = append(in.Sample, bytes.Clone(kv.Key))
		}
		return nil
	})
}

// hashed reports whether HashKV of the newest revision counts a revision (etcd server/storage/mvcc/hash.go): of what was compacted only what still
// exists, whether the rest was removed from the disk already or not.
func hashed(r revision, compacted int64, keep map[revision]bool) bool {
	if r.main <= compacted && len(keep) > 0 && !keep[r] {
		return false
	}
	return r.main != compacted || !r.tombstone
}

// smallest are the keys of the sample: those whose hashes are the smallest, which is a fair choice.
func smallest(alive map[uint64]revision) []uint64 {
	ids := make([]uint64, 0, len(alive))
	for id := range alive {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids[:min(len(ids), backup.SampleSize)]
}

// revision is the key of the bucket of keys (etcd server/storage/mvcc/revision.go): two numbers of eight bytes, big-endian, with "_" between
// them and "t" behind a tombstone's.
type revision struct {
	main, sub int64
	tombstone bool
}

func parseRevision(k []byte) (r revision, ok bool) {
	const plain, marked = 8 + 1 + 8, 8 + 1 + 8 + 1
	if len(k) != plain && len(k) != marked || k[8] != '_' || len(k) == marked && k[plain] != 't' {
		return r, false
	}
	r.main, r.sub = int64(binary.BigEndian.Uint64(k)), int64(binary.BigEndian.Uint64(k[9:]))
	r.tombstone = len(k) == marked
	return r, true
}

// metaRevision is a revision of the meta bucket; 0: none.
func metaRevision(tx *bolt.Tx, name []byte) int64 {
	if b := tx.Bucket(schema.Meta.Name()); b != nil {
		if r, ok := parseRevision(b.Get(name)); ok {
			return r.main
		}
	}
	return 0
}

// members are those of the cluster that the snapshot was taken from.
func members(tx *bolt.Tx) []backup.Member {
	b := tx.Bucket(schema.Members.Name())
	if b == nil {
		return nil
	}
	var out []backup.Member
	_ = b.ForEach(func(k, v []byte) error {
		id, err := strconv.ParseUint(string(k), 16, 64)
		if err != nil { // it is the ID in hex
			return nil // what is not understood is left out
		}
		var m struct {
			Name string `json:"name"`
		}
		_ = json.Unmarshal(v, &m) // the name is for people
		out = append(out, backup.Member{ID: strconv.FormatUint(id, 16), Name: m.Name})
		return nil
	})
	return out
}
