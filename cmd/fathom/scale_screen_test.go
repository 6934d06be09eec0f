//go:build scale

package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fathom/internal/pty"
	"fathom/internal/testcluster"
)

// screenTime bounds every wait for a screen but the first complete one.
const screenTime = 60 * time.Second

// dash is a running fathom on a terminal of 200 by 60 cells.
type dash struct {
	t    *testing.T
	term *pty.Terminal
	// Called by the terminal's goroutine, under its lock.
	each func(at time.Time, s *pty.Screen)
	vain func(piece []byte, s *pty.Screen)
}

func openDash(t *testing.T, kubeconfig string, args ...string) *dash {
	t.Helper()
	home := t.TempDir()
	d := &dash{t: t}
	term, err := pty.Start(testcluster.Binary(t, "fathom"), append([]string{"--kubeconfig", kubeconfig}, args...), pty.Options{
		Cols: 200, Rows: 60, Sync: true,
		Env: []string{"HOME=" + home, "XDG_STATE_HOME=" + home, "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TERM=xterm-256color"},
		Each: func(at time.Time, piece []byte, s *pty.Screen) {
			if d.vain != nil {
				d.vain(piece, s)
			}
			if d.each != nil {
				d.each(at, s)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.term = term
	return d
}

// close quits and waits for the end.
func (d *dash) close() {
	d.send("\x03")
	select {
	case <-d.term.Exited():
	case <-time.After(5 * time.Second):
		d.t.Error("ctrl+c does not end fathom within 5 s")
	}
	_ = d.term.Close()
}

// watch sets what is called after each piece of output; nil ends it.
func (d *dash) watch(each func(at time.Time, s *pty.Screen)) {
	d.term.Look(func(*pty.Screen) { d.each = each })
}

// send types keys and returns when.
func (d *dash) send(keys string) time.Time {
	d.t.Helper()
	at := time.Now()
	if err := d.term.Send(keys); err != nil {
		d.t.Fatal(err)
	}
	return at
}

// wait waits for a screen and returns when it came.
func (d *dash) wait(within time.Duration, what string, ok func(*pty.Screen) bool) time.Time {
	d.t.Helper()
	at, err := d.term.Wait(within, what, ok)
	if err != nil {
		d.t.Fatal(err)
	}
	return at
}

// still waits until the screen has not changed for a while, and returns it. The clock of an age column does not count as a change
// for long: it waits at most ten times as long.
func (d *dash) still(quiet time.Duration) string {
	last, since := d.body(), time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := since.Add(10 * quiet); time.Since(since) < quiet && time.Now().Before(end); {
		<-tick.C
		if now := d.body(); now != last {
			last, since = now, time.Now()
		}
	}
	return last
}

// body is the screen without its first line, whose health changes by itself.
func (d *dash) body() string {
	_, rest, _ := strings.Cut(d.term.Text(), "\n")
	return rest
}

// command types a command after ":" and returns when Enter was pressed.
func (d *dash) command(text string) time.Time {
	d.t.Helper()
	d.send(":")
	d.wait(screenTime, "a prompt", func(s *pty.Screen) bool { return strings.HasPrefix(s.Row(59), ":") })
	d.send(text)
	d.wait(screenTime, "the typed command", func(s *pty.Screen) bool { return strings.HasPrefix(s.Row(59), ":"+text) })
	return d.send("\r")
}

// pane is what the frame of the first pane says.
type pane struct {
	name  string
	shown int // rows
	total int // of which they are a part; the same without a filter
	live  bool
}

var counts = regexp.MustCompile(` (\d[\d,]*)(?: of (\d[\d,]*))? `)

// paneOf reads the title and the corner of the first pane.
func paneOf(s *pty.Screen) pane {
	title := s.Row(1)
	p := pane{live: strings.Contains(title, " live ")}
	if f := strings.Fields(strings.TrimLeft(title, "─╭┌ ")); len(f) > 0 {
		p.name = f[0]
	}
	if m := counts.FindStringSubmatch(title); m != nil {
		p.shown = number(m[1])
		p.total = p.shown
		if m[2] != "" {
			p.total = number(m[2])
		}
	}
	return p
}

func number(s string) int {
	n, err := strconv.Atoi(strings.ReplaceAll(s, ",", ""))
	if err != nil {
		return -1
	}
	return n
}

// complete reports whether a pane is live and shows a number of rows: one in a hundred may be missing, they come and go.
func complete(name string, rows int) func(*pty.Screen) bool {
	return func(s *pty.Screen) bool {
		p := paneOf(s)
		return p.name == name && p.live && p.total >= rows-rows/100 && p.shown == p.total && p.total > 0
	}
}

// live reports whether a pane is live and has a count.
func live(name string) func(*pty.Screen) bool {
	return func(s *pty.Screen) bool {
		p := paneOf(s)
		return p.name == name && p.live
	}
}

// memory of fathom now.
func (d *dash) memory() memory {
	d.t.Helper()
	m, err := memoryOf(d.term.PID())
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// cost is what a stretch of time took of fathom.
type cost struct {
	Seconds   float64 `json:"seconds"`
	CPU       float64 `json:"cpuPercent"` // of a core
	Bytes     float64 `json:"bytesPerSecond"`
	Vain      float64 `json:"vainBytesPerSecond"` // after which the screen was as before
	Frames    float64 `json:"framesPerSecond"`
	ServerCPU float64 `json:"apiserverCPUPercent"`
}

// cost measures a stretch of time.
func (d *dash) cost(server int, how time.Duration) cost {
	d.t.Helper()
	read := func() (cpu, serverCPU time.Duration, bytes int64, frames int, at time.Time) {
		cpu, err := cpuOf(d.term.PID())
		if err != nil {
			d.t.Fatal(err)
		}
		serverCPU, err = cpuOf(server)
		if err != nil {
			d.t.Fatal(err)
		}
		d.term.Look(func(s *pty.Screen) { frames = s.Frames })
		return cpu, serverCPU, d.term.Bytes(), frames, time.Now()
	}
	var last string
	var vain int64
	d.term.Look(func(s *pty.Screen) { last = s.String() })
	watch := func(piece []byte, s *pty.Screen) {
		now := s.String()
		if now == last {
			vain += int64(len(piece))
		}
		last = now
	}
	d.term.Look(func(*pty.Screen) { d.vain = watch })
	cpu0, server0, bytes0, frames0, at0 := read()
	<-time.After(how)
	cpu1, server1, bytes1, frames1, at1 := read()
	took := at1.Sub(at0).Seconds()
	d.term.Look(func(*pty.Screen) { d.vain = nil })
	return cost{
		Vain:    float64(vain) / took,
		Seconds: took, CPU: 100 * (cpu1 - cpu0).Seconds() / took, Bytes: float64(bytes1-bytes0) / took,
		Frames: float64(frames1-frames0) / took, ServerCPU: 100 * (server1 - server0).Seconds() / took,
	}
}

// pressed is one key and when its frame came.
type pressed struct {
	key    string
	at     time.Time
	row    int // where the cursor stands afterwards, with the keys before it
	seenAt time.Time
}

// keyToPaint presses j and k at irregular times and measures when the cursor's row is where the key puts it: data that arrives
// meanwhile moves no cursor. Keys go the same way for a while, so that the row of a later key also shows that an earlier one was
// painted, and before the way turns the last key's frame is awaited.
func (d *dash) keyToPaint(keys int) []time.Duration {
	d.t.Helper()
	// Between rows in the middle of the screen: nothing scrolls.
	const stride, top = 20, 20
	d.send("g")
	cursor := func(row int) {
		d.t.Helper()
		d.wait(screenTime, fmt.Sprintf("the cursor on row %d", row), func(s *pty.Screen) bool { return s.RowWith(pty.Reverse) == row })
	}
	row := 3 // below the frame's and the table's heads
	cursor(row)
	for range top {
		row++
		d.send("j")
		cursor(row)
	}
	var run []pressed // under the terminal's lock
	down := true
	d.watch(func(at time.Time, s *pty.Screen) {
		y := s.RowWith(pty.Reverse)
		for i := range run {
			if p := &run[i]; p.seenAt.IsZero() && y >= 0 && (p.key == "j" && y >= p.row || p.key == "k" && y <= p.row) {
				p.seenAt = at
			}
		}
	})
	defer d.watch(nil)
	var took []time.Duration
	for len(took) < keys {
		key, step := "k", -1
		if down {
			key, step = "j", 1
		}
		for i := range min(stride, keys-len(took)) {
			row += step
			d.term.Look(func(*pty.Screen) { run = append(run, pressed{key: key, row: row, at: time.Now()}) })
			d.send(key)
			<-time.After(time.Duration(20+(i*37+len(took)*13)%61) * time.Millisecond)
		}
		cursor(row)
		d.term.Look(func(*pty.Screen) {
			for _, p := range run {
				took = append(took, p.seenAt.Sub(p.at))
			}
			run = nil
		})
		down = !down
	}
	return took
}

// frames types keys one by one and measures the time to the frame that is final for each: the frame is known from a first pass,
// which waited until nothing changed any more. back brings the screen back to what it was.
func (d *dash) timeFrames(keys []string, back func()) []time.Duration {
	d.t.Helper()
	start := d.still(400 * time.Millisecond)
	want := make([]string, len(keys))
	for i, key := range keys {
		d.send(key)
		want[i] = d.still(600 * time.Millisecond)
	}
	back()
	d.wait(screenTime, "the screen as before, which was\n"+start+"\n", func(s *pty.Screen) bool { return sameBody(s, start) })
	var took []time.Duration
	for i, key := range keys {
		at := d.send(key)
		seen := d.wait(screenTime, fmt.Sprintf("the frame of key %q, which was\n%s\n", key, want[i]), func(s *pty.Screen) bool { return sameBody(s, want[i]) })
		took = append(took, max(0, seen.Sub(at)))
		d.still(200 * time.Millisecond)
	}
	back()
	d.wait(screenTime, "the screen as before, which was\n"+start+"\n", func(s *pty.Screen) bool { return sameBody(s, start) })
	return took
}

// ages are what changes by itself while a frame is awaited, and with them the blanks beside them.
var ages = regexp.MustCompile(`\b(\d+[dhms]){1,2}\b`)

func sameBody(s *pty.Screen, want string) bool {
	_, body, _ := strings.Cut(s.String(), "\n")
	return ageless(body) == ageless(want)
}

func ageless(body string) string {
	return strings.Join(strings.Fields(ages.ReplaceAllString(body, "")), " ")
}
