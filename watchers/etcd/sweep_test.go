package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"fathom/cluster"
	"fathom/internal/run"
)

// hurry is a pace for tests.
var hurry = Pace{Page: 1000, PageBytes: 1 << 20, Share: 1, Patience: time.Second}

// sweepAll reads a range and returns the keys in the order in which they came.
func sweepAll(t testing.TB, e *cluster.Etcd, q SearchQuery, pace Pace) []string {
	t.Helper()
	var got []string
	s := &sweep{etcd: e, from: q.from, end: q.end, floor: q.floor, keysOnly: true, pace: newPacer(pace), probe: time.Hour, gate: newGate(),
		page: func(kvs []*mvccpb.KeyValue, _ Progress) bool {
			for _, kv := range kvs {
				got = append(got, string(kv.Key))
			}
			return true
		}}
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if int(s.p.Looked) != len(got) || s.p.Part() != 1 && len(got) > 0 {
		t.Errorf("progress %+v of %d keys", s.p, len(got))
	}
	return got
}

// TestSweepReadsEveryKeyOnce: whatever the keys are like and however narrow the reads.
func TestSweepReadsEveryKeyOnce(t *testing.T) {
	s := &keySpace{}
	e := s.serve(t).etcd
	rnd := rand.New(rand.NewPCG(3, 4))
	parts := []string{"/", "/", "a", "b", "-", "\x00", "\xff", "0", ".", "abcdefgh", "\xfe"}
	for range 12 {
		var keys []string
		for range rnd.IntN(60) {
			key := strings.Repeat("/", min(1, rnd.IntN(3)))
			for range 1 + rnd.IntN(8) {
				key += parts[rnd.IntN(len(parts))]
			}
			keys = append(keys, key)
		}
		s.set(keys)
		for _, expr := range []string{"..", "/", "/a", `"\xff"`, "/a../b", "a..", "/-../a/b", `"\xff\xff"`} {
			q, err := ParseSearch(expr)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, k := range s.keys {
				if k >= q.from && (isOpen(q.end) || k < string(q.end)) {
					want = append(want, k)
				}
			}
			for _, page := range []int{1, 2, 7} {
				pace := hurry
				pace.Page, pace.Share = page, 1
				if got := sweepAll(t, e, q, pace); !slices.Equal(got, want) {
					t.Fatalf("keys %q, %s in pages of %d:\n got %q\nwant %q", s.keys, expr, page, got, want)
				}
			}
		}
	}
}

// TestSweepOfManyKeysIsCheap: what the member walks grows with the keys, not with their square.
func TestSweepOfManyKeysIsCheap(t *testing.T) {
	const n = 50_000
	for name, key := range map[string]func(i int) string{
		"one prefix":          func(i int) string { return fmt.Sprintf("/scale/key-%07d", i) },
		"many namespaces":     func(i int) string { return fmt.Sprintf("/registry/pods/ns-%03d/web-%06x", i%300, i*7919) },
		"names without order": func(i int) string { return fmt.Sprintf("/registry/events/default/%016x", uint64(i)*0x9e3779b97f4a7c15) },
	} {
		t.Run(name, func(t *testing.T) {
			s := &keySpace{}
			e := s.serve(t).etcd
			keys := make([]string, n)
			for i := range keys {
				keys[i] = key(i)
			}
			s.set(keys)
			q, _ := ParseSearch("..")
			if got := sweepAll(t, e, q, hurry); len(got) != len(s.keys) {
				t.Fatalf("%d of %d keys", len(got), len(s.keys))
			}
			t.Logf("%d reads visited %d entries of %d", s.calls, s.visited, n)
			if s.calls > n/100+100 || s.visited > 40*n {
				t.Errorf("%d reads that visited %d entries of an index of %d", s.calls, s.visited, n)
			}
		})
	}
}

func TestPacer(t *testing.T) {
	p := newPacer(Pace{Page: 500, PageBytes: 1000, BytesPerSecond: 10_000, Share: 0.25, Patience: 3 * time.Second})
	p.rtt = time.Millisecond
	if rest := p.paged(16, 100, 5*time.Millisecond); rest != 12*time.Millisecond || p.limit != 32 {
		t.Errorf("after 5 ms of which 1 is the way there and back: rest %v, next page %d; want three times 4 ms, and a larger page", rest, p.limit)
	}
	if rest := p.paged(32, 4000, 2*time.Millisecond); rest < 390*time.Millisecond || p.limit != 8 {
		t.Errorf("after 4000 of 10,000 bytes a second: rest %v, next page %d", rest, p.limit)
	}
	p.limit = 500
	if p.paged(500, 10, time.Second); p.limit != 250 {
		t.Errorf("after a long page the next is %d", p.limit)
	}
	now := time.Now()
	for i, tt := range []struct {
		took    time.Duration
		at      time.Duration
		waits   bool
		givesUp bool
	}{{time.Millisecond, 0, false, false}, {150 * time.Millisecond, 1, false, false}, {300 * time.Millisecond, 2, true, false}, {300 * time.Millisecond, 4, true, false},
		{2 * time.Millisecond, 5, false, false}, {300 * time.Millisecond, 6, true, false}, {300 * time.Millisecond, 9, false, true}} {
		wait, err := p.probed(now.Add(tt.at*time.Second), tt.took)
		if (wait != "") != tt.waits || (err != nil) != tt.givesUp {
			t.Errorf("%d: a small read of %v: %q, %v", i, tt.took, wait, err)
		}
	}
}

func TestParseSearch(t *testing.T) {
	for _, tt := range []struct{ expr, match, not, from, end string }{
		{"web", "/registry/pods/shop/Web-1", "/registry/pods/shop/cart", "", "\x00"},
		{"/registry/pods/", "/registry/pods/x", "", "/registry/pods/", "/registry/pods0"},
		{"/registry/pods/ web", "/registry/pods/web", "/registry/pods/cart", "/registry/pods/", "/registry/pods0"},
		{`/registry/pods/ ~ WEB-\d+$`, "/registry/pods/web-12", "/registry/pods/web-1x", "/registry/pods/", "/registry/pods0"},
		{`~ ^/a.*z$`, "/a/z", "/b/z", "", "\x00"},
		{"/a../c web", "/a/web", "/a/cart", "/a", "/c"},
		{"a..b", "x", "", "a", "b"},
		{"a..", "x", "", "a", "\x00"},
		{"..b", "x", "", "", "b"},
		{`"/a b/" c d`, "c d", "c", "/a b/", "/a b0"},
		{`"\x00/".."\xff" ~ .`, "x", "", "\x00/", "\xff"},
		{"a b", "xa bx", "ab", "", "\x00"},
		{"ÉTÉ-1", "/x/ÉtÉ-1", "/x/été-1", "", "\x00"},
	} {
		q, err := ParseSearch(tt.expr)
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
			continue
		}
		if q.from != tt.from || string(q.end) != tt.end || !q.Match([]byte(tt.match)) || tt.not != "" && q.Match([]byte(tt.not)) {
			t.Errorf("%s: from %q to %q, matches %q: %v, %q: %v", tt.expr, q.from, q.end, tt.match, q.Match([]byte(tt.match)), tt.not, q.Match([]byte(tt.not)))
		}
	}
	for expr, want := range map[string]string{
		"": "type what", "~": "after \"~\"", "~x": "blank", "/a ~ (": "regular expression", "b..a": "empty", `"abc`: "quote", `"a"x`: "blank",
	} {
		if _, err := ParseSearch(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", expr, err, want)
		}
	}
}

func testGroup(t *testing.T) *run.Group {
	t.Helper()
	g := run.NewGroup(context.Background(), func(p run.Panic) { t.Errorf("panic in %s: %v\n%s", p.Name, p.Value, p.Stack) })
	t.Cleanup(g.Stop)
	return g
}

// until waits for something that another goroutine does.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal(what + ": not within 20 s")
		}
	}
}

func TestSearchEndsAtItsBound(t *testing.T) {
	s := &keySpace{}
	e := s.serve(t).etcd
	keys := make([]string, 2*MaxHits)
	for i := range keys {
		keys[i] = fmt.Sprintf("/k/%06d", i)
	}
	s.set(keys)
	q, _ := ParseSearch("/k/ 0")
	se := newSearch(testGroup(t), e, q, hurry)
	until(t, "the end", func() bool { return !se.Running() })
	got := se.Snapshot()
	if !got.Cut || got.Err != nil || len(got.Hits) != MaxHits || got.Looked < MaxHits || got.Looked >= got.Total || got.Total != 2*MaxHits {
		t.Errorf("cut %v, %v, %d hits, %d of %d looked at", got.Cut, got.Err, len(got.Hits), got.Looked, got.Total)
	}
	q, _ = ParseSearch("/k/ 019999")
	se = newSearch(testGroup(t), e, q, hurry)
	until(t, "the end", func() bool { return !se.Running() })
	if got := se.Snapshot(); got.Cut || got.Stopped || got.Err != nil || len(got.Hits) != 1 || got.Hits[0].Key != "/k/019999" || got.Looked != 2*MaxHits {
		t.Errorf("%+v", got)
	}
}

func TestSearchIsHeldAndStopped(t *testing.T) {
	s := &keySpace{}
	e := s.serve(t).etcd
	keys := make([]string, 5000)
	for i := range keys {
		keys[i] = fmt.Sprintf("/k/%06d", i)
	}
	s.set(keys)
	slow := hurry
	slow.Page, slow.BytesPerSecond = 10, 20_000
	q, _ := ParseSearch("/k/")
	se := newSearch(testGroup(t), e, q, slow)
	until(t, "the first hits", func() bool { return len(se.Snapshot().Hits) > 0 })
	se.Pause(true)
	held := func() int { s.mu.Lock(); defer s.mu.Unlock(); return s.calls }
	before := held()
	if until(t, "it to be held", func() bool { n := held(); ok := n == before; before = n; return ok }); !se.Running() {
		t.Error("held is ended")
	}
	se.Pause(false)
	until(t, "it to go on", func() bool { return held() > before+2 })
	se.Stop()
	until(t, "the end", func() bool { return !se.Running() })
	if got := se.Snapshot(); !got.Stopped || got.Err != nil || len(got.Hits) == 0 || got.Looked >= got.Total {
		t.Errorf("%+v", got.Progress)
	}
}
