package main

import (
	"context"
	"fmt"
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

func (a *app) load() *cobra.Command {
	var nodes, pods int
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Add many nodes and realistic pods (4 to 6 KB each)",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			if nodes < 1 || nodes > 5000 || pods < 0 {
				return usageError{fmt.Errorf("--nodes %d --pods %d: 1 to 5000 nodes, and no fewer than 0 pods", nodes, pods)}
			}
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
			return load.Run(cmd.Context(), client, load.Options{
				Nodes: nodes, Pods: pods, Spec: spec, EtcdTLS: etcdTLS,
				Pause: func(ctx context.Context) (func() error, error) { return pauseControllers(ctx, d) },
				Say:   func(format string, args ...any) { fmt.Fprintf(cmd.OutOrStdout(), format+"\n", args...) },
			})
		},
	}
	cmd.Flags().IntVar(&nodes, "nodes", 1000, "number of nodes to add")
	cmd.Flags().IntVar(&pods, "pods", 50000, "number of pods to add; at most 100 for each node")
	return cmd
}

// pauseControllers kills the controller manager, unless somebody else has, and
// returns what starts it again.
func pauseControllers(ctx context.Context, d layout.Dir) (func() error, error) {
	client := control.NewClient(d)
	st, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range st.Components {
		if c.Name == controlplane.ControllerManager && c.State == "dead" {
			return func() error { return nil }, nil
		}
	}
	if err := client.Fault(ctx, "kill", controlplane.ControllerManager); err != nil {
		return nil, err
	}
	return func() error {
		// Also after Ctrl-C: the cluster must get its controllers back.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return client.Fault(ctx, "restart", controlplane.ControllerManager)
	}, nil
}

func (a *app) churn() *cobra.Command {
	var rate int
	var how time.Duration
	cmd := &cobra.Command{
		Use:   "churn",
		Short: "Change pods' statuses and annotations at a steady rate",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			if rate < 1 || rate > 10000 || how <= 0 {
				return usageError{fmt.Errorf("--rate %d --for %s: 1 to 10000 changes a second, for longer than nothing", rate, how)}
			}
			client, err := adminClient(d)
			if err != nil {
				return err
			}
			res, err := load.Churn(cmd.Context(), client, rate, how)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d changes in %.1fs (%.0f/s), %d failed\n", res.Sent, res.Took.Seconds(), float64(res.Sent)/res.Took.Seconds(), res.Failed)
			if res.Sent == 0 && res.LastError != nil {
				return fmt.Errorf("no change succeeded: %w", res.LastError)
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&rate, "rate", 300, "changes per second")
	cmd.Flags().DurationVar(&how, "for", 60*time.Second, "how long")
	return cmd
}
