package main

import (
	"github.com/spf13/cobra"

	"fathom/cmd/sandbox/internal/control"
)

// faults are the subcommands that break something and mend it again.
func (a *app) faults() []*cobra.Command {
	var out []*cobra.Command
	for _, v := range []struct{ verb, arg, short string }{
		{"kill", "NAME", "End a component with SIGKILL; it stays dead until `restart`"},
		{"stop", "NAME", "Freeze a component with SIGSTOP"},
		{"cont", "NAME", "Let a frozen component go on with SIGCONT"},
		{"restart", "NAME", "Start a component anew, killing it first when it runs"},
		{"partition", "ETCD-MEMBER", "Cut all Raft traffic to and from an etcd member; clients still reach it"},
		{"blackhole", "ETCD-MEMBER", "Let all client traffic to and from an etcd member vanish; its peers still reach it"},
		{"heal", "ETCD-MEMBER", "End a partition and a black hole"},
		{"expire", "ETCD-MEMBER", "Give an etcd member a serving certificate that has expired, and end its clients' connections"},
		{"renew", "ETCD-MEMBER", "Give an etcd member a serving certificate that is valid for a year"},
		{"alter", "ETCD-MEMBER", "Stop an etcd member, change one value in its database file, and start it again"},
		{"keep", "", "Stop all etcd members, copy their data folders aside, and start them again"},
		{"rewind", "", "Stop all etcd members, put back the data folders that `keep` copied, and start them again"},
	} {
		cmd := &cobra.Command{
			Use:   v.verb,
			Short: v.short,
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, args []string) error {
				d, err := a.dir()
				if err != nil {
					return err
				}
				name := ""
				if len(args) > 0 {
					name = args[0]
				}
				return control.NewClient(d).Fault(cmd.Context(), v.verb, name)
			},
		}
		if v.arg != "" {
			cmd.Use, cmd.Args = v.verb+" "+v.arg, cobra.ExactArgs(1)
		}
		out = append(out, cmd)
	}
	return out
}
