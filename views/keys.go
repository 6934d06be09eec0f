package views

import "errors"

func newKeys(env *Env, r Ref) (Pane, error) {
	return nil, errors.New("the key tree is not there yet")
}
