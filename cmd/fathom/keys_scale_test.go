//go:build scale

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/internal/pty"
	"fathom/internal/testcluster"
)

var (
	scaleKeys        = flag.Int("scale.keys", 1_000_000, "keys under one prefix")
	scaleKeysMembers = flag.Int("scale.keys-members", 1, "etcd members")
)

// keysPrefix is the one prefix of all keys.
const keysPrefix = "/registry/scale.example.io/things/"

// keysRun measures the tree of keys, the search and the scan of the space on one etcd.
type keysRun struct {
	scaleRun
	client *clientv3.Client
	lines  []line
}

// TestScaleKeys measures fathom on a million keys under one prefix, with etcdctl on the same ones.
func TestScaleKeys(t *testing.T) {
	r := &keysRun{scaleRun: scaleRun{t: t}}
	r.c = testcluster.Start(t, "--etcd-only", "--members", fmt.Sprint(*scaleKeysMembers), "--quota-bytes", fmt.Sprint(8<<30))
	r.connect()
	took := r.load(*scaleKeys)
	r.note("%d keys on %s, loaded in %s", *scaleKeys, machine(), sec(took))
	page, count := r.etcdctl("--keys-only", "--limit", "200"), r.etcdctl("--count-only", "--write-out", "fields")
	floorPage, floorCount := r.request(clientv3.WithKeysOnly(), clientv3.WithLimit(200)), r.request(clientv3.WithCountOnly())
	r.note("etcdctl: a page of 200 keys %s, the count %s; the same requests of a client that is connected: %s, %s", ms(page), ms(count), ms(floorPage), ms(floorCount))

	r.add("etcdctl get --prefix --keys-only --limit 200", "", page, floorPage, page, false)
	r.add("etcdctl get --prefix --count-only", "", count, floorCount, count, false)
	r.tree(page, floorPage, count, floorCount)
	r.search()
	r.space()
	r.d.close()
	r.table()
}

func (r *keysRun) add(what, must string, etcdctl, floor, got time.Duration, ok bool) {
	l := line{what: what, must: must, fathom: ms(got), ok: ok}
	if etcdctl > 0 {
		l.kubectl = ms(etcdctl)
	}
	if floor > 0 {
		l.floor = ms(floor)
	}
	if strings.HasPrefix(what, "etcdctl") {
		l.fathom = ""
	}
	r.lines = append(r.lines, l)
}

func (r *keysRun) connect() {
	r.t.Helper()
	env := map[string]string{}
	for _, kv := range r.c.EtcdEnv(r.t) {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	tls, err := transport.TLSInfo{TrustedCAFile: env["ETCDCTL_CACERT"], CertFile: env["ETCDCTL_CERT"], KeyFile: env["ETCDCTL_KEY"]}.ClientConfig()
	if err != nil {
		r.t.Fatal(err)
	}
	if r.client, err = clientv3.New(clientv3.Config{Endpoints: strings.Split(env["ETCDCTL_ENDPOINTS"], ","), TLS: tls}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = r.client.Close() })
}

// load writes keys in transactions of 128 operations, which is what a member accepts (--max-txn-ops).
func (r *keysRun) load(n int) time.Duration {
	r.t.Helper()
	const batch, writers = 128, 16
	began := time.Now()
	value := strings.Repeat("v", 200)
	starts := make(chan int)
	var wait sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	for range writers {
		wait.Go(func() {
			for from := range starts {
				var ops []clientv3.Op
				for i := from; i < min(from+batch, n); i++ {
					ops = append(ops, clientv3.OpPut(fmt.Sprintf("%sthing-%07d", keysPrefix, i), fmt.Sprintf("%07d %s", i, value[:50+i%150])))
				}
				if _, err := r.client.Txn(ctx).Then(ops...).Commit(); err != nil {
					r.t.Error(err)
					cancel()
				}
			}
		})
	}
	for from := 0; from < n && ctx.Err() == nil; from += batch {
		starts <- from
	}
	close(starts)
	wait.Wait()
	if r.t.Failed() {
		r.t.FailNow()
	}
	return time.Since(began)
}

// etcdctl is the median time of `etcdctl get PREFIX --prefix` with more arguments, its start and its connection included.
func (r *keysRun) etcdctl(args ...string) time.Duration {
	r.t.Helper()
	return medianOf(func() time.Duration {
		cmd := exec.Command(testcluster.Binary(r.t, "etcdctl"), append([]string{"get", keysPrefix, "--prefix", "--consistency", "s"}, args...)...)
		cmd.Env = r.c.EtcdEnv(r.t)
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			r.t.Fatalf("etcdctl: %v: %s", err, out)
		}
		return time.Since(began)
	})
}

// request is the median time of the same request on a connection that is open.
func (r *keysRun) request(opts ...clientv3.OpOption) time.Duration {
	r.t.Helper()
	return medianOf(func() time.Duration {
		began := time.Now()
		if _, err := r.client.Get(context.Background(), keysPrefix, append(opts, clientv3.WithPrefix(), clientv3.WithSerializable())...); err != nil {
			r.t.Fatal(err)
		}
		return time.Since(began)
	})
}

func medianOf(f func() time.Duration) time.Duration {
	var all []time.Duration
	for range 5 {
		all = append(all, f())
	}
	return median(all)
}

// open starts fathom on this etcd.
func (r *keysRun) open(command string) {
	r.t.Helper()
	home := r.t.TempDir()
	d := &dash{t: r.t}
	term, err := pty.Start(testcluster.Binary(r.t, "fathom"), []string{"-c", command}, pty.Options{
		Cols: 116, Rows: 60, Sync: true,
		Env: append(r.c.EtcdEnv(r.t), "HOME="+home, "XDG_STATE_HOME="+home, "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TERM=xterm-256color"),
		Each: func(at time.Time, _ []byte, s *pty.Screen) {
			if d.each != nil {
				d.each(at, s)
			}
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	d.term = term
	r.d = d
}

var loadedCount = regexp.MustCompile(` (\d+) loaded `)

func loaded(s *pty.Screen) int {
	if m := loadedCount.FindStringSubmatch(s.Row(1)); m != nil {
		return number(m[1])
	}
	return -1
}

// tree measures the tree: the first screen, pages, keys pressed while pages come, and what memory is left with.
func (r *keysRun) tree(page, floorPage, count, floorCount time.Duration) {
	r.t.Helper()
	root := func(s *pty.Screen) bool { return s.Contains("scale.example.io/") }
	var starts, views []time.Duration
	for i := range 3 {
		if i > 0 {
			r.d.close()
		}
		r.open("members")
		r.d.wait(screenTime, "members", live("members"))
		at := r.d.command("keys")
		views = append(views, r.d.wait(screenTime, "the root of the tree", root).Sub(at))
		r.d.close()
		r.open("keys")
		starts = append(starts, r.d.wait(screenTime, "the root of the tree", root).Sub(r.d.term.Started))
	}
	v := median(views)
	r.add(":keys, from Enter to the root on screen", "300 ms", count+page, floorCount+floorPage, v, v <= 300*time.Millisecond)
	r.add("fathom -c keys, from its start to the root on screen", "", count+page, 0, median(starts), true)
	before := r.d.memory()
	at := r.d.command("keys " + keysPrefix)
	first := r.d.wait(screenTime, "the first page", func(s *pty.Screen) bool { return loaded(s) == 200 }).Sub(at)
	r.add("the level of all keys, from Enter to its first page", "300 ms", count+page, floorCount+floorPage, first, first <= 300*time.Millisecond)
	r.note("the root %v, from the start %v, the first page of the level %v", views, starts, first)

	var pages, keys []time.Duration
	for n := 400; n <= 10_000; n += 200 {
		r.d.send("G")
		var row int
		r.d.wait(screenTime, "the row for more", func(s *pty.Screen) bool {
			row = s.RowWith(pty.Reverse)
			return row > 0 && strings.Contains(s.Row(row), "more")
		})
		at := r.d.send("\r")
		moved := make(chan time.Time, 1)
		r.d.watch(func(at time.Time, s *pty.Screen) {
			if y := s.RowWith(pty.Reverse); y > 0 && y != row || y > 0 && !strings.Contains(s.Row(y), "more") && !strings.Contains(s.Row(y), "loading") {
				select {
				case moved <- at:
				default:
				}
			}
		})
		pressed := r.d.send("k") // while the page is read
		select {
		case seen := <-moved:
			keys = append(keys, max(0, seen.Sub(pressed)))
		case <-time.After(screenTime):
			r.t.Fatal("a key moves no cursor while a page is read")
		}
		r.d.watch(nil)
		pages = append(pages, r.d.wait(screenTime, fmt.Sprintf("%d keys", n), func(s *pty.Screen) bool { return loaded(s) >= n }).Sub(at))
	}
	p := quantile(pages, 0.5)
	r.add("a page of 200 more, p50", "50 ms", page, floorPage, p, p <= 50*time.Millisecond)
	p = quantile(pages, 0.99)
	r.add("a page of 200 more, p99 of 49", "50 ms", page, floorPage, p, p <= 50*time.Millisecond)
	k := quantile(keys, 0.99)
	r.add("key to paint while a page is read, p99", "50 ms", 0, 0, k, k <= 50*time.Millisecond)
	after := r.d.memory()
	r.memory("memory with 10,000 keys read", after.RSS)
	r.note("pages %v; keys %v; memory %s before, %s after", pages, keys, mb(before.RSS), mb(after.RSS))
}

func (r *keysRun) memory(what string, rss int64) {
	r.lines = append(r.lines, line{what: what, must: mb(150e6), fathom: mb(rss), ok: rss <= 150e6, gate: true})
}

func (r *keysRun) search() {
	at := r.d.command("search " + keysPrefix + ` ~ 7777\d$`)
	took := r.d.wait(5*time.Minute, "the end of the search", func(s *pty.Screen) bool { return s.Contains("keys found") && s.Contains(" keys in ") }).Sub(at)
	r.add("search by regular expression over all keys", "", 0, 0, took, true)
	r.note("search: %s\n%s", sec(took), r.d.term.Text()[:600])
}

// space scans everything, while another client does a small read all the time.
func (r *keysRun) space() {
	r.t.Helper()
	quiet := r.small(2 * time.Second)
	pid := 0
	for name, p := range r.pids() {
		if strings.HasPrefix(name, "etcd") {
			pid = p
		}
	}
	cpu0, _ := cpuOf(pid)
	r.d.command("space")
	r.d.wait(screenTime, "the plan", func(s *pty.Screen) bool { return s.Contains("r scans them") })
	at := r.d.send("r")
	var peak int64
	var busy []time.Duration
	for end := at.Add(10 * time.Minute); ; {
		busy = append(busy, r.small(500*time.Millisecond)...)
		peak = max(peak, r.d.memory().RSS)
		done := false
		r.d.term.Look(func(s *pty.Screen) { done = s.Contains(" keys in ") && s.Contains(" free") })
		if done {
			break
		}
		if time.Now().After(end) {
			r.t.Fatalf("the scan does not end:\n%s", r.d.term.Text())
		}
	}
	took := time.Since(at)
	cpu1, _ := cpuOf(pid)
	r.add("space: scan of all keys and values", "", 0, 0, took, true)
	r.memory("space: memory, the most", peak)
	r.lines = append(r.lines, line{what: "space: processor time of the member", fathom: fmt.Sprintf("%s = %.0f%% of a core", sec(cpu1-cpu0), 100*(cpu1-cpu0).Seconds()/took.Seconds()), ok: true})
	r.lines = append(r.lines, line{what: "space: a small read of another client, p50 / p99, before", fathom: ms(quantile(quiet, 0.5)) + " / " + ms(quantile(quiet, 0.99)), ok: true})
	r.lines = append(r.lines, line{what: "space: a small read of another client, p50 / p99, meanwhile", fathom: ms(quantile(busy, 0.5)) + " / " + ms(quantile(busy, 0.99)), ok: true})
	r.note("space: %s, %s at most\n%s", sec(took), mb(peak), r.d.term.Text())
}

// small does small reads for a while and says what each took.
func (r *keysRun) small(how time.Duration) (took []time.Duration) {
	r.t.Helper()
	for end := time.Now().Add(how); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		began := time.Now()
		if _, err := r.client.Get(context.Background(), keysPrefix+"thing-0000001", clientv3.WithSerializable()); err != nil {
			r.t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	return took
}

// table prints what was measured and fails for memory. Times depend on the machine and are reported.
func (r *keysRun) table() {
	r.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d keys under one prefix, %d etcd member(s); %s\n", *scaleKeys, *scaleKeysMembers, machine())
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tMUST REACH\tCONNECTED CLIENT\tETCDCTL\tFATHOM\t")
	for _, l := range r.lines {
		mark := "pass"
		switch {
		case l.must == "":
			mark = ""
		case !l.ok && l.gate:
			mark = "FAIL"
			r.t.Errorf("%s: %s, must reach %s", l.what, l.fathom, l.must)
		case !l.ok:
			mark = "missed"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.what, dash0(l.must), dash0(l.floor), dash0(l.kubectl), dash0(l.fathom), mark)
	}
	_ = w.Flush()
	fmt.Fprintln(os.Stdout, b.String())
}
