package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"fathom/cluster"
	"fathom/theme"
	"fathom/ui/term"
)

// version is set by the build: -ldflags "-X main.version=v0.1.0".
var version = "dev"

// flags are the flags of every command.
type flags struct {
	kube      *genericclioptions.ConfigFlags
	etcd      cluster.EtcdOptions
	noEtcd    bool
	readOnly  bool
	allNS     bool
	theme     string
	ascii     bool
	noColor   bool
	mouse     bool
	commands  []string
	fault     string
	pprof     string
	noSync    bool
	backupDir string
	workDir   string
	log       io.Writer // set by options
}

func newRoot() *cobra.Command {
	f := &flags{kube: genericclioptions.NewConfigFlags(true)}
	root := &cobra.Command{
		Use:   "fathom",
		Short: "A terminal dashboard for Kubernetes and the etcd beneath it",
		Long: `fathom shows a Kubernetes cluster and the etcd beneath it: workloads, nodes, placement, logs, Raft members and keys.
It shows the truth, says how old it is, and never does more than it was asked.

  fathom                       the overview of the current context
  fathom -c pods -A            all pods
  fathom -c members --read-only
  fathom print members -o json once, for scripts and screen readers
  fathom doctor                what was found, what is missing, how to give it`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
		RunE:          func(cmd *cobra.Command, _ []string) error { return dashboard(cmd.Context(), f) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	p := root.PersistentFlags()
	f.kube.AddFlags(p)
	p.StringSliceVar(&f.etcd.Endpoints, "etcd-endpoints", nil, "client URLs of etcd, separated by commas")
	p.StringVar(&f.etcd.CACert, "etcd-cacert", "", "CA certificate that etcd's server certificate is verified with")
	p.StringVar(&f.etcd.Cert, "etcd-cert", "", "client certificate for etcd")
	p.StringVar(&f.etcd.Key, "etcd-key", "", "key of the client certificate for etcd")
	p.StringSliceVar(&f.etcd.MetricsURLs, "etcd-metrics-urls", nil, "URLs of the metrics of etcd's members, separated by commas (default: what the manifests say, then the client URLs)")
	p.StringVar(&f.etcd.HostRoot, "host-root", "/", "where the control-plane node's root is mounted; etcd is looked for beneath it")
	p.BoolVar(&f.noEtcd, "no-etcd", false, "do not look for etcd")
	p.StringVar(&f.backupDir, "backup-dir", os.Getenv("FATHOM_BACKUP_DIR"), "the folder that snapshots of etcd are kept in (also FATHOM_BACKUP_DIR)")
	p.BoolVar(&f.readOnly, "read-only", false, "refuse every request that could change anything, in the transport")
	p.BoolVarP(&f.allNS, "all-namespaces", "A", false, "start on all namespaces")
	fl := root.Flags()
	fl.StringArrayVarP(&f.commands, "command", "c", nil, "view to open, as after ':'; given twice: two panes side by side")
	fl.StringVar(&f.theme, "theme", "", "theme: "+strings.Join(theme.Names(), ", "))
	fl.BoolVar(&f.ascii, "ascii", false, "draw with ASCII characters only")
	fl.BoolVar(&f.noColor, "no-color", false, "draw without colour (also NO_COLOR)")
	fl.BoolVar(&f.mouse, "mouse", false, "take mouse clicks and the wheel (the terminal's own selection then needs Shift)")
	fl.BoolVar(&f.noSync, "no-sync-output", false, "do not use synchronized output, for a terminal that does it badly (also FATHOM_NO_SYNC_OUTPUT=1)")
	fl.StringVar(&f.workDir, "work-dir", "", "where restore drills of snapshots work (default: the folder for temporary files)")
	fl.StringVar(&f.pprof, "pprof", "", "serve profiles of fathom itself on a loopback address, 127.0.0.1:PORT (also with --read-only: they read nothing else)")
	fl.StringVar(&f.fault, "fault", "", "fail in this way, for tests")
	_ = fl.MarkHidden("fault") // fails only for a flag that does not exist
	root.AddCommand(newPrint(f), newDoctor(f), newVersion(), newKeys(), newJournal(), newSnapshot(f), newSnapshotWorker())
	for _, c := range root.Commands() {
		c.SetFlagErrorFunc(root.FlagErrorFunc())
	}
	// Cobra reports an unknown command as a plain error; the arguments are checked here so that it is a usage error.
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		names := []string{}
		for _, c := range cmd.Commands() {
			if !c.Hidden {
				names = append(names, c.Name())
			}
		}
		return usageError{fmt.Errorf("unknown command %q; commands are %s; a view is opened with -c %s", args[0], strings.Join(names, ", "), args[0])}
	}
	root.SetContext(context.Background())
	return root
}

// options say how to reach the cluster.
func (f *flags) options() cluster.Options {
	f.etcd.Disabled, f.etcd.Why = f.noEtcd, "--no-etcd was given"
	f.etcd.Env = os.Getenv
	var log io.Writer = io.Discard
	if file, err := term.LogFile(term.StateDir(os.Getenv)); err == nil {
		log = file // open until the program ends: what a credential plugin says goes there
	}
	f.log = log
	cluster.SilenceKlog(log)
	return cluster.Options{Flags: f.kube, ReadOnly: f.readOnly, Etcd: f.etcd, Stderr: log}
}

// open reads the configuration and connects nothing yet.
func (f *flags) open() (*cluster.Cluster, error) { return cluster.Open(f.options()) }

// namespace is the one to start in: -A, -n, the context's.
func (f *flags) namespace(c *cluster.Cluster) string {
	if f.allNS {
		return ""
	}
	return c.Identity().Namespace
}
