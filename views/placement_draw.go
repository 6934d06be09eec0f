package views

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/ui/draw"
	"fathom/watchers"
)

func (p *placement) draw(a draw.Area, focused bool) {
	legend, detail := p.fit(a.W(), a.H())
	l, nodes := &p.lay, len(p.pic.nodes)
	if p.pos < nodes {
		row, _ := l.grid.place(p.pos)
		l.reveal(row)
	} else {
		l.reveal(-1)
		k := p.pos - nodes
		l.ptop = max(min(l.ptop, k), k-l.pendH+1)
	}
	l.ptop = max(0, min(l.ptop, len(p.pic.pending)-l.pendH))
	p.drawGrid(a.Sub(draw.Rect{W: a.W(), H: l.gridH}), focused)
	if l.pendH > 0 {
		p.drawPending(a.Sub(draw.Rect{Y: l.gridH, W: a.W(), H: l.pendH + 1}), focused)
	}
	if legend > 0 {
		p.drawLegend(a.Sub(draw.Rect{Y: a.H() - legend - detail, W: a.W(), H: 1}))
	}
	if detail > 0 {
		p.drawDetail(a.Sub(draw.Rect{Y: a.H() - detail, W: a.W(), H: detail}))
	}
}

// drawGrid draws the visible rows of zones and nodes, and nothing else is looked at.
func (p *placement) drawGrid(a draw.Area, focused bool) {
	l := &p.lay
	l.shown = 0
	if len(p.pic.nodes) == 0 {
		a.Text(cardGutter, 0, theme.Dim, p.emptyText())
		return
	}
	y := 0
	for r := l.top; r < l.grid.rows() && y < a.H(); r++ {
		row := l.grid.row(r)
		l.shown++
		if row.heading {
			p.drawZone(a, y, &p.pic.zones[row.zone])
			y++
			continue
		}
		for i := row.from; i < row.to; i++ {
			w := l.cardW - cardGap
			if l.grid.across == 1 {
				w = l.cardW
			}
			c := a.Sub(draw.Rect{X: (i - row.from) * l.cardW, Y: y, W: w, H: l.cardH})
			if l.card {
				p.drawCard(c, p.pic.nodes[i])
			} else {
				p.drawLine(c, p.pic.nodes[i])
			}
			if i == p.pos {
				p.mark(c, focused)
			}
		}
		y += l.cardH
	}
	g := p.env.Theme.Glyphs()
	if l.top > 0 {
		a.Glyph(a.W()-1, 0, theme.Border, g.ScrollUp)
	}
	if l.top+l.shown < l.grid.rows() || y > a.H() {
		a.Glyph(a.W()-1, a.H()-1, theme.Border, g.ScrollDown)
	}
}

// mark draws the cursor in front of the first line of a and over it.
func (p *placement) mark(a draw.Area, focused bool) {
	flags := theme.Reverse
	if !focused {
		flags = theme.Bold
	}
	glyph, style := p.env.Theme.Glyphs().Cursor, theme.Strong
	if p.gone {
		glyph, style = p.env.Theme.Glyphs().Unknown, theme.Warn
	}
	a.Glyph(0, 0, style, glyph)
	a.Mark(draw.Rect{W: a.W(), H: 1}, flags)
}

func (p *placement) emptyText() safe.Text {
	st := p.part(watchers.Key{GVR: watchers.Nodes()})
	switch {
	case p.env.Hub == nil && p.snap.Gen == 0:
		return safe.Lit("no API server: give --kubeconfig or --context")
	case p.snap.Gen == 0 || st.Phase == watchers.Connecting:
		return safe.Lit("waiting for the nodes…")
	case st.Phase == watchers.Denied:
		return safe.Sprintf("you may not %s nodes, and no pod that you may see is on one", st.Verb)
	case !p.filter.IsEmpty() && len(p.pic.pending) == 0:
		return safe.Sprintf("no node and no pending pod matches /%s; Esc shows all %d nodes", p.filter.String(), p.pic.allNodes)
	case !p.filter.IsEmpty():
		return safe.Sprintf("no node matches /%s; Esc shows all %d", p.filter.String(), p.pic.allNodes)
	}
	return safe.Lit("the cluster has no nodes")
}

// resourceGauge is one of the three amounts that pods are placed by.
type resourceGauge struct {
	name  string
	gauge chart.Gauge
}

func gauges(have, of watchers.Amount) [3]resourceGauge {
	g := func(name string, v, t int64, label string) resourceGauge {
		return resourceGauge{name, chart.Gauge{Value: float64(v), Total: float64(t), WarnAt: 0.8, BadAt: 0.95, Label: safe.String(label)}}
	}
	return [3]resourceGauge{
		g("cpu", have.MilliCPU, of.MilliCPU, short(have.MilliCPU, of.MilliCPU, 1000, "")),
		g("memory", have.Memory, of.Memory, shortBytes(have.Memory, of.Memory)),
		g("pods", have.Pods, of.Pods, short(have.Pods*1000, of.Pods*1000, 1000, "")),
	}
}

// short is "0.8/3.9" or "10/64Gi": both numbers in the unit of the second, with a decimal only where it matters.
func short(have, total int64, unit float64, name string) string {
	f := func(n int64) string {
		v := float64(n) / unit
		switch {
		case n > 0 && v < 0.05:
			return "<0.1"
		case v >= 9.95:
			return strconv.FormatFloat(v, 'f', 0, 64)
		}
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	}
	if total == 0 { // a node that was not seen
		return f(have) + name
	}
	return f(have) + "/" + f(total) + name
}

func shortBytes(have, total int64) string {
	switch most := max(have, total); {
	case most >= 10<<40:
		return short(have, total, 1<<40, "Ti")
	case most >= 1<<30:
		return short(have, total, 1<<30, "Gi")
	}
	return short(have, total, 1<<20, "Mi")
}

// columns of a node in one line: where the amounts begin, and how wide they are.
func (p *placement) lineColumns(w int) (x int, widths [3]int) {
	switch {
	case w >= 100:
		widths = [3]int{20, 22, 18}
	case w >= 74:
		widths = [3]int{14, 17, 9}
	default:
		widths = [3]int{9, 11, 9}
	}
	return w - widths[0] - widths[1] - widths[2] - 2, widths
}

func (p *placement) drawZone(a draw.Area, y int, z *placedZone) {
	name := firstOf(z.name, "no zone")
	th := p.env.Theme
	x := a.Text(1, y, theme.Title, safe.Bounded(name, 40))
	x = a.Text(x+1, y, theme.Dim, safe.Sprintf("%s ", plural(z.to-z.from, "node")))
	rule := func(to int) {
		for x++; x < to-1; x++ {
			a.Glyph(x, y, theme.Border, th.Glyphs().Horizontal)
		}
	}
	gs := gauges(z.requested, z.allocatable)
	if p.lay.card {
		for _, g := range gs {
			level := theme.Default
			switch g.gauge.Level() {
			case chart.Warn:
				level = theme.Warn
			case chart.Bad:
				level = theme.Bad
			}
			x = a.Text(x+1, y, theme.Dim, safe.String(g.name+" "))
			x = a.Text(x, y, level, g.gauge.Label) + 1
		}
		rule(a.W() + 1)
		return
	}
	for c := range p.lay.grid.across {
		at, widths := p.lineColumns(p.lay.cardW - min(p.lay.grid.across-1, 1)*cardGap)
		at += c * p.lay.cardW
		rule(at)
		for i, w := range widths {
			if g := gs[i]; c == 0 && w >= 14 && p.lay.grid.across == 1 {
				a.Spans(at, y, w, []draw.Span{{Text: safe.String(g.name + " "), Style: theme.Header}, {Text: g.gauge.Label, Style: theme.Dim}})
			} else {
				a.TextAligned(at, y, w, draw.Left, theme.Header, safe.String(g.name))
			}
			at += w + 1
		}
		x = at
	}
}

// words says what is the matter with a node. Taints are added, for where they are not listed.
func (p *placement) words(n *watchers.NodePods, withTaints bool) string {
	if n.Missing && p.part(watchers.Key{GVR: watchers.Nodes()}).Phase != watchers.Live {
		return "not seen"
	}
	w := nodeWords(n)
	if withTaints && len(n.Node.Taints) > 0 && w == "" {
		w = plural(len(n.Node.Taints), "taint")
	}
	return w
}

func (p *placement) nodeSign(n *watchers.NodePods) (rune, theme.Style) {
	if n.Missing {
		return p.env.Theme.Glyphs().Unknown, theme.Dim
	}
	s := nodeStyle(n.Node)
	return p.env.Theme.StateGlyph(s), s
}

// drawLine draws a node in one line.
func (p *placement) drawLine(a draw.Area, n *watchers.NodePods) {
	glyph, style := p.nodeSign(n)
	a.Glyph(1, 0, style, glyph)
	at, widths := p.lineColumns(a.W())
	names := min(p.pic.names, max(8, at-cardGutter-8))
	a.TextAligned(cardGutter, 0, names, draw.Left, theme.Strong, safe.Bounded(n.Node.Name, 80))
	x := cardGutter + names + 1
	if w := p.words(n, true); w != "" {
		if nodeWords(n) == "" {
			style = theme.Dim
		}
		t := safe.Bounded(w, min(compactWords, max(0, (at-x)/2)))
		x = a.Text(x, 0, style, t) + 1
	}
	p.drawPods(a, x, 0, at-x-1, 1, n.Pods)
	for i, g := range gauges(n.Requested, n.Node.Allocatable) {
		if n.Missing {
			break
		}
		g.gauge.LabelW = min(g.gauge.Label.Width(), 9)
		if widths[i] >= 14 {
			g.gauge.LabelW = [3]int{7, 9, 7}[i]
		}
		chart.Bar(a.Sub(draw.Rect{W: at + widths[i], H: 1}), p.env.Theme, at, 0, widths[i], g.gauge)
		at += widths[i] + 1
	}
}

// drawCard draws a node in several lines: its name and state, its pods, its amounts.
func (p *placement) drawCard(a draw.Area, n *watchers.NodePods) {
	glyph, style := p.nodeSign(n)
	a.Glyph(1, 0, style, glyph)
	x := a.Text(cardGutter, 0, theme.Strong, safe.Bounded(n.Node.Name, max(8, a.W()/2))) + 1
	x = a.Text(x, 0, style, safe.String(firstOf(p.words(n, false), "Ready"))) + 1
	if len(n.Node.Taints) > 0 && x < a.W() {
		t := safe.String(taints(n.Node.Taints)).Truncate(a.W() - x)
		a.Text(max(x, a.W()-t.Width()), 0, theme.Dim, t)
	}
	p.drawPods(a, cardGutter, 1, a.W()-cardGutter, p.lay.podRow, n.Pods)
	if len(n.Pods) == 0 {
		a.Text(cardGutter, 1, theme.Dim, safe.Lit("no pods"))
	}
	if n.Missing {
		return
	}
	y, at := 1+p.lay.podRow, cardGutter
	names, labels := [3]string{"cpu ", "mem ", "pods "}, [3]int{7, 8, 7}
	// The bars share what the words leave; the one of the pods is the first to go.
	const sign, gap = 3, 1
	room := a.W() - cardGutter
	for i := range names {
		room -= len(names[i]) + labels[i] + gap
	}
	bars := [3]int{(room - 3*sign) / 3, (room - 3*sign) / 3, (room - 3*sign) / 3}
	if bars[0] < 4 {
		bars = [3]int{(room - 3*sign + 1) / 2, (room - 3*sign + 1) / 2, -1}
	}
	for i, g := range gauges(n.Requested, n.Node.Allocatable) {
		x := a.Text(at, y, theme.Dim, safe.String(names[i]))
		g.gauge.LabelW = labels[i]
		w := max(0, bars[i]+sign) + labels[i]
		chart.Bar(a, p.env.Theme, x, y, w, g.gauge)
		at = x + w + gap
	}
}

// drawPods draws a cell for every pod, with a gap between the pods of two workloads, or, where there is no room for gaps, with
// every other workload underlined.
func (p *placement) drawPods(a draw.Area, x, y, w, h int, pods []*watchers.PodRow) {
	if w <= 0 || len(pods) == 0 {
		return
	}
	th := p.env.Theme
	groups := 1
	for i := 1; i < len(pods); i++ {
		if !sameWorkload(pods[i-1], pods[i]) {
			groups++
		}
	}
	if len(pods)+groups-1 <= w {
		for i, pod := range pods {
			if i > 0 && !sameWorkload(pods[i-1], pod) {
				x++
			}
			a.Glyph(x, y, classStyle(pod.Class), classGlyph(th, pod.Class))
			x++
		}
		return
	}
	var odd theme.Style
	chart.NewGrid(len(pods), w, h).Draw(a, th, x, y, func(i int) chart.Cell {
		if i > 0 && !sameWorkload(pods[i-1], pods[i]) {
			odd ^= theme.Under
		}
		return chart.Cell{Glyph: classGlyph(th, pods[i].Class), Style: classStyle(pods[i].Class) | odd}
	})
}

func sameWorkload(a, b *watchers.PodRow) bool {
	return a.Namespace == b.Namespace && a.Workload == b.Workload
}

// drawPending draws the pods that have no node, with the scheduler's reason.
func (p *placement) drawPending(a draw.Area, focused bool) {
	th, now := p.env.Theme, p.env.Now()
	x := a.Text(1, 0, theme.Title, safe.Lit("Pending"))
	x = a.Text(x+1, 0, theme.Dim, safe.Sprintf("%s without a node", plural(len(p.pic.pending), "pod")))
	for x++; x < a.W(); x++ {
		a.Glyph(x, 0, theme.Border, th.Glyphs().Horizontal)
	}
	shown := p.pic.pending[p.lay.ptop:min(len(p.pic.pending), p.lay.ptop+p.lay.pendH)]
	names := 0
	for _, pod := range shown {
		names = max(names, safe.Bounded(pod.Namespace+"/"+pod.Name, 60).Width())
	}
	names = min(names, a.W()*2/5)
	for i, pod := range shown {
		c := a.Sub(draw.Rect{Y: 1 + i, W: a.W(), H: 1})
		c.Glyph(1, 0, classStyle(pod.Class), classGlyph(th, pod.Class))
		c.TextAligned(cardGutter, 0, 6, draw.Right, theme.Dim, safe.String(Age(now.Sub(pod.Created))))
		c.TextAligned(cardGutter+7, 0, names, draw.Left, theme.Strong, safe.Bounded(pod.Namespace+"/"+pod.Name, 60))
		reason := pendingReason(pod)
		if _, rest, ok := strings.Cut(reason, "nodes are available: "); ok { // that none of them is, is known
			reason = rest
		}
		for _, more := range []string{". no new claims to deallocate", ". preemption: "} { // the line at the bottom has it all
			reason, _, _ = strings.Cut(reason, more)
		}
		c.TextAligned(cardGutter+8+names, 0, a.W(), draw.Left, theme.Default, safe.Bounded(reason, 400))
		if len(p.pic.nodes)+p.lay.ptop+i == p.pos {
			p.mark(c, focused)
		}
	}
	if rest := len(p.pic.pending) - p.lay.ptop - len(shown); rest > 0 {
		t := safe.Sprintf(" %d more below", rest)
		a.Text(a.W()-t.Width(), 0, theme.Dim, t)
	}
}

// drawLegend says what the cells stand for, and how many there are of each.
func (p *placement) drawLegend(a draw.Area) {
	x := 1
	for _, c := range classOrder {
		n := p.pic.classes[c]
		if n == 0 {
			continue
		}
		a.Glyph(x, 0, classStyle(c), classGlyph(p.env.Theme, c))
		x = a.Text(x+2, 0, theme.Dim, safe.Sprintf("%s %s", Count(n), c)) + 2
	}
	how := safe.Lit("a gap or underline: another workload")
	if x+how.Width() < a.W() {
		a.Text(a.W()-how.Width()-1, 0, theme.Dim, how)
	}
}

// drawDetail names what is under the cursor.
func (p *placement) drawDetail(a draw.Area) {
	var text string
	switch n, pod := p.pic.at(p.pos); {
	case p.gone:
		text = "what the cursor was on is gone"
	case n != nil:
		text = p.nodeDetail(n)
	case pod != nil:
		text = fmt.Sprintf("%s/%s · %s · %s", pod.Namespace, pod.Name, owner(pod.Workload), pendingReason(pod))
	}
	words := strings.Fields(text)
	for y := range a.H() {
		line := ""
		for len(words) > 0 {
			next := joinWith(line, " ", words[0])
			if line != "" && y < a.H()-1 && safe.String(next).Width() > a.W()-2 {
				break
			}
			line, words = next, words[1:]
		}
		a.Text(1, y, theme.Default, safe.String(line))
	}
}

// topWorkloads bounds what the detail line says of a node's pods.
const topWorkloads = 4

func (p *placement) nodeDetail(n *watchers.NodePods) string {
	parts := []string{n.Node.Name}
	if !n.Missing {
		parts = append(parts, firstOf(n.Node.Zone, "no zone"), n.Node.Status)
	}
	if len(n.Node.Conditions) > 0 {
		parts = append(parts, strings.Join(n.Node.Conditions, ", "))
	}
	if len(n.Node.Taints) > 0 {
		parts = append(parts, "taints "+strings.Join(taintList(n.Node.Taints), ", "))
	}
	type count struct {
		name string
		n    int
	}
	var top []count
	for i, pod := range n.Pods { // neighbours belong together
		if i == 0 || !sameWorkload(n.Pods[i-1], pod) {
			top = append(top, count{name: workloadName(pod)})
		}
		top[len(top)-1].n++
	}
	slices.SortStableFunc(top, func(a, b count) int { return b.n - a.n })
	var names []string
	for _, c := range top[:min(topWorkloads, len(top))] {
		if c.n > 1 {
			c.name += fmt.Sprintf(" (%d)", c.n)
		}
		names = append(names, c.name)
	}
	if rest := len(top) - len(names); rest > 0 {
		names = append(names, fmt.Sprintf("%d more", rest))
	}
	if len(names) == 0 {
		names = append(names, "no pods")
	}
	return strings.Join(append(parts, strings.Join(names, ", ")), " · ")
}
