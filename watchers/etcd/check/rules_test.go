package check

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

var t0 = time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)

func put(key string, rev, create, version, before int64) *mvccpb.Event {
	e := &mvccpb.Event{Type: mvccpb.Event_PUT, Kv: &mvccpb.KeyValue{Key: []byte(key), ModRevision: rev, CreateRevision: create, Version: version, Value: []byte("hidden")}}
	if before > 0 {
		e.PrevKv = &mvccpb.KeyValue{Key: []byte(key), ModRevision: before, CreateRevision: create, Version: version - 1, Value: []byte("hidden")}
	}
	return e
}

func del(key string, rev, before int64) *mvccpb.Event {
	e := &mvccpb.Event{Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: []byte(key), ModRevision: rev}}
	if before > 0 {
		e.PrevKv = &mvccpb.KeyValue{Key: []byte(key), ModRevision: before, CreateRevision: 1, Version: 1}
	}
	return e
}

func events(es ...*mvccpb.Event) *pb.WatchResponse {
	return &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: es[len(es)-1].Kv.ModRevision}, Events: es}
}

func progress(rev int64) *pb.WatchResponse {
	return &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: rev}, WatchId: -1}
}

func fragment(r *pb.WatchResponse) *pb.WatchResponse { r.Fragment = true; return r }

func TestRules(t *testing.T) {
	created := &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: 10}, Created: true}
	fine := []*pb.WatchResponse{
		created,
		events(put("a", 11, 5, 3, 7)),
		events(put("a", 12, 5, 4, 11), put("b", 12, 12, 1, 0)), // a transaction
		progress(13),
		events(del("b", 14, 12), put("a", 15, 5, 5, 12)),
		events(put("b", 16, 16, 1, 0)),
		fragment(events(put("a", 17, 5, 6, 15))), events(put("b", 17, 16, 2, 16)),
		events(put("c", 18, 3, 9, 4)),
	}
	for name, c := range map[string]struct {
		then []*pb.WatchResponse
		want []Rule
	}{
		"all is well":                       {nil, nil},
		"an older event":                    {[]*pb.WatchResponse{events(put("d", 16, 3, 2, 5))}, []Rule{Ordered}},
		"one transaction in two answers":    {[]*pb.WatchResponse{events(put("d", 18, 18, 1, 0))}, []Rule{Whole}},
		"the same event again":              {[]*pb.WatchResponse{events(put("c", 18, 3, 9, 4))}, []Rule{Whole, Once}},
		"an event that was told to be over": {[]*pb.WatchResponse{progress(25), events(put("d", 24, 24, 1, 0))}, []Rule{Progress}},
		"a value before that is newer":      {[]*pb.WatchResponse{events(put("d", 20, 3, 2, 21))}, []Rule{Previous}},
		"a creation with a value before":    {[]*pb.WatchResponse{events(put("d", 20, 20, 1, 3))}, []Rule{Previous}},
		"a first version, created earlier":  {[]*pb.WatchResponse{events(put("d", 20, 19, 1, 19))}, []Rule{Created}},
		"a change was left out":             {[]*pb.WatchResponse{events(put("a", 20, 5, 8, 19))}, []Rule{Reliable}},
		"a deletion was left out":           {[]*pb.WatchResponse{events(put("a", 20, 20, 1, 0))}, []Rule{Reliable}},
		"a creation was left out":           {[]*pb.WatchResponse{events(del("a", 19, 17)), events(put("a", 22, 21, 2, 21))}, []Rule{Reliable}},
		"two versions at once":              {[]*pb.WatchResponse{events(put("d", 20, 3, 5, 6)), events(del("e", 21, 22))}, []Rule{Previous}},
	} {
		t.Run(name, func(t *testing.T) {
			var counts [numRules]uint64
			s := newStream(0xa, "etcd-1", &counts)
			var got []Rule
			var last Breach
			for i, r := range append(slices.Clone(fine), c.then...) {
				bs, suspects := s.take(t0.Add(time.Duration(i)*time.Second), r)
				if len(suspects) > 0 {
					t.Errorf("answer %d: suspected %+v", i, suspects)
				}
				for _, b := range bs {
					got = append(got, b.Rule)
					last = b
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v: %s", got, c.want, last.Text)
			}
			if text := last.Text + strings.Join(last.Evidence, "\n"); strings.Contains(text, "hidden") || len(got) > 0 && len(last.Evidence) < 5 {
				t.Errorf("the evidence: %s", text)
			}
			for r := range numRules {
				if counts[r] == 0 && r != Progress {
					t.Errorf("rule %s was never checked", r)
				}
			}
		})
	}
}

// A value before may be missing where it was compacted: that has to be asked.
func TestMissingValueBeforeIsSuspected(t *testing.T) {
	var counts [numRules]uint64
	s := newStream(0xa, "etcd-1", &counts)
	bs, suspects := s.take(t0, events(put("a", 11, 5, 3, 0), del("b", 12, 0)))
	if len(bs) != 0 || len(suspects) != 2 || suspects[0].key != "a" || suspects[0].rev != 11 || suspects[1].breach.Rule != Previous {
		t.Errorf("%+v, %+v", bs, suspects)
	}
}

func TestProgressBehindTheStatus(t *testing.T) {
	var counts [numRules]uint64
	s := newStream(0xa, "etcd-1", &counts)
	if bs := s.behind(t0, 10, 10); len(bs) != 0 {
		t.Error(bs)
	}
	if bs := s.behind(t0, 11, 10); len(bs) != 1 || bs[0].Rule != Progress {
		t.Error(bs)
	}
}

// What is remembered is bounded, however long it goes on and however many keys there are.
func TestStreamIsBounded(t *testing.T) {
	var counts [numRules]uint64
	s := newStream(0xa, "etcd-1", &counts)
	for rev := int64(1); rev < 3*seenKeys; rev++ {
		if bs, _ := s.take(t0, events(put(strings.Repeat("k", 1+int(rev)%3)+string(rune(rev)), rev, rev, 1, 0))); len(bs) > 0 {
			t.Fatal(bs)
		}
	}
	if len(s.seen) > seenKeys || len(s.evidence) > evidenceLen || len(s.at) > 1 {
		t.Errorf("%d keys, %d answers, %d of a revision", len(s.seen), len(s.evidence), len(s.at))
	}
}

func TestReachNarrows(t *testing.T) {
	r := reach{chosen: true, scope: byAll}
	if r.spend(t0, 10, 1000, "a") || r.spend(t0.Add(time.Minute), reachEvents, 10, "a") {
		t.Error("a little is too much")
	}
	if !r.spend(t0.Add(time.Minute), 1, 10, "hot") || r.scope != byKey || r.key != "hot" {
		t.Errorf("%+v", r)
	}
	if key, end := r.rangeOf("/registry"); key != "hot" || end != "" {
		t.Errorf("%q to %q", key, end)
	}
	if !r.spend(t0.Add(time.Minute), 1, reachBytes+1, "hot") || r.scope != byNone || r.round != 2 {
		t.Errorf("%+v", r)
	}
}

func TestLateness(t *testing.T) {
	var f firsts
	if d := f.lateness(1000, t0); d != 0 {
		t.Error(d)
	}
	if d := f.lateness(1000, t0.Add(30*time.Millisecond)); d != 30*time.Millisecond {
		t.Error(d)
	}
	f.lateness(1000+256, t0.Add(time.Second)) // the same place in the ring
	if d := f.lateness(1000, t0.Add(time.Hour)); d != 0 {
		t.Errorf("a revision that is no longer known: %v", d)
	}
	var s samples
	if _, ok := s.quantile(0.5, t0); ok {
		t.Error("a median of nothing")
	}
	for i := range 200 {
		s.add(t0, time.Duration(i))
	}
	if d, _ := s.quantile(0.5, t0); d != 168 { // of 136 to 199
		t.Error(d)
	}
}

// A watch that ended between the fragments of one revision goes on after that revision: what it has not told of it, it cannot have told.
func TestWatchCutWithinARevision(t *testing.T) {
	var counts [numRules]uint64
	s := newStream(0xa, "etcd-1", &counts)
	created := func(rev int64) *pb.WatchResponse {
		return &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: rev}, Created: true}
	}
	for _, r := range []*pb.WatchResponse{
		created(10),
		events(put("b", 11, 5, 3, 7)),
		fragment(events(put("a", 12, 5, 4, 8))), // and "b", which is not heard
		created(12),
		events(put("b", 13, 5, 5, 12)),
		events(put("a", 14, 5, 5, 12)),
	} {
		if bs, _ := s.take(t0, r); len(bs) > 0 {
			t.Errorf("%+v", bs)
		}
	}
	if bs, _ := s.take(t0, events(put("b", 15, 5, 7, 14))); len(bs) != 1 || bs[0].Rule != Reliable {
		t.Errorf("what is left out later: %+v", bs)
	}
}

func TestSamplesAreOfTheLastMinute(t *testing.T) {
	var s samples
	s.add(t0, 3*time.Second)
	s.add(t0.Add(50*time.Second), time.Second)
	if d, ok := s.quantile(0.9, t0.Add(59*time.Second)); !ok || d != 3*time.Second {
		t.Error(d, ok)
	}
	if d, ok := s.quantile(0.9, t0.Add(61*time.Second)); !ok || d != time.Second {
		t.Error(d, ok)
	}
	if d, ok := s.quantile(0.9, t0.Add(time.Hour)); ok {
		t.Errorf("an hour later it is still %v", d)
	}
}
