package views

import (
	"slices"

	"fathom/keymap"
)

// resort changes the column the rows are sorted by.
func (p *resource) resort(in keymap.Intent) {
	keys := []string{""}
	at := 0
	for _, c := range p.cols {
		keys = append(keys, c.Key)
		if c.Key == p.sort {
			at = len(keys) - 1
		}
	}
	pick := func(want ...string) {
		for _, k := range want {
			if !slices.Contains(keys, k) {
				continue
			}
			if p.sort == k {
				p.desc = !p.desc
			} else {
				p.sort, p.desc = k, false
			}
			return
		}
	}
	switch in {
	case keymap.SortNext:
		p.sort, p.desc = keys[(at+1)%len(keys)], false
	case keymap.SortPrev:
		p.sort, p.desc = keys[(at+len(keys)-1)%len(keys)], false
	case keymap.SortReverse:
		p.desc = !p.desc
		if p.sort == "" {
			p.sort = "name"
		}
	case keymap.SortName:
		pick("name")
	case keymap.SortAge:
		pick("createdAt", "lastSeen")
	case keymap.SortStatus:
		pick("status", "state", "phase", "type")
	}
	p.layoutColumns()
	p.requery(false)
}
