package ui

import (
	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

// helpOverlay lists the keys that work here, generated from the key map.
type helpOverlay struct {
	rows [][]draw.Span
	top  int
	page int
}

func newHelp(m *Model) *helpOverlay {
	h := &helpOverlay{}
	ro := m.o.Opener.Identity().ReadOnly
	for _, g := range m.o.Keys.Help(m.scopes()) {
		if len(h.rows) > 0 {
			h.rows = append(h.rows, nil)
		}
		h.rows = append(h.rows, []draw.Span{{Text: safe.String(g.Title), Style: theme.Title}})
		for _, b := range g.Bindings {
			row := []draw.Span{{Text: safe.String(pad(keyNames(b.Keys), 22)), Style: theme.Key}, {Text: safe.String(b.Help)}}
			if b.Writes && ro {
				row = append(row, draw.Span{Text: safe.Lit("  (refused: read-only)"), Style: theme.Dim})
			}
			h.rows = append(h.rows, row)
		}
	}
	return h
}

func keyNames(keys []string) string {
	s := ""
	for i, k := range keys {
		if i > 0 {
			s += ", "
		}
		s += k
	}
	return s
}

func pad(s string, w int) string {
	for len(s) < w {
		s += " "
	}
	return s + " "
}

func (h *helpOverlay) key(m *Model, k tea.KeyPressMsg) tea.Cmd {
	last := max(0, len(h.rows)-h.page)
	switch k.String() {
	case "esc", "q", "?", "enter":
		m.overlay = nil
	case "j", "down":
		h.top = min(h.top+1, last)
	case "k", "up":
		h.top = max(h.top-1, 0)
	case "ctrl+f", "pgdown", "space":
		h.top = min(h.top+h.page, last)
	case "ctrl+b", "pgup":
		h.top = max(h.top-h.page, 0)
	case "g", "home":
		h.top = 0
	case "G", "end":
		h.top = last
	}
	return nil
}

func (h *helpOverlay) draw(m *Model, a draw.Area) {
	a.Clear()
	// Two columns where there is room: the list is read down, then across.
	cols := 1
	if a.W()-2 >= 120 {
		cols = 2
	}
	h.page = max(0, a.H()-2) * cols
	h.top = max(0, min(h.top, len(h.rows)-h.page)) // the screen may have grown
	right := []draw.Span{{Text: safe.Lit(" Esc closes "), Style: theme.Dim}}
	if len(h.rows) > h.page {
		right = []draw.Span{{Text: safe.Sprintf(" %d-%d of %d lines, arrows scroll, Esc closes ", h.top+1, min(h.top+h.page, len(h.rows)), len(h.rows)), Style: theme.Dim}}
	}
	in := a.Box([]draw.Span{{Text: safe.Lit(" help "), Style: theme.Title}}, right, true, m.o.Theme)
	for i := 0; i < h.page && h.top+i < len(h.rows); i++ {
		col := i / max(1, in.H())
		w := in.W() / cols
		in.Spans(col*w+1, i%in.H(), w-2, h.rows[h.top+i])
	}
}
