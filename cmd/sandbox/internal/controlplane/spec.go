// Package controlplane says how the components of the sandbox are configured:
// their flags, static pod manifests, kubeconfigs and ports. It runs nothing.
package controlplane

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"fathom/cmd/sandbox/internal/layout"
)

// Versions shown by the components; they follow go.mod.
const (
	KubernetesVersion = "v1.36.3"
	EtcdVersion       = "3.6.8"
)

// Addresses that only name things: nothing listens on or dials them.
const (
	PodCIDR     = "10.128.0.0/11"
	ServiceCIDR = "10.96.0.0/12"
	ServiceIP   = "10.96.0.1"
)

// Names of the children, as the fault commands take them.
const (
	APIServer         = "apiserver"
	ControllerManager = "controller-manager"
	Scheduler         = "scheduler"
	Kwok              = "kwok"
)

// Seeds of `up --seed`.
const (
	SeedSample = "sample"
	SeedNone   = "none"
)

// MemberPorts are the loopback ports of one etcd member.
type MemberPorts struct {
	// Client is what the member advertises; it listens on Listen, so that all
	// client traffic passes through the sandbox and can be made to vanish.
	Client int `json:"client"`
	// Peer is where the member listens; Proxy is what it advertises, so that
	// all peer traffic passes through the sandbox and can be cut.
	Peer    int `json:"peer"`
	Proxy   int `json:"proxy"`
	Metrics int `json:"metrics"`
	Listen  int `json:"listen"`
}

// Spec is what `up` was asked for and what it chose. It is stored in the
// sandbox directory, where the other subcommands read it.
type Spec struct {
	Members    int    `json:"members"`
	Nodes      int    `json:"nodes"`
	Zones      int    `json:"zones"`
	Seed       string `json:"seed"`
	Encrypt    bool   `json:"encrypt"`
	Fsync      bool   `json:"fsync"`
	QuotaBytes int64  `json:"quotaBytes,omitempty"`
	// Lean trades processor time for memory: see Env.
	Lean bool `json:"lean,omitempty"`
	// EtcdOnly leaves everything but the etcd members away.
	EtcdOnly bool `json:"etcdOnly,omitempty"`
	// CertFor is how long the leaf certificates are valid; 0 means a year.
	CertFor time.Duration `json:"certFor,omitempty"`

	PID     int       `json:"pid"`
	Started time.Time `json:"started"`

	// NodeName and AdvertiseAddress are those of the first control-plane node.
	NodeName         string `json:"nodeName"`
	AdvertiseAddress string `json:"advertiseAddress"`

	APIServerPort  int           `json:"apiserverPort"`
	ControllerPort int           `json:"controllerPort"`
	SchedulerPort  int           `json:"schedulerPort"`
	KubeletPort    int           `json:"kubeletPort"`
	Etcd           []MemberPorts `json:"etcd"`
}

// Validate refuses what cannot work, in words for the command line.
func (s *Spec) Validate() error {
	switch {
	case s.Members < 1 || s.Members > 9:
		return fmt.Errorf("--members %d: between 1 and 9 members can run on one machine", s.Members)
	case s.Nodes < 1 || s.Nodes > 5000:
		return fmt.Errorf("--nodes %d: between 1 and 5000 nodes", s.Nodes)
	case s.Zones < 1 || s.Zones > 26:
		return fmt.Errorf("--zones %d: between 1 and 26 zones", s.Zones)
	case s.Seed != SeedSample && s.Seed != SeedNone:
		return fmt.Errorf("--seed %q: use sample or none", s.Seed)
	case s.Seed == SeedSample && s.Nodes < 8:
		return fmt.Errorf("--seed sample needs at least 8 nodes, not %d: raise --nodes or use --seed none", s.Nodes)
	case s.EtcdOnly && s.Seed != SeedNone:
		return fmt.Errorf("--seed %s: --etcd-only has no API server that could take workloads", s.Seed)
	case s.CertFor != 0 && s.CertFor < 30*time.Second:
		return fmt.Errorf("--cert-for %s: certificates must outlive the start; give 30s or more", s.CertFor)
	case s.QuotaBytes < 0:
		return fmt.Errorf("--quota-bytes %d: a size in bytes, or 0 for etcd's default", s.QuotaBytes)
	}
	return nil
}

// APIServerURL is the API server's address.
func (s *Spec) APIServerURL() string {
	return fmt.Sprintf("https://127.0.0.1:%d", s.APIServerPort)
}

// ClientURL is the client address of the n-th member, n from 1.
func (s *Spec) ClientURL(n int) string {
	return fmt.Sprintf("https://127.0.0.1:%d", s.Etcd[n-1].Client)
}

// ClientURLs are the client addresses of all members, in order.
func (s *Spec) ClientURLs() []string {
	urls := make([]string, 0, len(s.Etcd))
	for n := range s.Etcd {
		urls = append(urls, s.ClientURL(n+1))
	}
	return urls
}

func (s *Spec) peerURL(n int) string {
	return fmt.Sprintf("https://127.0.0.1:%d", s.Etcd[n-1].Proxy)
}

func (s *Spec) initialCluster() string {
	parts := make([]string, 0, len(s.Etcd))
	for n := range s.Etcd {
		parts = append(parts, layout.MemberName(n+1)+"="+s.peerURL(n+1))
	}
	return strings.Join(parts, ",")
}

// Save writes the spec into the directory.
func (s *Spec) Save(d layout.Dir) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(d.Spec(), append(b, '\n'), 0o600)
}

// Load reads the spec of the sandbox in the directory.
func Load(d layout.Dir) (*Spec, error) {
	b, err := os.ReadFile(d.Spec())
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("no sandbox in %s: start one with `fathom-sandbox up --dir %s`", d.Path(), d.Path())
	}
	if err != nil {
		return nil, fmt.Errorf("read sandbox description: %w", err)
	}
	var s Spec
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read sandbox description %s: %w", d.Spec(), err)
	}
	return &s, nil
}

// Env is the environment that the children get on top of ours. A lean sandbox
// collects garbage when the heap has grown by two fifths, not when it has
// doubled: what an operator can do in the manifest of a static pod.
func (s *Spec) Env() []string {
	if s.Lean {
		return []string{"GOGC=40"}
	}
	return nil
}

// ChoosePorts picks free loopback ports for everything but the proxies, whose
// listeners the caller holds from now on: it gets them back in member order.
func (s *Spec) ChoosePorts() (peers, clients []net.Listener, err error) {
	p := picker{}
	defer p.release()
	s.APIServerPort = p.pick()
	s.ControllerPort = p.pick()
	s.SchedulerPort = p.pick()
	s.KubeletPort = p.pick()
	s.Etcd = nil
	for range s.Members {
		m := MemberPorts{Listen: p.pick(), Peer: p.pick(), Metrics: p.pick()}
		m.Proxy = p.pick()
		m.Client = p.pick()
		if p.err != nil {
			break
		}
		clients = append(clients, p.keepLast())
		peers = append(peers, p.keepLast())
		s.Etcd = append(s.Etcd, m)
	}
	if p.err != nil {
		for _, l := range append(peers, clients...) {
			_ = l.Close()
		}
		return nil, nil, p.err
	}
	return peers, clients, nil
}

// picker holds every port it has given out until release, so that no two are
// the same.
type picker struct {
	held []net.Listener
	err  error
}

// The range lies below Linux's ephemeral ports (32768 and up): a port there
// could be taken by somebody's outgoing connection while its child is down.
const portMin, portMax = 20000, 32000

func (p *picker) pick() int {
	if p.err != nil {
		return 0
	}
	for range 200 {
		port := portMin + rand.IntN(portMax-portMin)
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			p.held = append(p.held, l)
			return port
		}
	}
	p.err = fmt.Errorf("no free loopback port between %d and %d found: end what uses them", portMin, portMax)
	return 0
}

func (p *picker) keepLast() net.Listener {
	last := p.held[len(p.held)-1]
	p.held = p.held[:len(p.held)-1]
	return last
}

func (p *picker) release() {
	for _, l := range p.held {
		_ = l.Close()
	}
}

// BehaviourLabel on a pod says how it does badly: one of the Behaviours. kwok
// leaves such a pod to the kubelet package.
const BehaviourLabel = "sandbox.example.io/behaviour"
