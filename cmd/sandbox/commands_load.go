package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"fathom/cmd/sandbox/internal/control"
	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/layout"
	"fathom/cmd/sandbox/internal/load"
	"fathom/cmd/sandbox/internal/sandbox"
)

func adminClient(d layout.Dir) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", d.AdminKubeconfig())
	if err != nil {
		return nil, fmt.Errorf("client from %s: %w", d.AdminKubeconfig(), err)
	}
	config.QPS = -1
	config.ContentType = "application/vnd.kubernetes.protobuf"
	return kubernetes.NewForConfig(config)
}

// loadFlags are the flags of load.
type loadFlags struct {
	nodes, pods  int
	force, alone bool
	check        bool
}

func (a *app) load() *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Add many nodes and realistic pods (4 to 6 KB each)",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			if f.nodes < 1 || f.nodes > 5000 || f.pods < 0 {
				return usageError{fmt.Errorf("--nodes %d --pods %d: 1 to 5000 nodes, and no fewer than 0 pods", f.nodes, f.pods)}
			}
			return runLoad(cmd, d, f)
		},
	}
	cmd.Flags().IntVar(&f.nodes, "nodes", 1000, "number of nodes to add")
	cmd.Flags().IntVar(&f.pods, "pods", 50000, "number of pods to add; at most 100 for each node")
	cmd.Flags().BoolVar(&f.force, "force", false, "load although memory or etcd's quota look too small")
	cmd.Flags().BoolVar(&f.check, "check", false, "only say whether there is room for it")
	cmd.Flags().BoolVar(&f.alone, "without-controllers", false,
		"leave controller manager, scheduler and kwok dead afterwards, which frees most of their memory; `restart` brings them back")
	return cmd
}

func runLoad(cmd *cobra.Command, d layout.Dir, f loadFlags) error {
	ctx := cmd.Context()
	spec, err := controlplane.Load(d)
	if err != nil {
		return err
	}
	if !f.force {
		if err := load.CheckRoom(spec, f.nodes, f.pods, !f.alone); err != nil {
			return err
		}
	}
	if f.check {
		return nil
	}
	client, err := adminClient(d)
	if err != nil {
		return err
	}
	etcdTLS, err := sandbox.EtcdTLS(d)
	if err != nil {
		return err
	}
	leader, err := sandbox.Leader(ctx, d, spec)
	if err != nil {
		return err
	}
	return load.Run(ctx, client, load.Options{
		Nodes: f.nodes, Pods: f.pods, Spec: spec, EtcdTLS: etcdTLS, Leader: spec.ClientURL(controlplane.MemberIndex(leader)),
		Pause: func(ctx context.Context) (func() error, error) { return pauseControllers(ctx, d, f.alone) },
		Say:   func(format string, args ...any) { fmt.Fprintf(cmd.OutOrStdout(), format+"\n", args...) },
	})
}

// controllers are the components that act on what they see.
var controllers = []string{controlplane.ControllerManager, controlplane.Scheduler, controlplane.Kwok}

// alive are the controllers that run.
func alive(ctx context.Context, client *control.Client) ([]string, error) {
	st, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range st.Components {
		if slices.Contains(controllers, c.Name) && c.State == "running" {
			names = append(names, c.Name)
		}
	}
	return names, nil
}

// pauseControllers kills the controllers that run and returns what starts them
// again: nothing when they are to stay away.
func pauseControllers(ctx context.Context, d layout.Dir, stay bool) (func() error, error) {
	client := control.NewClient(d)
	names, err := alive(ctx, client)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := client.Fault(ctx, "kill", name); err != nil {
			return nil, err
		}
	}
	return func() error {
		if stay {
			return nil
		}
		// Also after Ctrl-C: the cluster must get its controllers back.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		for _, name := range names {
			if err := client.Fault(ctx, "restart", name); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (a *app) churn() *cobra.Command {
	var rate int
	var how time.Duration
	cmd := &cobra.Command{
		Use:   "churn",
		Short: "Change pods' statuses at a steady rate, and replace a few; prints what was reached as JSON",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			if rate < 1 || rate > 10000 || how <= 0 {
				return usageError{fmt.Errorf("--rate %d --for %s: 1 to 10000 changes a second, for longer than nothing", rate, how)}
			}
			return runChurn(cmd, d, rate, how)
		},
	}
	cmd.Flags().IntVar(&rate, "rate", 300, "changes per second")
	cmd.Flags().DurationVar(&how, "for", 60*time.Second, "how long")
	return cmd
}

func runChurn(cmd *cobra.Command, d layout.Dir, rate int, how time.Duration) error {
	spec, err := controlplane.Load(d)
	if err != nil {
		return err
	}
	client, err := adminClient(d)
	if err != nil {
		return err
	}
	etcdTLS, err := sandbox.EtcdTLS(d)
	if err != nil {
		return err
	}
	names, err := alive(cmd.Context(), control.NewClient(d))
	if err != nil {
		return err
	}
	res, err := load.Churn(cmd.Context(), client, load.ChurnOptions{
		Rate: rate, For: how, Spec: spec, EtcdTLS: etcdTLS, Controllers: len(names) == len(controllers),
	})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(cmd.OutOrStdout()).Encode(res); err != nil {
		return err
	}
	if res.Changes == 0 && res.LastError != "" {
		return fmt.Errorf("no change succeeded: %s", res.LastError)
	}
	return nil
}

func (a *app) count() *cobra.Command {
	return &cobra.Command{
		Use:   "count",
		Short: "Print how many pods there are, as etcd counts them",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			spec, err := controlplane.Load(d)
			if err != nil {
				return err
			}
			etcdTLS, err := sandbox.EtcdTLS(d)
			if err != nil {
				return err
			}
			n, err := load.Count(cmd.Context(), spec, etcdTLS)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), n)
			return nil
		},
	}
}
