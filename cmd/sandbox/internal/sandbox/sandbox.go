// Package sandbox brings a whole control plane up and answers for it until it
// is told to end.
package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"fathom/cmd/sandbox/internal/clientproxy"
	"fathom/cmd/sandbox/internal/control"
	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/fleet"
	"fathom/cmd/sandbox/internal/layout"
	"fathom/cmd/sandbox/internal/peerproxy"
	"fathom/cmd/sandbox/internal/pki"
	"fathom/cmd/sandbox/internal/supervisor"
)

// Sandbox is a running control plane.
type Sandbox struct {
	dir   layout.Dir
	spec  *controlplane.Spec
	sup   *supervisor.Supervisor
	peers *peerproxy.Network
	front *clientproxy.Proxy
	began time.Time

	outMu sync.Mutex
	out   io.Writer

	down     chan struct{}
	downOnce sync.Once
}

// Up starts the sandbox, prints its progress to out, and returns when the
// context ends, `down` is asked for, or the start fails. By then every child
// is gone.
func Up(ctx context.Context, d layout.Dir, spec *controlplane.Spec, out io.Writer) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	lock, err := acquire(d)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := d.Prepare(); err != nil {
		_ = os.Remove(d.Lock()) // the directory may not be ours
		return err
	}
	s := &Sandbox{dir: d, spec: spec, out: out, began: time.Now(), down: make(chan struct{}), peers: peerproxy.New(), front: clientproxy.New()}
	s.sup = supervisor.New(s.say)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.down:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer s.end()
	return s.run(ctx)
}

// run is the life of the sandbox up to the wish to end it.
func (s *Sandbox) run(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	stopControl, err := control.Serve(s.dir, s)
	if err != nil {
		return err
	}
	defer stopControl()
	err = s.start(ctx)
	if ctx.Err() != nil {
		return nil // told to end while starting: that is not a failure
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.dir.Ready(), nil, 0o600); err != nil {
		return fmt.Errorf("mark the sandbox ready: %w", err)
	}
	s.say("admin kubeconfig  %s", s.dir.AdminKubeconfig())
	s.say("viewer kubeconfig %s", s.dir.ViewerKubeconfig())
	s.say("etcd settings     %s", s.dir.EtcdEnv())
	s.say("ready in %.1fs", time.Since(s.began).Seconds())
	seeded := make(chan struct{})
	go func() {
		defer close(seeded)
		s.seed(ctx)
	}()
	<-ctx.Done()
	<-seeded
	return nil
}

// prepare chooses ports and writes every file the components read.
func (s *Sandbox) prepare() error {
	s.spec.PID, s.spec.Started = os.Getpid(), s.began
	nodes := s.nodes()
	s.spec.NodeName, s.spec.AdvertiseAddress = nodes[0].Name, nodes[0].IP
	peers, clients, err := s.spec.ChoosePorts()
	if err != nil {
		return err
	}
	for i, m := range s.spec.Etcd {
		name := layout.MemberName(i + 1)
		s.peers.Add(name, peers[i], fmt.Sprintf("127.0.0.1:%d", m.Peer), func() int { return s.sup.PID(name) })
		s.front.Add(name, clients[i], fmt.Sprintf("127.0.0.1:%d", m.Listen))
	}
	// Saved first: it marks the directory as ours, should the rest fail.
	if err := s.spec.Save(s.dir); err != nil {
		return fmt.Errorf("write sandbox description: %w", err)
	}
	bundle, err := pki.Create(s.dir, pki.Options{
		Members: s.spec.Members, NodeName: s.spec.NodeName,
		AdvertiseAddress: s.spec.AdvertiseAddress, ServiceIP: controlplane.ServiceIP,
		CertFor: s.spec.CertFor,
	})
	if err != nil {
		return err
	}
	return s.spec.WriteFiles(s.dir, bundle)
}

func (s *Sandbox) nodes() []fleet.Node {
	return fleet.New(s.spec.Nodes, s.spec.Zones, s.spec.Seed == controlplane.SeedSample)
}

// end takes everything down; it also runs after a failed start.
func (s *Sandbox) end() {
	s.sup.Close()
	s.peers.Close()
	s.front.Close()
	for _, p := range []string{s.dir.Ready(), s.dir.Seeded(), s.dir.Path() + "/" + layout.ControlSocket} {
		_ = os.Remove(p)
	}
}

// say prints one progress line.
func (s *Sandbox) say(format string, args ...any) {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// Status implements control.Handler.
func (s *Sandbox) Status() control.Status {
	st := control.Status{Dir: s.dir.Path(), PID: os.Getpid(), Ready: exists(s.dir.Ready()), Seeded: exists(s.dir.Seeded())}
	for _, p := range s.sup.Status() {
		st.Components = append(st.Components, control.Component{
			Name: p.Name, PID: p.PID, State: string(p.State), Restarts: p.Restarts, Exit: p.Exit,
			Partitioned: s.peers.Partitioned(p.Name), BlackHoled: s.front.BlackHoled(p.Name), Endpoints: s.spec.Endpoints(p.Name),
		})
	}
	return st
}

// Down implements control.Handler.
func (s *Sandbox) Down() { s.downOnce.Do(func() { close(s.down) }) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
