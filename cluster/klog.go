package cluster

import (
	"flag"
	"io"
	"log"

	"google.golang.org/grpc/grpclog"
	"k8s.io/klog/v2"
)

// SilenceKlog sends what klog, gRPC and the standard logger write to w, never to the screen; nil discards. It is for main to call
// once, before anything logs: all three are global to the process. net/http writes to the standard one when a server says what
// nobody asked for.
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
	log.SetOutput(w)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, w))
}
