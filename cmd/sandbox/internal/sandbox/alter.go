package sandbox

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// revisionBytes is the length of a key of etcd's bucket of revisions; that of a
// tombstone has a mark behind it (server/storage/mvcc/revision.go).
const revisionBytes = 17

// alterNewest flips a bit of the newest value in the database file of a dead
// member and returns whose value it was. The revision stays, and so does
// everything that etcd looks at when it starts.
func alterNewest(path string) (key string, err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 10 * time.Second})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("key"))
		if b == nil {
			return errors.New("it has no bucket of revisions")
		}
		c := b.Cursor()
		for k, v := c.Last(); k != nil; k, v = c.Prev() {
			var kv mvccpb.KeyValue
			if len(k) != revisionBytes || kv.Unmarshal(v) != nil || len(kv.Value) == 0 {
				continue
			}
			kv.Value[len(kv.Value)-1] ^= 1
			altered, err := kv.Marshal()
			if err != nil {
				return err
			}
			key = string(kv.Key)
			return b.Put(append([]byte(nil), k...), altered)
		}
		return errors.New("it holds no value")
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}
