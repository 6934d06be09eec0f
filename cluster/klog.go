package cluster

import (
	"flag"
	"io"

	"google.golang.org/grpc/grpclog"
	"k8s.io/klog/v2"
)

// SilenceKlog sends what klog and gRPC log to w, never to the screen; nil discards. It is for main to call once, before anything
// logs: both are global to the process.
func SilenceKlog(w io.Writer) {
	if w == nil {
		w = io.Discard
	}
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "alsologtostderr": "false", "stderrthreshold": "FATAL"} {
		_ = flags.Set(name, value) // the flags are klog's own; without the last one errors go to stderr as well
	}
	klog.SetOutput(w)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, w))
}
