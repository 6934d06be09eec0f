package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	xterm "github.com/charmbracelet/x/term"

	"fathom/actions"
	"fathom/actions/journal"
	"fathom/cluster"
	"fathom/internal/run"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui"
	"fathom/ui/term"
	"fathom/views"
	"fathom/watchers"
	"fathom/watchers/etcd"
	"fathom/watchers/etcd/check"
)

// dashboard opens the screen, again for every change of context.
func dashboard(ctx context.Context, f *flags) error {
	if !xterm.IsTerminal(os.Stdout.Fd()) || !xterm.IsTerminal(os.Stdin.Fd()) {
		return usageError{errors.New("fathom draws on a terminal, and standard input or output is none; use fathom print VIEW")}
	}
	if t := os.Getenv("TERM"); t == "dumb" || t == "" {
		return usageError{fmt.Errorf("TERM=%q cannot show a screen; use fathom print VIEW, or set TERM to what the terminal is", t)}
	}
	var profiles net.Listener
	if f.pprof != "" {
		l, err := pprofListen(f.pprof)
		if err != nil {
			return err
		}
		defer l.Close()
		profiles = l
	}
	opts := f.options()
	if profiles != nil {
		g := run.NewGroup(ctx, nil)
		defer g.Stop()
		pprofServe(g, profiles, f.log)
	}
	for {
		next, err := screen(ctx, f, opts, profiles)
		if err != nil || next == "" {
			return err
		}
		opts = opts.WithContext(next)
		f.commands = nil
	}
}

// screen runs one session on one context. next is the context to go to.
func screen(ctx context.Context, f *flags, connect cluster.Options, profiles net.Listener) (next string, err error) {
	if f.theme != "" && !slices.Contains(theme.Names(), f.theme) {
		return "", usageError{fmt.Errorf("--theme %s: themes are %s", f.theme, strings.Join(theme.Names(), ", "))}
	}
	c, err := cluster.Open(connect)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := cluster.Preflight(ctx, c); err != nil {
		return "", err
	}
	opts := theme.Detect(os.Getenv)
	opts.Name = f.theme
	opts.ASCII = opts.ASCII || f.ascii
	opts.NoColor = opts.NoColor || f.noColor
	th := theme.New(opts)
	s := term.New(ctx, term.Options{In: os.Stdin, Out: os.Stdout, NoColor: opts.NoColor, Far: overSSH(os.Getenv),
		NoSync: f.noSync || os.Getenv("FATHOM_NO_SYNC_OUTPUT") != "", StateDir: term.StateDir(os.Getenv)})
	env, stop, err := wire(s.Context(), c, th, func(p run.Panic) { s.Crash(p.Name, p.Value, p.Stack) })
	if err != nil {
		return "", err
	}
	defer stop()
	env.Crashed = s.CrashHere
	env.Backups = f.folder(env.Group, c)
	env.Clipboard = !overSSH(os.Getenv)
	if !c.ReadOnly() { // in read-only mode no helper process starts
		env.Edit = func(ctx context.Context, file string) error { return edit(ctx, s, os.Getenv, file) }
	}
	cat := views.NewCatalog(env, f.namespace(c))
	cat.Only(f.given())
	start, err := f.start(s.Context(), cat, c)
	if err != nil {
		return "", err
	}
	keys, err := keymap.NewDefault()
	if err != nil {
		return "", err
	}
	opener, err := faulty(f.fault, cat, env.Group)
	if err != nil {
		return "", err
	}
	m := ui.New(ui.Options{Opener: opener, Keys: keys, Theme: th, Tick: tick(os.Getenv), Start: start, Namespace: f.namespace(c),
		Now: time.Now, Mouse: f.mouse, Recover: s.CrashHere, Suspend: s.Suspend})
	if profiles != nil {
		m.Say(views.ToastMsg{Text: safe.Sprintf("profiles of fathom are served at %s", pprofURL(profiles))})
	}
	err = s.Run(m)
	m.Close()
	return m.Switch, err
}

// tick is the time between two frames: slower over SSH, where bytes are dear.
func tick(env func(string) string) time.Duration {
	if overSSH(env) {
		return 250 * time.Millisecond
	}
	return 100 * time.Millisecond
}

func overSSH(env func(string) string) bool {
	return env("SSH_TTY") != "" || env("SSH_CONNECTION") != ""
}

// wire starts the watchers of a cluster. stop ends all of them and waits.
func wire(ctx context.Context, c *cluster.Cluster, th *theme.Theme, onPanic func(run.Panic)) (*views.Env, func(), error) {
	g := run.NewGroup(ctx, onPanic)
	env := &views.Env{Cluster: c, Theme: th, Group: g, Now: time.Now}
	if k := c.Kube(); k != nil {
		hub, err := watchers.NewHub(g, k.Config(), watchers.Options{
			MinPublish: tick(os.Getenv), FallbackNamespaces: []string{c.Identity().Namespace},
		})
		if err != nil {
			g.Stop()
			return nil, nil, err
		}
		env.Hub = hub
	}
	if e := c.Etcd(); e != nil {
		env.Etcd = etcd.NewWatcher(g, e)
		env.Check = check.New(g, env.Etcd)
	}
	path, err := journal.DefaultPath()
	if err != nil { // the runner refuses every change, saying that the journal cannot be written
		path = ""
	}
	env.Runner = actions.NewRunner(c, journal.New(path), version)
	return env, g.Stop, nil
}

// given is the namespace that was asked for with -n; empty: none, or all of them.
func (f *flags) given() string {
	if f.allNS || f.kube.Namespace == nil {
		return ""
	}
	return *f.kube.Namespace
}

// start are the views to open first.
func (f *flags) start(ctx context.Context, cat *views.Catalog, c *cluster.Cluster) ([]views.Ref, error) {
	commands := f.commands
	if len(commands) == 0 {
		commands = []string{"overview"}
	}
	if len(commands) > 2 {
		return nil, usageError{fmt.Errorf("-c was given %d times; two panes fit", len(commands))}
	}
	var refs []views.Ref
	for _, line := range commands {
		r, err := resolve(ctx, cat, line, f.namespace(c))
		if err != nil {
			return nil, err
		}
		refs = append(refs, r)
	}
	return refs, nil
}

// resolve finds a view by name. Only a name that fathom does not know itself waits for the API server, and not for long.
func resolve(ctx context.Context, cat *views.Catalog, line, namespace string) (views.Ref, error) {
	r, err := cat.Resolve(line, namespace)
	if err == nil {
		return r, nil
	}
	wait, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if werr := cat.WaitForResources(wait); werr != nil {
		return r, fmt.Errorf("%w (%v)", err, werr)
	}
	return cat.Resolve(line, namespace)
}
