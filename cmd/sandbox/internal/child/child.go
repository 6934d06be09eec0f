// Package child is what runs inside the sandbox's child processes: each is
// this same binary with a hidden first argument, and becomes one component.
package child

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"golang.org/x/sys/unix"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"

	"fathom/cmd/sandbox/internal/controlplane"
)

// Verb is the hidden subcommand: `fathom-sandbox child NAME FLAG...`.
const Verb = "child"

// ParentEnv carries the process id of the parent that must stay alive.
const ParentEnv = "FATHOM_SANDBOX_PARENT"

// Main runs the component of that name and returns the exit code.
func Main(args []string) int {
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "child: no component named; this subcommand is for the sandbox itself")
		return 2
	}
	name, flags := args[0], args[1:]
	if err := bindToParent(name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	setVersion()
	switch name {
	case controlplane.APIServer:
		return run(apiserver.NewAPIServerCommand(), flags)
	case controlplane.ControllerManager:
		return run(controllermanager.NewControllerManagerCommand(), flags)
	case controlplane.Scheduler:
		return run(scheduler.NewSchedulerCommand(), flags)
	case controlplane.Kwok:
		return runKwok(flags)
	}
	if controlplane.MemberIndex(name) > 0 {
		clearEtcdEnv()
		etcdmain.Main(append([]string{"etcd"}, flags...))
		return 0
	}
	fmt.Fprintf(os.Stderr, "child: no component %q\n", name)
	return 2
}

func run(cmd *cobra.Command, flags []string) int {
	cmd.SetArgs(flags)
	return cli.Run(cmd)
}

// bindToParent makes sure the child ends with its parent. The kernel sends the
// death signal the parent asked for at the fork; a parent that died before the
// request took effect is noticed by the changed parent id.
func bindToParent(name string) error {
	// Shown by ps and top instead of the name of the re-executed file.
	title := append([]byte(name), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, bytePointer(title), 0, 0, 0)
	want, err := strconv.Atoi(os.Getenv(ParentEnv))
	if err != nil {
		return fmt.Errorf("child %s: started without a parent: use `fathom-sandbox up`", name)
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("child %s: ask to end with the parent: %w", name, err)
	}
	if os.Getppid() != want {
		return fmt.Errorf("child %s: parent %d is gone", name, want)
	}
	return nil
}

// clearEtcdEnv removes ETCD_* settings of the caller's shell, which etcd would
// take as flags.
func clearEtcdEnv() {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "ETCD_") {
			_ = os.Unsetenv(name)
		}
	}
}
