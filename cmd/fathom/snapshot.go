package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"fathom/actions"
	"fathom/actions/journal"
	"fathom/cluster"
	"fathom/internal/run"
	"fathom/internal/snapfile"
	"fathom/watchers/etcd/backup"
	"fathom/watchers/etcd/backup/worker"
)

// exitBad is the exit code of a snapshot that is not to be relied on.
const exitBad = 3

// workerCommand is the hidden command that opens, restores and serves snapshots in a process of its own.
const workerCommand = "snapshot-worker"

func newSnapshot(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use: "snapshot", Short: "Save a snapshot of etcd, look into one, or prove that it can be restored",
		Long: `A snapshot holds everything that is in etcd, Secrets included.

  fathom snapshot save FILE    from a follower, checked and read back before FILE is there
  fathom snapshot status FILE  what is in it, and whether it is what etcd sent
  fathom snapshot drill FILE   restore it, start a member on it, compare; a backup that was never restored is no backup

Exit codes: 0 all is well, 1 it could not be done, 2 a mistake on the command line, 3 the snapshot is not to be relied on.`,
		Args: func(cmd *cobra.Command, args []string) error {
			return usageError{errors.New("snapshot needs save, status or drill, and a file")}
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(newSnapshotSave(f), newSnapshotStatus(), newSnapshotDrill(f))
	for _, c := range cmd.Commands() {
		c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	}
	return cmd
}

// oneFile wants one file.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%s needs one file, and got %d", cmd.CommandPath(), len(args))}
	}
	return nil
}

func outputFlag(cmd *cobra.Command, out *string) {
	cmd.Flags().StringVarP(out, "output", "o", "table", "table or json")
}

func checkOutput(out string) error {
	if out != "table" && out != "json" {
		return usageError{fmt.Errorf("-o %s: snapshot writes table or json", out)}
	}
	return nil
}

func newSnapshotSave(f *flags) *cobra.Command {
	var out, member string
	var force bool
	cmd := &cobra.Command{
		Use: "save FILE", Short: "Save a snapshot of etcd in a file, or in a folder under a name with the time",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && f.backupDir != "" {
				return nil
			}
			return oneFile(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(out); err != nil {
				return err
			}
			file := f.backupDir
			if len(args) > 0 {
				file = args[0]
			}
			return untilSignal(cmd.Context(), func(ctx context.Context) error { return snapshotSave(ctx, f, file, member, force, out) })
		},
	}
	outputFlag(cmd, &out)
	cmd.Flags().StringVar(&member, "member", "", "take it from this member (name, ID or client URL) and not from a follower that is chosen")
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that exists, once the new one is whole")
	return cmd
}

func snapshotSave(ctx context.Context, f *flags, file, member string, force bool, out string) error {
	c, err := f.open()
	if err != nil {
		return err
	}
	defer c.Close()
	if c.Etcd() == nil {
		return missingEtcd(c)
	}
	path, err := journal.DefaultPath()
	if err != nil {
		return fmt.Errorf("saving a snapshot is journalled, and the journal has no place: %w", err)
	}
	runner := actions.NewRunner(c, journal.New(path), version)
	a, _ := actions.Lookup(actions.IDSnapshot)
	if d, err := runner.Preflight(ctx, a, actions.Target{}); err != nil {
		return fmt.Errorf("saving a snapshot: %w", err)
	} else if !d.Allowed {
		return fmt.Errorf("saving a snapshot: %s", d.Reason)
	}
	if st, err := os.Stat(file); err == nil && st.IsDir() {
		file = filepath.Join(file, snapfile.Name(c.Identity().Cluster, time.Now()))
	}
	if file, err = filepath.Abs(file); err != nil {
		return fmt.Errorf("saving a snapshot: %w", err)
	}
	t, err := actions.SnapshotMember(ctx, c, member)
	if err != nil {
		return fmt.Errorf("saving a snapshot: %w", err)
	}
	t.Detail[actions.DetailForce] = fmt.Sprint(force)
	confirmed, err := runner.Confirm(a, file, t)
	if err != nil {
		return err
	}
	p := newProgress(os.Stderr)
	p.follow("saving from "+t.Name, func() (int64, int64) { return snapfile.Progress(file) })
	o := runner.Run(ctx, confirmed, nil)[0]
	p.end()
	if o.Status != actions.Done {
		return errors.New(o.Message)
	}
	st, err := backup.Read(ctx, file, inspectHere, p.step("reading it back"))
	p.end()
	if err != nil {
		return fmt.Errorf("%s was saved; reading it back: %w", file, err)
	}
	return printStatus(savedStatus{Status: st, Member: t.Name, MemberID: t.UID}, out)
}

// missingEtcd says why there is no etcd to take a snapshot of.
func missingEtcd(c *cluster.Cluster) error {
	for _, m := range c.Missing() {
		if m.What == cluster.WhatEtcd {
			return fmt.Errorf("there is no etcd to take a snapshot of: %s; %s", m.Why, m.Fix)
		}
	}
	return errors.New("there is no etcd to take a snapshot of; give --etcd-endpoints, --etcd-cacert, --etcd-cert and --etcd-key")
}

func newSnapshotStatus() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "status FILE", Short: "What is in a snapshot, and whether it is what etcd sent", Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(out); err != nil {
				return err
			}
			return untilSignal(cmd.Context(), func(ctx context.Context) error {
				p := newProgress(os.Stderr)
				st, err := backup.Read(ctx, args[0], inspectHere, p.step("checking the SHA-256"))
				p.end()
				if err != nil {
					return err
				}
				return printStatus(savedStatus{Status: st}, out)
			})
		},
	}
	outputFlag(cmd, &out)
	return cmd
}

// inspectHere looks into a snapshot in this process, which has nothing to lose: a damaged one that makes etcd's library panic, or touch a page that
// is not there, makes an error.
func inspectHere(file string) (in backup.Inside, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = &backup.DamageError{What: fmt.Sprintf("etcd's library gave up over it: %v", v)}
		}
	}()
	return worker.Inspect(file)
}

func newSnapshotDrill(f *flags) *cobra.Command {
	var out, dir string
	cmd := &cobra.Command{
		Use: "drill FILE", Short: "Restore a snapshot into a scratch folder, start a member on it, and compare it with the file and the live etcd", Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(out); err != nil {
				return err
			}
			return untilSignal(cmd.Context(), func(ctx context.Context) error { return snapshotDrill(ctx, f, args[0], dir, out) })
		},
	}
	outputFlag(cmd, &out)
	cmd.Flags().StringVar(&dir, "work-dir", "", "where the snapshot is restored, and removed again (default: the folder for temporary files)")
	return cmd
}

func snapshotDrill(ctx context.Context, f *flags, file, dir, out string) error {
	if f.readOnly {
		return errors.New("drill: " + noDrill)
	}
	c, err := f.open()
	if err != nil {
		return err
	}
	defer c.Close()
	p := newProgress(os.Stderr)
	r, err := backup.Drill(ctx, backup.DrillOptions{
		File: file, Live: c.Etcd(), Dir: dir, Worker: backup.Self(workerCommand),
		Progress: func(step string, done, total int64) { p.step(step)(done, total) },
	})
	p.end()
	if err != nil {
		return err
	}
	return printReport(r, out)
}

// noDrill says why there are no drills in read-only mode.
const noDrill = "fathom runs in read-only mode, in which it starts no process; a drill starts a member of etcd of its own"

// folder watches the backup folder.
func (f *flags) folder(g *run.Group, c *cluster.Cluster) *backup.Folder {
	w := backup.Self(workerCommand)
	if c.ReadOnly() {
		w = backup.Worker{Refused: noDrill}
	}
	return backup.Watch(g, backup.Options{Dir: f.backupDir, WorkDir: f.workDir, Live: c.Etcd(), Worker: w})
}

func newSnapshotWorker() *cobra.Command {
	return &cobra.Command{
		Use: workerCommand, Hidden: true, Args: noArgs, Short: "Open, restore and serve snapshots, for fathom itself",
		RunE: func(*cobra.Command, []string) error { return worker.Main(os.Stdin, os.Stdout) },
	}
}
