package views

import (
	"fathom/cluster"
	"fathom/keymap"
)

// listedKind is how a resource without typed rows is shown: by name and age until the server has told its columns.
func listedKind(r cluster.Resource) Kind {
	return Kind{GVR: r.GVR(), Kind: r.Kind, Namespaced: r.Namespaced, Scopes: []keymap.Scope{keymap.Objects}}
}
