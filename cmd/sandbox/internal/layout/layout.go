// Package layout names every file a sandbox keeps, all of them below the one
// directory given with --dir, so that deleting that directory deletes the
// sandbox.
package layout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Container paths as kubeadm uses them. They are joined to a host root to get
// the file a component of the sandbox really reads.
const (
	KubernetesDir = "/etc/kubernetes"
	ManifestsDir  = KubernetesDir + "/manifests"
	PKIDir        = KubernetesDir + "/pki"
	EtcdPKIDir    = PKIDir + "/etcd"
	EtcdDataDir   = "/var/lib/etcd"
	EncryptionDir = KubernetesDir + "/enc"
)

// Dir is a sandbox directory. Its methods only compute names.
type Dir struct{ path string }

// New makes the path absolute; it does not touch the disk.
func New(dir string) (Dir, error) {
	if dir == "" {
		return Dir{}, errors.New("no sandbox directory given: pass --dir D")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Dir{}, fmt.Errorf("resolve --dir %s: %w", dir, err)
	}
	return Dir{path: abs}, nil
}

// Path is the absolute path of the directory itself.
func (d Dir) Path() string { return d.path }

func (d Dir) join(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// HostRoot is the kubeadm-shaped tree of the first control-plane host.
func (d Dir) HostRoot() string { return d.join("root") }

// MemberRoot is the kubeadm-shaped tree of the host of etcd-N, N from 1. The
// first member lives on the first control-plane host.
func (d Dir) MemberRoot(n int) string {
	if n == 1 {
		return d.HostRoot()
	}
	return d.join("members", MemberName(n))
}

// MemberName is the name of the n-th etcd member, n from 1.
func MemberName(n int) string { return fmt.Sprintf("etcd-%d", n) }

// Host maps a container path to its file on the first control-plane host.
func (d Dir) Host(containerPath string) string {
	return filepath.Join(d.HostRoot(), containerPath)
}

// Names at the top of the directory.
func (d Dir) AdminKubeconfig() string  { return d.join("admin.kubeconfig") }
func (d Dir) ViewerKubeconfig() string { return d.join("viewer.kubeconfig") }
func (d Dir) EtcdEnv() string          { return d.join("etcd.env") }
func (d Dir) Ready() string            { return d.join("ready") }
func (d Dir) Seeded() string           { return d.join("seeded") }
func (d Dir) Lock() string             { return d.join("lock") }

// Kept is the copy of a member's data folder that `keep` makes.
func (d Dir) Kept(member string) string { return d.join("kept", member) }

// MemberData is the data folder of etcd-N, N from 1.
func (d Dir) MemberData(n int) string { return filepath.Join(d.MemberRoot(n), EtcdDataDir) }

// Spec holds what `up` was asked for and the ports it chose. Its presence is
// also what marks a directory as a sandbox's own.
func (d Dir) Spec() string { return d.join("sandbox.json") }

// ControlSocket is the file name of the control socket inside the directory.
// The full path may be longer than a socket address can be, so it is always
// reached through a handle on the directory.
const ControlSocket = "control.sock"

// Logs is the folder of the children's output.
func (d Dir) Logs() string { return d.join("logs") }

// Log is the log file of one child.
func (d Dir) Log(name string) string { return d.join("logs", name+".log") }

// KwokKubeconfig is what the kwok child and its kubelet server use.
func (d Dir) KwokKubeconfig() string { return d.join("kwok", "kubeconfig") }

// KubeletCert and KubeletKey are the serving pair of the simulated kubelets.
func (d Dir) KubeletCert() string { return d.join("kwok", "kubelet.crt") }
func (d Dir) KubeletKey() string  { return d.join("kwok", "kubelet.key") }

// owned lists everything `up` may have created, for Reset.
func (d Dir) owned() []string {
	return []string{
		d.HostRoot(), d.join("members"), d.join("kept"), d.join("kwok"), d.Logs(),
		d.AdminKubeconfig(), d.ViewerKubeconfig(), d.EtcdEnv(),
		d.Ready(), d.Seeded(), d.Spec(), d.join(ControlSocket),
	}
}

// Prepare makes the directory fit for a new sandbox: it is created when
// missing, and what an earlier sandbox left in it is removed. A directory that
// holds anything else and no earlier sandbox is refused, because it is
// somebody's.
func (d Dir) Prepare() error {
	entries, err := os.ReadDir(d.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(d.path, 0o700); err != nil {
			return fmt.Errorf("create sandbox directory %s: %w", d.path, err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("read sandbox directory %s: %w", d.path, err)
	}
	foreign := 0
	for _, e := range entries {
		if e.Name() != filepath.Base(d.Lock()) {
			foreign++
		}
	}
	if foreign == 0 {
		return nil
	}
	if _, err := os.Stat(d.Spec()); err != nil {
		return fmt.Errorf("%s is not empty and holds no earlier sandbox: choose an empty or new directory", d.path)
	}
	for _, p := range d.owned() {
		if err := os.RemoveAll(p); err != nil {
			return fmt.Errorf("remove what an earlier sandbox left at %s: %w", p, err)
		}
	}
	return nil
}
