package child

import (
	"unsafe"

	"k8s.io/component-base/version"

	"fathom/cmd/sandbox/internal/controlplane"
)

// Kubernetes takes its version from linker flags; built as a library it calls
// itself v0.0.0-master, which clients do not parse as 1.36. Setting the
// variables here keeps a plain `go build` enough.
//
//go:linkname gitVersion k8s.io/component-base/version.gitVersion
var gitVersion string

//go:linkname gitMajor k8s.io/component-base/version.gitMajor
var gitMajor string

//go:linkname gitMinor k8s.io/component-base/version.gitMinor
var gitMinor string

func setVersion() {
	gitVersion, gitMajor, gitMinor = controlplane.KubernetesVersion, "1", "36"
	// The package cached the old value when it was initialised.
	_ = version.SetDynamicVersion(gitVersion)
}

// bytePointer is the address prctl wants of a NUL-terminated name.
func bytePointer(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }
