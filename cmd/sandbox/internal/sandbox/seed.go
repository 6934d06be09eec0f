package sandbox

import (
	"context"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/layout"
	"fathom/cmd/sandbox/internal/seed"
)

// seed fills the cluster and marks the directory when that has settled. A seed
// that fails leaves a running cluster behind, so it only says so.
func (s *Sandbox) seed(ctx context.Context) {
	if s.spec.Seed == controlplane.SeedSample {
		if err := s.sample(ctx); err != nil {
			if ctx.Err() == nil {
				s.say("sample workloads: %v", err)
			}
			return
		}
		s.say("sample workloads settled after %.1fs", time.Since(s.began).Seconds())
	}
	if err := os.WriteFile(s.dir.Seeded(), nil, 0o600); err != nil {
		s.say("mark the sandbox seeded: %v", err)
	}
}

func (s *Sandbox) sample(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", s.dir.Host(layout.KubernetesDir+"/super-admin.conf"))
	if err != nil {
		return err
	}
	config.QPS = -1
	sample := &seed.Sample{Dir: s.dir, Spec: s.spec, Nodes: s.nodes()}
	return sample.Run(ctx, config)
}
