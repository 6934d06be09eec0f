package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/component-base/cli"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

// kubectl is the real one, for a machine that has none: it is measured against
// fathom in the same run.
func (a *app) kubectl() *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl [--dir D] ARGUMENT...",
		Short:              "Run kubectl, on this sandbox or by KUBECONFIG",
		DisableFlagParsing: true, // they are kubectl's
		Args:               cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, args := cutDir(args)
			if dir != "" {
				a.dirFlag = dir
				d, err := a.dir()
				if err != nil {
					return err
				}
				if err := os.Setenv("KUBECONFIG", d.AdminKubeconfig()); err != nil {
					return fmt.Errorf("kubeconfig for kubectl: %w", err)
				}
			}
			k := kubectlcmd.NewKubectlCommand(kubectlcmd.KubectlOptions{
				Arguments: append([]string{"kubectl"}, args...),
				IOStreams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
			})
			k.SetArgs(args)
			if err := cli.RunNoErrOutput(k); err != nil {
				util.CheckErr(err) // kubectl's own messages and exit codes
			}
			return nil
		},
	}
}

// cutDir takes our one flag from the front of kubectl's arguments.
func cutDir(args []string) (dir string, rest []string) {
	if len(args) >= 2 && args[0] == "--dir" {
		return args[1], args[2:]
	}
	if len(args) >= 1 && strings.HasPrefix(args[0], "--dir=") {
		return strings.TrimPrefix(args[0], "--dir="), args[1:]
	}
	return "", args
}
