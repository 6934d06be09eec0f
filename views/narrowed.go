package views

import "fmt"

// narrowed is a part of panes whose rows can be filtered: what they were opened by, and the filter as it is now.
type narrowed struct {
	ref    Ref
	filter Filter
}

// Ref implements Pane.
func (n *narrowed) Ref() Ref {
	r := n.ref
	r.Filter = n.filter.String()
	return r
}

// Filter implements Filterer.
func (n *narrowed) Filter() string { return n.filter.String() }

// narrow takes a filter that was parsed, and shows the rows that pass it.
func (n *narrowed) narrow(f Filter, err error, show func()) error {
	if err != nil {
		return err
	}
	n.filter = f
	show()
	return nil
}

// textFilter parses a filter of rows, named in the plural, that have no labels; part is what of them is typed.
func textFilter(expr, rows, part string) (Filter, error) {
	f, err := ParseFilter(expr)
	if err == nil && !f.IsEmpty() && !f.NeedsText() {
		return Filter{}, fmt.Errorf("/%s: %s have no labels; type a part of the %s instead", expr, rows, part)
	}
	return f, err
}

// keyFilter parses a filter of keys.
func keyFilter(expr string) (Filter, error) { return textFilter(expr, "keys", "key") }
