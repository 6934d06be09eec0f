package kubelet

import (
	"context"

	"k8s.io/client-go/kubernetes"
)

// Troubles plays the pods that do badly.
type Troubles struct{ client kubernetes.Interface }

// NewTroubles makes the player.
func NewTroubles(c kubernetes.Interface) *Troubles { return &Troubles{client: c} }

// Run plays until the context ends.
func (t *Troubles) Run(ctx context.Context) { <-ctx.Done() }
