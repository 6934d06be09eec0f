package views

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"fathom/cluster"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers"
)

// listedKind is how a resource without typed rows is shown: by name and age until the server has told its columns.
func listedKind(r cluster.Resource) Kind {
	return Kind{GVR: r.GVR(), Kind: r.Kind, Namespaced: r.Namespaced, Scopes: []keymap.Scope{keymap.Objects}}
}

// tableColumns turns the columns of a server-side Table into ours. Name and age are ours already.
func tableColumns(defs []watchers.TableColumn) []Column {
	var cols []Column
	taken := []string{"namespace", "name", "createdAt"} // the fields that every row has
	for i, d := range defs {
		if d.Name == "Name" && d.Format == "name" || d.Name == "Age" {
			continue
		}
		get := func(r watchers.Row) any {
			if t, ok := r.(*watchers.TableRow); ok && i < len(t.Cells) {
				return t.Cells[i]
			}
			return nil
		}
		key := lowerCamel(d.Name)
		for n := 2; slices.Contains(taken, key); n++ { // what a CRD calls "Namespace" is not the object's
			key = lowerCamel(d.Name) + strconv.Itoa(n)
		}
		taken = append(taken, key)
		c := Column{Title: strings.ToUpper(d.Name), Key: key, Priority: 3 + int(d.Priority), Wide: d.Priority > 0, Max: 60,
			Cell: func(r watchers.Row, _ time.Time) (string, theme.Style) {
				v := get(r)
				if v == nil {
					return "-", theme.Dim
				}
				return cellText(v), theme.Default
			},
			Value: get,
		}
		if d.Type == "integer" || d.Type == "number" {
			c.Align = draw.Right
			c.Compare = func(a, b watchers.Row) int {
				fa, _ := get(a).(float64)
				fb, _ := get(b).(float64)
				return cmp.Compare(fa, fb)
			}
		}
		cols = append(cols, c)
	}
	return cols
}

func cellText(v any) string {
	if f, ok := v.(float64); ok && f == float64(int64(f)) {
		return fmt.Sprint(int64(f))
	}
	return fmt.Sprint(v)
}

// lowerCamel makes a JSON name of a column title: "Desired Replicas" -> desiredReplicas.
func lowerCamel(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '-' || r == '_' || r == '/' || r == '.' })
	for i, w := range words {
		if i == 0 {
			words[i] = strings.ToLower(w)
			continue
		}
		_, n := utf8.DecodeRuneInString(w)
		words[i] = strings.ToUpper(w[:n]) + strings.ToLower(w[n:])
	}
	return strings.Join(words, "")
}
