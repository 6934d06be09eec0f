package views

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers/etcd"
)

// identityCache keeps the identity between two looks at it.
type identityCache struct {
	at  time.Time
	key string
	cur Identity
}

// Identity implements ui.Opener. It looks at the watchers' newest state at most ten times a second.
func (c *Catalog) Identity() Identity {
	now := c.env.Now()
	if now.Sub(c.identity.at) < 100*time.Millisecond && c.identity.cur.Gen > 0 {
		return c.identity.cur
	}
	c.identity.at = now
	id := c.env.Cluster.Identity()
	next := Identity{
		Context: safe.String(id.Context), Cluster: safe.String(id.Cluster), User: safe.String(id.User), Server: safe.String(id.Server),
		ReadOnly: c.env.Cluster.ReadOnly(), Health: c.health(now),
	}
	if c.env.Cluster.Kube() == nil {
		next.Context = safe.Lit("etcd only")
	}
	key := fmt.Sprint(next)
	if key != c.identity.key {
		c.identity.key = key
		next.Gen = c.identity.cur.Gen + 1
		c.identity.cur = next
	}
	return c.identity.cur
}

func (c *Catalog) health(now time.Time) []draw.Span {
	g := c.env.Theme.Glyphs()
	var out []draw.Span
	add := func(st theme.Style, glyph rune, text string) {
		out = append(out, draw.Span{Text: safe.String(string(glyph) + " "), Style: st}, draw.Span{Text: safe.String(text + " "), Style: st})
	}
	if c.env.Hub != nil {
		switch h := c.env.Hub.Health(); {
		case h.Down && h.LastOK.IsZero():
			add(theme.Bad, g.Bad, "API down")
		case h.Down:
			add(theme.Bad, g.Bad, "API down "+Age(now.Sub(h.LastOK)))
		case h.LastOK.IsZero():
			add(theme.Pending, g.Pending, "API")
		default:
			add(theme.Good, g.Good, "API up")
		}
	}
	if c.env.Etcd != nil {
		s := c.env.Etcd.Snapshot()
		q := s.Quorum
		switch {
		case s.Gen == 0:
			add(theme.Pending, g.Pending, "etcd")
		case !q.Has:
			add(theme.Bad, g.Bad, fmt.Sprintf("etcd %d/%d no quorum", q.Reachable, q.Voters))
		case q.Reachable < q.Voters:
			add(theme.Warn, g.Warn, fmt.Sprintf("etcd %d/%d", q.Reachable, q.Voters))
		default:
			add(theme.Good, g.Good, fmt.Sprintf("etcd %d/%d", q.Reachable, q.Voters))
		}
	}
	return out
}

// Confirm implements ui.Opener.
func (c *Catalog) Confirm(a ActMsg) Confirmation {
	a.Action.Risk = c.env.Runner.Risk(a.Action, a.Targets...)
	id := c.env.Cluster.Identity()
	where := safe.Sprintf("cluster %s, context %s, as %s", id.Cluster, id.Context, id.User)
	if a.Action.Permission == nil { // on etcd
		where = safe.Sprintf("etcd, through %s", a.Targets[0].Endpoint)
		if id.Cluster != "" {
			where = safe.Sprintf("etcd of cluster %s, through %s", id.Cluster, a.Targets[0].Endpoint)
		}
	}
	if a.Targets[0].Kind == "Key" || a.Targets[0].Kind == "Lease" {
		var through []string
		for _, m := range c.env.Cluster.Etcd().Members() {
			through = append(through, m.Endpoint)
		}
		where = safe.Sprintf("etcd of cluster %s, through %s", firstOf(id.Cluster, "unknown"), strings.Join(through, ", "))
	}
	var running atomic.Pointer[actions.Confirmation]
	var stopped atomic.Bool
	conf := Confirmation{
		Action: a.Action, Targets: a.Targets, Identity: []safe.Text{where}, Name: nameToType(a.Targets[0]), Note: a.Note,
		Prepare: func(input string) Prepared { return c.prepare(a, input) },
		Run: func(input, override string) []actions.Outcome {
			conf, err := c.env.Runner.Confirm(a.Action, input, a.Targets...)
			if err != nil {
				return []actions.Outcome{{Action: a.Action.ID, Target: a.Targets[0], Status: actions.Failed, Message: err.Error()}}
			}
			conf.Override(override)
			running.Store(conf)
			if stopped.Load() { // before there was anything to stop
				conf.Stop()
			}
			return c.run(conf)
		},
		Progress: func() actions.Progress {
			if conf := running.Load(); conf != nil {
				return conf.Progress()
			}
			return actions.Progress{}
		},
		Stop: func() {
			stopped.Store(true)
			if conf := running.Load(); conf != nil {
				conf.Stop()
			}
		},
		Copy: c.env.copyText,
	}
	if a.draft != nil {
		c.env.confirmText(&conf, a.draft, a.Input != nil)
	}
	return conf
}

// run performs what was confirmed. The group waits for it to end, so that what was sent is looked at again and journalled also when fathom ends, or
// goes to another cluster, meanwhile.
func (c *Catalog) run(conf *actions.Confirmation) []actions.Outcome {
	one := func(s actions.Status, message string) []actions.Outcome {
		return []actions.Outcome{{Action: conf.Action().ID, Target: conf.Targets()[0], Status: s, Message: message}}
	}
	done := make(chan []actions.Outcome, 1)
	if !c.env.Group.Go("an action", func(ctx context.Context) {
		outs := one(actions.Unknown, "fathom failed while this was done: its journal has the intent")
		defer func() { done <- outs }()
		outs = c.env.Runner.Run(ctx, conf, nil)
	}) {
		return one(actions.Failed, "fathom is ending: nothing was sent")
	}
	return <-done
}

// nameToType is the name that is typed for a critical action. Of a key it is the last part, the name of the object: the whole of it stands above.
func nameToType(t actions.Target) string {
	if t.Kind != "Key" {
		return t.Name
	}
	if i := strings.LastIndex(t.Name, etcd.Separator); i >= 0 && i+1 < len(t.Name) {
		return safe.String(t.Name[i+1:]).String()
	}
	return safe.String(t.Name).String()
}

// prepareTimeout bounds the questions asked before a confirmation.
const prepareTimeout = 8 * time.Second

func (c *Catalog) prepare(a ActMsg, input string) Prepared {
	ctx, cancel := context.WithTimeout(c.env.Group.Context(), prepareTimeout)
	defer cancel()
	var p Prepared
	const most = 3 // previews: a bulk action shows the first few in full
	for i, t := range a.Targets {
		d, err := c.env.Runner.Preflight(ctx, a.Action, t)
		switch {
		case err != nil:
			p.Preview = append(p.Preview, fmt.Sprintf("Whether you may do this could not be asked: %v", err))
		case !d.Allowed:
			return Prepared{Denied: d.Reason}
		}
		if i >= most {
			continue
		}
		lines, err := c.env.Runner.Preview(ctx, a.Action, t, input)
		var refused *actions.Refusal
		switch {
		case errors.As(err, &refused) && refused.Override != "" && len(a.Targets) == 1:
			return Prepared{Preview: lines, Denied: refused.Error(), Override: refused.Override}
		case errors.As(err, &refused):
			return Prepared{Denied: refused.Error()}
		case err != nil:
			p.Preview = append(p.Preview, fmt.Sprintf("What it would do could not be read: %v", err))
		}
		p.Preview = append(p.Preview, lines...)
	}
	if len(a.Targets) == 1 && a.Targets[0].Kind == "Key" {
		p.Detail = c.env.keyDetail(ctx, a.Action, a.Targets[0], input)
	}
	return p
}
