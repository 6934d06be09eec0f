package views

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// users shows etcd's users and roles. Asking for them writes into the raft log, so it is done only when a key asks for it.
type users struct {
	env    *Env
	ref    Ref
	keys   *etcd.Keys // nil without an etcd
	guess  etcd.AuthGuess
	err    error     // of the guess
	at     time.Time // of the guess
	auth   *etcd.Auth
	asking string // what is being asked; empty: nothing
	failed error  // of what was asked last
	table  *table.Table
	rows   []userRow
	known  map[string]string // what was asked of a user or role, by row ID
	spent  int               // proposals so far
	tableY int
}

// userRow is a user or a role.
type userRow struct {
	role bool
	name string
}

func (r userRow) id() string {
	if r.role {
		return "r" + r.name
	}
	return "u" + r.name
}

// authSentences say what asking costs.
var authSentences = []string{
	"Asking etcd for its users and roles is a raft proposal, though it only reads: each question writes an entry into the log of every",
	"member and needs a quorum. So fathom asks only when you press a: three questions, and one more for each user or role you open with Enter.",
}

func newUsers(env *Env, r Ref) (Pane, error) {
	p := &users{env: env, ref: r, table: table.New(env.Theme), known: map[string]string{}}
	p.table.SetColumns([]table.Column{{Title: "KIND"}, {Title: "NAME", Min: 12, Max: 40}, {Title: "ROLES AND PERMISSIONS", Flex: true, Min: 20}})
	if e := env.Cluster.Etcd(); e != nil {
		p.keys = etcd.NewKeys(e)
	}
	return p, nil
}

type (
	authGuessed struct {
		guess etcd.AuthGuess
		err   error
	}
	authRead struct {
		auth etcd.Auth
		err  error
	}
	authDetail struct {
		id, text string
		err      error
	}
)

// Open implements Pane.
func (p *users) Open() {}

// Close implements Pane.
func (p *users) Close() {}

// Sync implements Pane.
func (p *users) Sync() bool { return false }

// Start implements Starter.
func (p *users) Start() tea.Cmd { return p.Refresh() }

// Refresh implements Refresher: it looks again whether authentication is on, which is no proposal. It asks for no users.
func (p *users) Refresh() tea.Cmd {
	if p.keys == nil {
		return nil
	}
	return p.env.Read(p, "looking whether authentication is on", func(ctx context.Context) any {
		g, err := p.keys.AuthGuess(ctx)
		return authGuessed{g, err}
	})
}

// Update implements Updater.
func (p *users) Update(msg any) tea.Cmd {
	switch m := msg.(type) {
	case authGuessed:
		if p.err = m.err; m.err == nil {
			p.guess, p.at = m.guess, p.env.Now()
		}
	case authRead:
		p.asking, p.failed = "", m.err
		p.spent += m.auth.Proposals
		if m.err == nil {
			p.auth = &m.auth
			p.rows = nil
			for _, u := range m.auth.Users {
				p.rows = append(p.rows, userRow{name: u})
			}
			for _, r := range m.auth.Roles {
				p.rows = append(p.rows, userRow{role: true, name: r})
			}
			clear(p.known)
			p.table.SetSource(userSource{p, p.rows})
		}
	case authDetail:
		p.asking, p.failed = "", m.err
		p.spent++
		if m.err == nil {
			p.known[m.id] = m.text
			p.table.SetSource(userSource{p, p.rows})
		}
	}
	return nil
}

type userSource struct {
	p    *users
	rows []userRow
}

func (s userSource) Len() int        { return len(s.rows) }
func (s userSource) ID(i int) string { return s.rows[i].id() }
func (s userSource) Find(id string) (int, bool) {
	i := slices.IndexFunc(s.rows, func(r userRow) bool { return r.id() == id })
	return i, i >= 0
}
func (s userSource) Cell(i, col int) table.Cell {
	r := s.rows[i]
	switch col {
	case 0:
		if r.role {
			return table.Cell{Text: safe.Lit("role"), Style: theme.Dim}
		}
		return table.Cell{Text: safe.Lit("user"), Style: theme.Info}
	case 1:
		return table.Cell{Text: safe.Bounded(r.name, maxCell), Style: theme.Strong}
	}
	if text, ok := s.p.known[r.id()]; ok {
		return table.Cell{Text: safe.Bounded(text, maxCell)}
	}
	return table.Cell{Text: safe.Lit("Enter asks"), Style: theme.Dim}
}

// refused says why users cannot be asked for; empty: they can.
func (p *users) refused() string {
	switch {
	case p.keys == nil:
		return noEtcd(p.env)
	case p.env.Cluster.ReadOnly():
		return "read-only mode: asking for users and roles is a raft proposal, which changes the log of every member, so it is not sent"
	case p.asking != "":
		return p.asking + ": wait for the answer"
	}
	return ""
}

// Do implements Pane.
func (p *users) Do(in keymap.Intent) tea.Cmd {
	if moveTable(p.table, in) {
		return nil
	}
	if in != keymap.UsersAsk && in != keymap.Enter {
		return nil
	}
	if why := p.refused(); why != "" {
		return toast(why, true)
	}
	if in == keymap.UsersAsk {
		p.asking = "asking for users and roles"
		return p.env.Read(p, p.asking, func(ctx context.Context) any {
			a, err := p.keys.Auth(ctx)
			return authRead{a, err}
		})
	}
	id, ok := p.table.Cursor()
	i := slices.IndexFunc(p.rows, func(r userRow) bool { return r.id() == id })
	if !ok || i < 0 {
		return toast("a asks for the users first", false)
	}
	r := p.rows[i]
	p.asking = "asking for " + r.name
	return p.env.Read(p, p.asking, func(ctx context.Context) any {
		if r.role {
			role, err := p.keys.AuthRole(ctx, r.name)
			return authDetail{r.id(), permissions(role), err}
		}
		roles, err := p.keys.AuthUser(ctx, r.name)
		return authDetail{r.id(), firstOf(strings.Join(roles, ", "), "no role"), err}
	})
}

// permissions are those of a role in words.
func permissions(r etcd.AuthRole) string {
	if r.Name == "root" {
		return "everything"
	}
	var out []string
	for _, p := range r.Permissions {
		out = append(out, fmt.Sprintf("%s %s", strings.ToLower(p.Type), p.Where()))
	}
	return firstOf(strings.Join(out, "; "), "no permission")
}

// Draw implements Pane.
func (p *users) Draw(a draw.Area, focused bool) {
	if p.keys == nil {
		sentence(a, 1, 0, a.H(), theme.Default, noEtcd(p.env))
		return
	}
	y := 0
	say := func(style theme.Style, text string) {
		for l := range strings.SplitSeq(ansi.Wrap(safe.String(text).String(), max(10, a.W()-2), ""), "\n") {
			a.Text(1, y, style, safe.String(l))
			y++
		}
	}
	switch {
	case p.auth != nil && p.auth.Enabled:
		say(theme.Good, fmt.Sprintf("authentication is on, revision %d of the auth store", p.auth.Revision))
	case p.auth != nil:
		say(theme.Warn, "authentication is off: whoever has a client certificate may read and write every key")
	case p.err != nil:
		say(theme.Bad, p.err.Error()+"; Ctrl-R tries again")
	case p.guess.Text != "":
		say(map[bool]theme.Style{true: theme.Good, false: theme.Default}[p.guess.On], p.guess.Text)
	default:
		say(theme.Dim, "looking whether authentication is on…")
	}
	switch {
	case p.asking != "":
		say(theme.Pending, p.asking+"…")
	case p.failed != nil:
		say(theme.Bad, p.failed.Error())
	}
	if p.auth == nil || a.H() > 20 {
		y++
		say(theme.Dim, strings.Join(authSentences, " "))
		if p.env.Cluster.ReadOnly() {
			say(theme.Safe, "This fathom is read-only: it does not send them.")
		}
	}
	if p.spent > 0 {
		say(theme.Dim, plural(p.spent, "proposal")+" of this pane so far")
	}
	if p.auth == nil {
		return
	}
	y++
	p.table.SetEmpty(safe.Lit("there are no users and no roles"))
	p.tableY = y
	p.table.Draw(a.Sub(draw.Rect{Y: y, W: a.W(), H: a.H() - y}), focused)
}

// Title implements Pane.
func (p *users) Title() Title {
	t := Title{Name: safe.Lit("users"), Scope: safe.Lit("etcd")}
	if p.auth != nil {
		t.Count = fmt.Sprintf("%s, %s", plural(len(p.auth.Users), "user"), plural(len(p.auth.Roles), "role"))
	}
	return t
}

// State implements Pane.
func (p *users) State() watchers.State {
	switch {
	case p.keys == nil:
		return watchers.State{Phase: watchers.Unsupported, Resource: "users", Why: noEtcd(p.env)}
	case p.failed != nil:
		return watchers.State{Phase: watchers.Stale, Why: p.failed.Error()}
	case p.err != nil:
		return watchers.State{Phase: watchers.Connecting, Why: p.err.Error()}
	case p.guess.Text == "" && p.auth == nil:
		return watchers.State{Phase: watchers.Connecting}
	}
	return watchers.State{Phase: watchers.Live, Since: p.ReadAt()}
}

// ReadAt implements Aged.
func (p *users) ReadAt() time.Time {
	if p.auth == nil {
		return p.at
	}
	return p.auth.At
}

// Ticks implements Ticker.
func (p *users) Ticks() bool { return !p.ReadAt().IsZero() }

// Ref implements Pane.
func (p *users) Ref() Ref { return p.ref }

// Scopes implements Pane.
func (p *users) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Users, keymap.Table} }

// Click implements Clicker: a click selects; nothing is asked by it.
func (p *users) Click(_, y int) tea.Cmd {
	if id, ok := p.table.RowAt(y - p.tableY); ok {
		p.table.MoveTo(id)
	}
	return nil
}

// Wheel implements Clicker.
func (p *users) Wheel(lines int) tea.Cmd {
	p.table.Move(lines)
	return nil
}
