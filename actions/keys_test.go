package actions

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// keyTarget is the target of a key as it is; nil: of one that does not exist.
func keyTarget(key string, kv *mvccpb.KeyValue) Target {
	t := Target{Kind: "Key", Resource: "keys", Name: key, UID: key, ResourceVersion: absent}
	if kv != nil {
		t.ResourceVersion = fmt.Sprint(kv.ModRevision)
		t.Detail = map[string]string{detailVersion: fmt.Sprint(kv.Version)}
	}
	return t
}

func leaseTarget(id int64) Target {
	return Target{Kind: "Lease", Resource: "leases", Name: fmt.Sprintf("%x", id), UID: fmt.Sprintf("%x", id)}
}

func TestPutEditDeleteKey(t *testing.T) {
	etcd := newFakeKeys(t, 3)
	r := newRig(t, servers{etcd: etcd})
	target := keyTarget("/config/ui", nil)
	wantContains(t, r.preview("keys.put", "secret-value", target), "Key /config/ui will be made", "12 B", "without a lease")
	if o := r.act("keys.put", "secret-value", target); o.Status != Done {
		t.Fatalf("put: %+v", o)
	}
	kv := etcd.kv.get("/config/ui")
	if kv == nil || string(kv.Value) != "secret-value" {
		t.Fatalf("put: %+v", kv)
	}
	if o := r.act("keys.put", "x", target); o.Status != Conflict || !strings.Contains(o.Message, "exists already") {
		t.Errorf("put on a key that exists: %+v", o)
	}
	etcd.kv.set("/config/ui", "secret-value", 0x77)
	target = keyTarget("/config/ui", etcd.kv.get("/config/ui"))
	wantContains(t, r.preview("keys.edit", "new", target), "12 B now, 3 B then", "written 2 times", "keeps its lease 77")
	if o := r.act("keys.edit", "new", target); o.Status != Done || !strings.Contains(o.Message, "keeps lease 77") {
		t.Fatalf("edit: %+v", o)
	}
	if kv = etcd.kv.get("/config/ui"); string(kv.Value) != "new" || kv.Lease != 0x77 || kv.Version != 3 {
		t.Errorf("edit: %+v", kv)
	}
	target = keyTarget("/config/ui", kv)
	wantContains(t, r.preview("keys.delete", "", target), "will be deleted", "written 3 times")
	if o := r.act("keys.delete", "", target); o.Status != Done || etcd.kv.get("/config/ui") != nil {
		t.Fatalf("delete: %+v", o)
	}
	for _, txn := range etcd.kv.txns {
		if len(txn.Compare) != 1 || txn.Compare[0].Target != pb.Compare_MOD || len(txn.Success) != 1 {
			t.Errorf("sent %v, want one operation under one comparison of the mod revision", txn)
		}
	}
	r.journalled()
	wantContains(t, r.journalText(), `"name":"/config/ui"`, `"resource":"keys"`, `12 bytes, SHA-256 `, `"verb":"txn"`)
	if strings.Contains(r.journalText(), "secret-value") {
		t.Error("the journal holds the value")
	}
}

// Of keys that are no text the journal still tells which one was written.
func TestJournalOfABinaryKey(t *testing.T) {
	etcd := newFakeKeys(t, 1)
	r := newRig(t, servers{etcd: etcd})
	for _, key := range []string{"/a\xfe", "/a\xff"} {
		if o := r.act("keys.put", "v", keyTarget(key, nil)); o.Status != Failed && o.Status != Done {
			t.Fatalf("%+v", o)
		}
	}
	r.journalled()
	wantContains(t, r.journalText(), `"name":"\"/a\\xfe\""`, `"name":"\"/a\\xff\""`)
}

// A value that a server with a raised --max-request-bytes has taken is more than gRPC takes in an answer unasked.
func TestLargeValue(t *testing.T) {
	etcd := newFakeKeys(t, 1)
	r := newRig(t, servers{etcd: etcd})
	target := etcd.kv.set("/large", strings.Repeat("x", 5<<20), 0)
	wantContains(t, r.preview("keys.edit", "new", target), "5 MiB now, 3 B then")
	if o := r.act("keys.edit", "new", target); o.Status != Done {
		t.Fatalf("edit: %s: %.300s", o.Status, o.Message)
	}
}

// Whatever became of the key between the reading and the yes, nothing is overwritten.
func TestKeyChangedMeanwhile(t *testing.T) {
	for _, id := range []string{"keys.edit", "keys.delete"} {
		for name, change := range map[string]func(*fakeKV){
			"changed":   func(f *fakeKV) { f.set("/a", "theirs", 0) },
			"deleted":   func(f *fakeKV) { f.remove("/a") },
			"recreated": func(f *fakeKV) { f.remove("/a"); f.set("/a", "theirs", 0) },
		} {
			for _, late := range []bool{false, true} { // seen by fathom's own read, or by etcd's comparison only
				etcd := newFakeKeys(t, 1)
				r := newRig(t, servers{etcd: etcd})
				target := etcd.kv.set("/a", "was", 0)
				if late {
					etcd.kv.onTxn = func() error { change(&etcd.kv); return nil }
				} else {
					change(&etcd.kv)
					var refusal *Refusal
					if _, err := r.Preview(t.Context(), r.action(id), target, "ours"); !errors.As(err, &refusal) {
						t.Errorf("%s, %s: preview %v", id, name, err)
					}
				}
				if o := r.act(id, valueFor(r.action(id), "ours"), target); o.Status != Conflict || !strings.Contains(o.Message, "nothing was") {
					t.Errorf("%s, %s, late %v: %+v", id, name, late, o)
				}
				if kv := etcd.kv.get("/a"); kv != nil && string(kv.Value) != "theirs" {
					t.Errorf("%s, %s, late %v: it is %q now", id, name, late, kv.Value)
				}
			}
		}
	}
}

func valueFor(a Action, s string) string {
	if a.Input == nil {
		return ""
	}
	return s
}

// An answer that was lost is looked for, and never asked for again.
func TestKeyAnswerLost(t *testing.T) {
	lost := func() error { return status.Error(codes.Unavailable, "transport is closing") }
	for _, tc := range []struct {
		name, id string
		before   func(*fakeKV) error // the transaction
		after    func() error
		absent   bool
		want     Status
		text     string
	}{
		{name: "put, done", id: "keys.put", absent: true, after: lost, want: Done, text: "holds this value"},
		{name: "put, not done", id: "keys.put", absent: true, before: func(*fakeKV) error { return lost() }, want: Unknown, text: "does not exist"},
		{name: "put, another's", id: "keys.put", absent: true, before: func(f *fakeKV) error { f.set("/a", "theirs", 0); return lost() }, want: Failed, text: "somebody else"},
		{name: "edit, done", id: "keys.edit", after: lost, want: Done, text: "holds this value"},
		{name: "edit, not done", id: "keys.edit", before: func(*fakeKV) error { return lost() }, want: Unknown, text: "as it was"},
		{name: "edit, another's", id: "keys.edit", before: func(f *fakeKV) error { f.set("/a", "theirs", 0); return lost() }, want: Failed, text: "somebody else"},
		{name: "edit, two others", id: "keys.edit", before: func(f *fakeKV) error { f.set("/a", "theirs", 0); f.set("/a", "again", 0); return lost() }, want: Unknown, text: "more than once"},
		{name: "edit, gone", id: "keys.edit", before: func(f *fakeKV) error { f.remove("/a"); return lost() }, want: Unknown, text: "gone"},
		{name: "delete, done", id: "keys.delete", after: lost, want: Done, text: "is gone"},
		{name: "delete, not done", id: "keys.delete", before: func(*fakeKV) error { return lost() }, want: Unknown, text: "as it was"},
		{name: "delete, written", id: "keys.delete", before: func(f *fakeKV) error { f.set("/a", "theirs", 0); return lost() }, want: Failed, text: "somebody else"},
		{name: "delete, made again", id: "keys.delete", before: func(f *fakeKV) error { f.remove("/a"); f.set("/a", "theirs", 0); return lost() }, want: Unknown, text: "made again"},
		{name: "no space", id: "keys.edit", before: func(*fakeKV) error { return rpctypes.ErrGRPCNoSpace }, want: Failed, text: "space"},
		{name: "not permitted", id: "keys.edit", before: func(*fakeKV) error { return rpctypes.ErrGRPCPermissionDenied }, want: Denied, text: "does not allow"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			etcd := newFakeKeys(t, 1)
			r := newRig(t, servers{etcd: etcd})
			target := keyTarget("/a", nil)
			if !tc.absent {
				target = etcd.kv.set("/a", "was", 0)
			}
			if tc.before != nil {
				etcd.kv.onTxn = func() error { return tc.before(&etcd.kv) }
			}
			etcd.kv.afterTxn = tc.after
			o := r.act(tc.id, valueFor(r.action(tc.id), "ours"), target)
			if o.Status != tc.want {
				t.Errorf("outcome %s: %s; want %s", o.Status, o.Message, tc.want)
			}
			wantContains(t, o.Message, tc.text)
			if m := etcd.mutations(); len(m) != 1 {
				t.Errorf("sent %v, want one transaction", m)
			}
		})
	}
}

func TestKeysOfKubernetes(t *testing.T) {
	etcd := newFakeKeys(t, 1)
	r := newRig(t, servers{etcd: etcd})
	pod := etcd.kv.set("/registry/pods/shop/web", "was", 0)
	other := etcd.kv.set("/registryish", "was", 0)
	compact := etcd.kv.set("compact_rev_key", "7", 0)
	for _, c := range []struct {
		id     string
		target Target
		want   Risk
	}{
		{"keys.put", keyTarget("/registry/x", nil), Critical}, {"keys.put", keyTarget("/x", nil), Destructive},
		{"keys.edit", pod, Critical}, {"keys.edit", other, Destructive}, {"keys.edit", compact, Critical},
		{"keys.delete", pod, Critical}, {"keys.delete", other, Critical}, {"pods.delete", pod, Destructive},
	} {
		if got := r.Risk(r.action(c.id), c.target); got != c.want {
			t.Errorf("%s on %s is %s, want %s", c.id, c.target, got, c.want)
		}
	}
	wantContains(t, r.preview("keys.edit", "new", pod), "past the API server", "no admission, no validation", "cannot decode")
	wantContains(t, r.preview("keys.delete", "", pod), "No finalizer runs")
	wantContains(t, r.preview("keys.delete", "", compact), "compacted")
	if s := r.preview("keys.edit", "new", other); strings.Contains(s, "API server") {
		t.Errorf("%s is said to be Kubernetes': %s", other, s)
	}
	secret := etcd.kv.set("/registry/secrets/shop/db", "was", 0)
	if o := r.act("keys.edit", "hunter2", secret); o.Status != Done {
		t.Fatalf("%+v", o)
	}
	wantContains(t, r.journalText(), `"fathom/input":"7 bytes"`)
}

// Without a quorum nothing is sent, and the dialog says why.
func TestKeysWithoutAQuorum(t *testing.T) {
	etcd := newFakeKeys(t, 3)
	r := newRig(t, servers{etcd: etcd})
	target := etcd.kv.set("/a", "was", 5)
	etcd.kv.refuse = rpctypes.ErrGRPCNoLeader
	for _, id := range []string{"keys.put", "keys.edit", "keys.delete", "leases.revoke"} {
		tt := target
		switch id {
		case "keys.put":
			tt = keyTarget("/b", nil)
		case "leases.revoke":
			tt = leaseTarget(5)
		}
		var refusal *Refusal
		if _, err := r.Preview(t.Context(), r.action(id), tt, "x"); !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, "no leader") {
			t.Errorf("%s: preview %v", id, err)
		}
		if o := r.act(id, valueFor(r.action(id), "x"), tt); o.Status != Refused {
			t.Errorf("%s: %+v", id, o)
		}
	}
	if m := etcd.mutations(); len(m) != 0 {
		t.Errorf("sent %v", m)
	}
}

func TestRevokeLease(t *testing.T) {
	etcd := newFakeKeys(t, 3)
	r := newRig(t, servers{etcd: etcd})
	for i := range 12 {
		etcd.kv.set(fmt.Sprintf("/locks/%02d", i), "x", 0xbeef)
	}
	etcd.kv.set("/registry/events/shop/e", "x", 0xbeef)
	etcd.kv.set("/other", "x", 0)
	s := r.preview("leases.revoke", "", leaseTarget(0xbeef))
	wantContains(t, s, "lease beef", "13 keys", "/locks/00", "/locks/07", "and 5 more", "Of Kubernetes itself: 1 key, gone beneath the API server")
	if strings.Contains(s, "/locks/08") {
		t.Errorf("more keys are named than fit: %s", s)
	}
	o := r.act("leases.revoke", "", leaseTarget(0xbeef))
	if o.Status != Done || etcd.kv.get("/locks/00") != nil || etcd.kv.get("/other") == nil {
		t.Errorf("%+v", o)
	}
	if o = r.act("leases.revoke", "", leaseTarget(0xbeef)); o.Status != Conflict {
		t.Errorf("once more: %+v", o)
	}
	etcd.kv.set("/b", "x", 0xcafe)
	etcd.kv.afterTxn = func() error { return status.Error(codes.Unavailable, "transport is closing") }
	if o = r.act("leases.revoke", "", leaseTarget(0xcafe)); o.Status != Done || !strings.Contains(o.Message, "is gone") {
		t.Errorf("the answer was lost: %+v", o)
	}
	if m := etcd.mutations(); len(m) != 2 {
		t.Errorf("sent %v", m)
	}
}
