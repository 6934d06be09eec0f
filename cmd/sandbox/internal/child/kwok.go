package child

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/client"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/fleet"
	"fathom/cmd/sandbox/internal/kubelet"
	"fathom/cmd/sandbox/internal/layout"
)

//go:embed stages/*.yaml
var stageFiles embed.FS

// leaseSeconds is the length of a node lease; kwok renews after a quarter of
// it. Twice the kubelet's 40 s: a thousand nodes of load then cost fifty
// writes a second instead of a hundred.
const leaseSeconds = 80

// runKwok simulates the nodes: kwok plays the life of nodes and pods, and the
// kubelet server answers for logs, exec and port-forward.
func runKwok(args []string) int {
	if err := serveNodes(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serveNodes(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("child kwok: want the sandbox directory, got %q", args)
	}
	d, err := layout.New(args[0])
	if err != nil {
		return err
	}
	spec, err := controlplane.Load(d)
	if err != nil {
		return err
	}
	// kwok would write a line for every patch.
	ctx := kwoklog.NewContext(context.Background(), kwoklog.NewLogger(os.Stderr, kwoklog.LevelWarn))
	clients := &clientSources{}
	if clients.set, err = client.NewClientset("", d.KwokKubeconfig()); err != nil {
		return fmt.Errorf("kwok: client from %s: %w", d.KwokKubeconfig(), err)
	}
	conf, err := clients.config()
	if err != nil {
		return err
	}
	troubles := kubelet.NewTroubles(conf.TypedClient)
	go troubles.Run(ctx)
	server := &kubelet.Server{Dir: d, Port: spec.KubeletPort, Client: conf.TypedClient}
	failed := make(chan error, 1)
	go func() { failed <- server.Run(ctx) }()
	waitForAPI(ctx, conf.TypedClient)
	controller, err := controllers.NewController(conf)
	if err != nil {
		return fmt.Errorf("kwok: %w", err)
	}
	if err := controller.Start(ctx); err != nil {
		return fmt.Errorf("kwok: start simulating nodes: %w", err)
	}
	return <-failed
}

type clientSources struct{ set client.Clientset }

// config assembles what kwok's controller wants, with our stages.
func (c *clientSources) config() (controllers.Config, error) {
	conf := controllers.Config{
		Clock:                           clock.RealClock{},
		ImpersonatingDynamicClient:      c.set.ToImpersonatingDynamicClient(),
		ImpersonatingTypedClient:        c.set.ToImpersonatingTypedClient(),
		ManageNodesWithLabelSelector:    fleet.SimulatedLabel + "=" + fleet.SimulatedLabelValue,
		CIDR:                            controlplane.PodCIDR,
		NodeIP:                          "127.0.0.1",
		PodPlayStageParallelism:         8,
		NodePlayStageParallelism:        4,
		NodeLeaseParallelism:            4,
		NodeLeaseDurationSeconds:        leaseSeconds,
		PodsOnNodeSyncParallelism:       4,
		EnablePodsOnNodeSyncStreamWatch: true,
	}
	restConfig, err := c.set.ToRESTConfig()
	if err != nil {
		return conf, err
	}
	if conf.DynamicClient, err = c.set.ToDynamicClient(); err != nil {
		return conf, err
	}
	if conf.RESTMapper, err = c.set.ToRESTMapper(); err != nil {
		return conf, err
	}
	if conf.RESTClient, err = rest.RESTClientFor(restConfig); err != nil {
		return conf, err
	}
	if conf.TypedClient, err = kubernetes.NewForConfig(restConfig); err != nil {
		return conf, err
	}
	if conf.TypedKwokClient, err = versioned.NewForConfig(restConfig); err != nil {
		return conf, err
	}
	if conf.ID, err = controllers.Identity(); err != nil {
		return conf, err
	}
	conf.LocalStages, err = stages()
	return conf, err
}

// stages are kwok's own for nodes and ours for pods: ours show container ids
// and start times, and leave the pods in trouble to the kubelet package.
func stages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	texts := []string{fast.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease}
	names, err := fs.Glob(stageFiles, "stages/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		b, err := stageFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(b))
	}
	out := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, text := range texts {
		st, err := kwokconfig.UnmarshalWithType[*internalversion.Stage](text)
		if err != nil {
			return nil, fmt.Errorf("kwok stage: %w", err)
		}
		out[st.Spec.ResourceRef] = append(out[st.Spec.ResourceRef], st)
	}
	return out, nil
}

// waitForAPI returns when the API server answers; there is no use in ending
// before that, the parent would only start us again.
func waitForAPI(ctx context.Context, c kubernetes.Interface) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := c.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
