// Command fathom-sandbox runs a real Kubernetes control plane on a real etcd
// cluster with simulated nodes, in one binary and one directory.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"google.golang.org/grpc/grpclog"
	"k8s.io/klog/v2"

	"fathom/cmd/sandbox/internal/child"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == child.Verb {
		// Before any flag parsing: the rest belongs to the component.
		os.Exit(child.Main(os.Args[2:]))
	}
	os.Exit(run(os.Args[1:]))
}

// run executes the command line and returns the exit code: 0, 1 for a failure,
// 2 for wrong usage.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	quiet()
	// The components' packages put flags of theirs here, and cobra would offer
	// them as ours.
	pflag.CommandLine = pflag.NewFlagSet("fathom-sandbox", pflag.ContinueOnError)
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "fathom-sandbox:", err)
	if isUsage(err) {
		return 2
	}
	return 1
}

// quiet stops the client libraries from reporting on stderr; our own errors say
// what matters.
func quiet() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	klog.SetLogger(logr.Discard())
}
