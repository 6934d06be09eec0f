package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fathom/cmd/sandbox/internal/control"
	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/layout"
	"fathom/cmd/sandbox/internal/sandbox"
)

// usageError marks a wrong command line, for the exit code.
type usageError struct{ error }

func isUsage(err error) bool {
	var u usageError
	return errors.As(err, &u)
}

// app holds the one flag all subcommands share.
type app struct{ dirFlag string }

func (a *app) dir() (layout.Dir, error) {
	d, err := layout.New(a.dirFlag)
	if err != nil {
		return d, usageError{err}
	}
	return d, nil
}

func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:   "fathom-sandbox",
		Short: "A real Kubernetes control plane on a real etcd cluster, in one directory",
		Long: `fathom-sandbox runs etcd members, kube-apiserver, kube-controller-manager and
kube-scheduler as child processes, with nodes and pods simulated by kwok. All of
it listens on the loopback address and keeps its files in one directory; when
` + "`up`" + ` ends, every process of it is gone.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          asUsage(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.dirFlag, "dir", "", "directory of the sandbox (required)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(a.up(), a.down(), a.status(), a.wait(), a.env(), a.leader(), a.load(), a.churn(), a.count(), a.kubectl())
	root.AddCommand(a.faults()...)
	for _, c := range root.Commands() {
		c.Args = asUsage(c.Args)
	}
	return root
}

func asUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			check = cobra.NoArgs
		}
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())}
		}
		return nil
	}
}

func (a *app) up() *cobra.Command {
	spec := &controlplane.Spec{}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a sandbox and stay in the foreground until told to end",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			if spec.EtcdOnly && !cmd.Flags().Changed("seed") {
				spec.Seed = controlplane.SeedNone
			}
			if err := spec.Validate(); err != nil {
				return usageError{err}
			}
			return sandbox.Up(cmd.Context(), d, spec, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.IntVar(&spec.Members, "members", 3, "number of etcd members")
	f.IntVar(&spec.Nodes, "nodes", 12, "number of simulated nodes")
	f.IntVar(&spec.Zones, "zones", 3, "number of zones the nodes are spread over")
	f.StringVar(&spec.Seed, "seed", controlplane.SeedSample, "workloads to start with: sample or none")
	f.BoolVar(&spec.Encrypt, "encrypt", false, "encrypt Secrets at rest (secretbox)")
	f.BoolVar(&spec.Fsync, "fsync", false, "let etcd fsync its log; off by default, the data dies with the sandbox anyway")
	f.Int64Var(&spec.QuotaBytes, "quota-bytes", 0, "etcd's backend quota in bytes; 0 means etcd's default (2 GiB)")
	f.DurationVar(&spec.CertFor, "cert-for", 0, "how long the certificates are valid, but the authorities'; 0 means a year")
	f.BoolVar(&spec.EtcdOnly, "etcd-only", false, "only the etcd members: no API server, no workloads")
	f.BoolVar(&spec.Lean, "lean", false, "let the components take less memory and more processor time")
	return cmd
}

func (a *app) down() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End the sandbox and wait until it is gone",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			if err := control.NewClient(d).Down(ctx); err != nil {
				return err
			}
			return until(ctx, "the sandbox to end", func() (bool, error) { return !sandbox.InUse(d), nil })
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "how long to wait")
	return cmd
}

func (a *app) status() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show every component: process, state and endpoints",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			if output != "" && output != "table" && output != "json" {
				return usageError{fmt.Errorf("-o %q: use table or json", output)}
			}
			st, err := control.NewClient(d).Status(cmd.Context())
			if err != nil {
				return err
			}
			if output == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(st)
			}
			return printStatus(cmd, st)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func printStatus(cmd *cobra.Command, st control.Status) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tPID\tSTATE\tRESTARTS\tENDPOINTS")
	for _, c := range st.Components {
		state, pid := c.State, "-"
		if c.Partitioned {
			state += ",partitioned"
		}
		if c.BlackHoled {
			state += ",black hole"
		}
		if c.PID != 0 {
			pid = fmt.Sprint(c.PID)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", c.Name, pid, state, c.Restarts, strings.Join(c.Endpoints, ","))
	}
	return w.Flush()
}

func (a *app) wait() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Wait until the sandbox is ready and its sample workloads have settled",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return until(ctx, "the sandbox to be ready", func() (bool, error) {
				st, err := control.NewClient(d).Status(ctx)
				if errors.Is(err, control.ErrNotRunning) {
					return false, nil // `up` may be about to come
				}
				return err == nil && st.Ready && st.Seeded, err
			})
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 60*time.Second, "how long to wait")
	return cmd
}

// until polls a condition up to the deadline.
func until(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return fmt.Errorf("waited in vain for %s: %w", what, err)
		case <-tick.C:
		}
	}
}

func (a *app) env() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print export lines for kubectl and etcdctl",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			spec, err := controlplane.Load(d)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			for _, kv := range append([]string{"KUBECONFIG=" + d.AdminKubeconfig()}, spec.EtcdEnv(d)...) {
				name, value, _ := strings.Cut(kv, "=")
				fmt.Fprintf(out, "export %s=%s\n", name, shellQuote(value))
			}
			return nil
		},
	}
}

// shellQuote keeps a path with blanks or quotes one word for a POSIX shell.
func shellQuote(s string) string {
	if !strings.ContainsAny(s, " \t\n\"'\\$`&|;<>()*?[]#~!{}") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (a *app) leader() *cobra.Command {
	return &cobra.Command{
		Use:   "leader",
		Short: "Print the name of the etcd member that leads",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.dir()
			if err != nil {
				return err
			}
			spec, err := controlplane.Load(d)
			if err != nil {
				return err
			}
			name, err := sandbox.Leader(cmd.Context(), d, spec)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), name)
			return nil
		},
	}
}
