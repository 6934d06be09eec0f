package term

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"
	"go.uber.org/goleak"

	"fathom/internal/pty"
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

// asProgram makes the test binary show a churn on its terminal; its value are options, separated by blanks.
const asProgram = "FATHOM_TEST_TERM"

func TestMain(m *testing.M) {
	if o, ok := os.LookupEnv(asProgram); ok {
		s := New(context.Background(), Options{In: os.Stdin, Out: os.Stdout, StateDir: os.Getenv("HOME"),
			Far: strings.Contains(o, "far"), NoSync: strings.Contains(o, "nosync")})
		if err := s.Run(&churn{s: s, th: theme.New(theme.Options{}), c: draw.NewCanvas(0, 0), quiet: strings.Contains(o, "quiet")}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// churn is a model that changes every row every 100 ms, unless quiet, and shows the keys typed in its last row. What the rows say is from
// the state of the moment, so that an old frame can be told from a new one.
type churn struct {
	s     *Screen
	th    *theme.Theme
	c     *draw.Canvas
	w, h  int
	typed string
	n     int // ticks
	quiet bool
	dirty bool
}

type churnTick struct{}

func (m *churn) tick() tea.Cmd {
	return tea.Tick(100*time.Millisecond, func(time.Time) tea.Msg { return churnTick{} })
}
func (m *churn) Init() tea.Cmd  { return m.tick() }
func (m *churn) View() tea.View { return tea.View{} }
func (m *churn) Dirty() bool    { return m.dirty }
func (m *churn) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h, m.dirty = msg.Width, msg.Height, true
	case churnTick:
		m.n++
		m.dirty = m.dirty || !m.quiet
		return m, m.tick()
	case tea.KeyPressMsg:
		switch k := msg.String(); k {
		case "ctrl+c":
			return m, tea.Quit
		case "ctrl+z":
			return m, func() tea.Msg { m.s.Suspend(); return nil }
		default:
			m.typed += k
			m.dirty = true
		}
	}
	return m, nil
}

func (m *churn) Paint(cells *uv.RenderBuffer, budget int) (Frame, bool) {
	m.c.Resize(m.w, m.h)
	a := m.c.Area()
	for y := range m.h - 1 {
		for x := 0; x < m.w; x += 20 {
			a.Text(x, y, theme.Style((x/20+y)%int(theme.NumRoles)), safe.Sprintf("tick %d cell %d-%d", m.n*7919+x*y, x, y))
		}
	}
	shown := m.typed[max(0, len(m.typed)-40):]
	a.TextAligned(0, m.h-1, m.w, draw.Left, theme.Default, safe.Sprintf("typed %d: %s.", len(m.typed), shown))
	done, moved := m.c.Paint(cells, m.th, budget)
	m.dirty = !done
	return Frame{}, moved
}

// start runs the churn on a terminal behind a line.
func start(t *testing.T, line *pty.Line, options string) *pty.Terminal {
	t.Helper()
	return startWith(t, line, options, nil)
}

// startWith is start with a function that is called after every piece of output, and that the terminal waits for.
func startWith(t *testing.T, line *pty.Line, options string, each func()) *pty.Terminal {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	x, err := pty.Start(self, nil, pty.Options{Cols: 200, Rows: 60, Line: line, Sync: true,
		Each: func(time.Time, []byte, *pty.Screen) {
			if each != nil {
				each()
			}
		},
		Env: []string{"TERM=xterm-256color", "LANG=C.UTF-8", "HOME=" + t.TempDir(), asProgram + "=" + options,
			"GORACE=atexit_sleep_ms=0"}}) // the race detector's farewell is not the program's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	if _, err := x.WaitText(20*time.Second, "typed 0: ."); err != nil {
		t.Fatal(err)
	}
	return x
}

// The lines of the tests: 300 ms there and back, 50 KB/s. One pushes back at once; one takes 2 MiB first, as SSH does.
var slowLines = []struct {
	name    string
	line    pty.Line
	options string
}{
	{"back-pressure", pty.Line{Latency: 150 * time.Millisecond, BytesPerSecond: 50_000, Buffer: 4 << 10}, ""},
	{"deep buffers", pty.Line{Latency: 150 * time.Millisecond, BytesPerSecond: 50_000, Buffer: 2 << 20}, "far"},
}

const roundTrip = 300 * time.Millisecond

// soon is what may come upon the round trip. Frames that queue in the line would take seconds, and minutes where it has a deep buffer.
const soon = slower * 300 * time.Millisecond

// tries is how often a test of times is tried: what counts is what it takes when the machine has time for it.
const tries = 4

// While every row changes all the time, what is typed is on the screen soon; frames that the line cannot carry are dropped.
func TestTypingOnASlowLine(t *testing.T) {
	t.Parallel() // it waits nearly all the time
	for _, l := range slowLines {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			var best time.Duration
			for range tries {
				p90, queued, rate := typeOn(t, l.line, l.options)
				if queued > 64<<10 {
					t.Errorf("%d bytes were queued in the line", queued)
				}
				if best == 0 || p90 < best {
					best = p90
				}
				if best <= roundTrip+soon && rate > 10_000 {
					return
				}
			}
			t.Errorf("what was typed was seen after %v (p90), more than the round trip and %v, or too little arrived", best, soon)
		})
	}
}

// typeOn types while everything changes. It returns when nine of ten characters were seen, the most that was queued in the line, and
// the bytes that it carried each second.
func typeOn(t *testing.T, line pty.Line, options string) (p90 time.Duration, queued int, rate float64) {
	t.Helper()
	x := start(t, &line, options)
	defer x.Close()
	pause := time.NewTicker(170 * time.Millisecond)
	defer pause.Stop()
	for range 12 { // what the line can do is found out
		<-pause.C
	}
	begin, bytes := time.Now(), x.Bytes()
	var took []time.Duration
	for i := range 30 {
		<-pause.C
		sent := time.Now()
		if err := x.Send("a"); err != nil {
			t.Fatal(err)
		}
		at, err := x.WaitText(10*time.Second, fmt.Sprintf("typed %d:", i+1))
		if err != nil {
			t.Fatal(err)
		}
		took = append(took, at.Sub(sent))
		queued = max(queued, x.Queued())
	}
	rate = float64(x.Bytes()-bytes) / time.Since(begin).Seconds()
	slices.Sort(took)
	t.Logf("typed to seen: p50 %v, p90 %v, most %v; %.0f bytes/s; at most %d bytes in the line", took[15].Round(time.Millisecond),
		took[27].Round(time.Millisecond), took[29].Round(time.Millisecond), rate, queued)
	return took[27], queued, rate
}

// A key that is held down for 3 s: the last of it is on the screen within a second of its release.
func TestAHeldKeyOnASlowLine(t *testing.T) {
	t.Parallel() // it waits nearly all the time
	for _, l := range slowLines {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			best := time.Hour
			for i := 0; i < tries && best > time.Second; i++ {
				best = min(best, holdOn(t, l.line, l.options))
			}
			if best > time.Second {
				t.Errorf("the newest state was seen %v after the key was released", best)
			}
		})
	}
}

func holdOn(t *testing.T, line pty.Line, options string) time.Duration {
	t.Helper()
	x := start(t, &line, options)
	defer x.Close()
	repeat := time.NewTicker(33 * time.Millisecond)
	defer repeat.Stop()
	for range 90 {
		<-repeat.C
		_ = x.Send("j")
	}
	released := time.Now()
	at, err := x.WaitText(10*time.Second, "typed 90:")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seen %v after the release", at.Sub(released).Round(time.Millisecond))
	return at.Sub(released)
}

// Ctrl-C ends the program within a second, also when the terminal takes no bytes at all.
func TestCtrlCOnADeadLine(t *testing.T) {
	t.Parallel() // it waits nearly all the time
	for name, line := range map[string]pty.Line{
		"slow": slowLines[0].line, "deep": slowLines[1].line,
		"dead": {BytesPerSecond: 100_000, Buffer: 0}, "dead, by signal": {BytesPerSecond: 100_000, Buffer: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := ""
			if name == "deep" {
				options = "far"
			}
			best := time.Hour
			for i := 0; i < tries && best > time.Second; i++ {
				best = min(best, endOn(t, name, line, options)-line.Latency)
			}
			if best > time.Second {
				t.Errorf("it ended %v after Ctrl-C", best)
			}
		})
	}
}

// endOn presses Ctrl-C or sends SIGTERM, on a dead line when the terminal has not taken a byte for a second, and returns how long
// the program took to end.
func endOn(t *testing.T, name string, line pty.Line, options string) time.Duration {
	t.Helper()
	dead := strings.HasPrefix(name, "dead")
	var stopped atomic.Bool
	mended := make(chan struct{})
	x := startWith(t, &line, options, func() {
		if stopped.Load() {
			<-mended
		}
	})
	defer x.Close()
	defer close(mended) // before the terminal is closed
	if stopped.Store(dead); dead {
		<-time.After(time.Second) // the kernel's buffer fills
	}
	sent := time.Now()
	if strings.HasSuffix(name, "signal") {
		_ = x.Signal(syscall.SIGTERM)
	} else {
		_ = x.Send("\x03")
	}
	for syscall.Kill(x.PID(), 0) == nil { // Exited waits for the terminal, which waits for mended
		if time.Since(sent) > 10*time.Second {
			t.Fatal("it has not ended")
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Logf("ended after %v", time.Since(sent).Round(time.Millisecond))
	return time.Since(sent)
}

// On a terminal that is near, a key is on the screen within 8 ms (the median): it waits for no clock. In one of the tries the machine has
// time for it, and the race detector takes its own. Where the program always stood in line for a processor nothing was shown.
func TestAKeyIsDrawnAtOnce(t *testing.T) {
	const limit, busy = slower * 8 * time.Millisecond, 1.0
	best, least := time.Hour, 1e9
	for range tries {
		took, waited := keyToPaint(t)
		if took <= limit {
			return
		}
		best, least = min(best, took), min(least, waited)
	}
	if least > busy {
		t.Skipf("skipped: the machine is too busy to tell: for a second of work the program waited %.1f s for a processor, and a key was on the screen after %v", least, best)
	}
	t.Errorf("a key was on the screen after %v (the median), more than %v", best, limit)
}

// scheduled is how long the threads of a process worked, and how long they waited for a processor; zero where the kernel does not tell.
// Source: schedstat in the kernel's Documentation/scheduler/sched-stats.rst.
func scheduled(pid int) (worked, waited time.Duration) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, f := range threads {
		var on, in time.Duration
		b, _ := os.ReadFile(f) // a thread may have ended
		_, _ = fmt.Sscan(string(b), &on, &in)
		worked, waited = worked+on, waited+in
	}
	return worked, waited
}

// keyToPaint is what 60 keys took (the median), and how long the program waited for a processor, of the time that it worked.
func keyToPaint(t *testing.T) (took time.Duration, waited float64) {
	t.Helper()
	x := start(t, nil, "")
	defer x.Close()
	pause := time.NewTicker(37 * time.Millisecond) // in step with no clock
	defer pause.Stop()
	work, wait := scheduled(x.PID())
	var all []time.Duration
	for i := range 60 {
		<-pause.C
		sent := time.Now()
		_ = x.Send("a")
		at, err := x.WaitText(10*time.Second, fmt.Sprintf("typed %d:", i+1))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, at.Sub(sent))
	}
	work1, wait1 := scheduled(x.PID())
	waited = float64(wait1-wait) / float64(max(work1-work, 1))
	slices.Sort(all)
	t.Logf("key to paint while every row changes ten times a second: p50 %v, p90 %v, most %v; waited for a processor %.2f of the time that it worked",
		all[30], all[54], all[59], waited)
	return all[30], waited
}
