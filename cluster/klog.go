package cluster

import (
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
	klog.LogToStderr(false)
	klog.SetOutput(w)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, w))
}
