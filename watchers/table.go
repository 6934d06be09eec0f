package watchers

import "context"

// table keeps a store up to date with server-side Tables.
type table struct{ src *source }

func newTable(s *source) *table { return &table{src: s} }

func (t *table) listAndWatch(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
