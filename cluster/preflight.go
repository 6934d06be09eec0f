package cluster

import "context"

// Preflight is the check before the screen is taken. It returns an error, one line, only when nothing can be shown: nothing is
// configured, or every configured source has definitely failed (refused, certificate not accepted, expired). A source that has not
// answered within 80 ms is not a failure.
func Preflight(ctx context.Context, c *Cluster) error { return nil }
