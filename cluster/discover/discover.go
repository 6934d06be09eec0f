// Package discover finds out how to reach etcd: from flags, from ETCDCTL_* variables, from the static pod manifests of a
// control-plane node, and from the places where distributions keep their certificates. It only reads files.
package discover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options say where to look. Files given here are paths of this process; what is found in manifests is below HostRoot.
type Options struct {
	Endpoints         []string // --etcd-endpoints; each may hold several, separated by commas
	CACert, Cert, Key string   // --etcd-cacert, --etcd-cert, --etcd-key
	HostRoot          string   // "" is "/"
	Env               func(string) string
}

// Found is a way to reach etcd. Nothing has been sent to it yet.
type Found struct {
	Source            string   // "flags", "environment", or the file that told
	Explicit          bool     // given by flags or environment
	Endpoints         []string // client URLs with scheme, without duplicates
	CACert, Cert, Key string   // files; empty: the system's CAs, no client certificate
	User, Password    string
	Prefix            string // of the API server's keys
	Metrics           []Metrics
}

// Metrics is where the member of an endpoint tells its metrics, beside its client URL.
type Metrics struct{ Endpoint, URL string }

// Missing is why there is nothing.
type Missing struct {
	Why, Fix string
	Tried    []string
}

// DefaultPrefix is the API server's default --etcd-prefix.
const DefaultPrefix = "/registry"

const fixFlags = "give --etcd-endpoints with --etcd-cacert, --etcd-cert and --etcd-key, or run on a control-plane node as root"

// Find looks in the order flags, environment, manifests, distributions. It returns what it found, or why there is nothing; an error
// means that something given explicitly is wrong.
func Find(o Options) (*Found, *Missing, error) {
	if o.HostRoot == "" {
		o.HostRoot = "/"
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	f, err := explicit(o)
	if err != nil {
		return nil, nil, err
	}
	if f != nil && (f.CACert != "" || f.Cert != "" || !anyHTTPS(f.Endpoints)) {
		return f, nil, nil
	}
	s := &search{root: o.HostRoot}
	onHost := s.manifests()
	if onHost == nil {
		onHost = s.distributions()
	}
	if f != nil {
		// Only endpoints were given: this node may have the certificates.
		if onHost != nil {
			f.CACert, f.Cert, f.Key, f.Prefix = onHost.CACert, onHost.Cert, onHost.Key, onHost.Prefix
			f.Metrics = onHost.Metrics
			f.Source += ", certificates of " + onHost.Source
		}
		return f, nil, nil
	}
	if onHost != nil {
		return onHost, nil, nil
	}
	m := &Missing{
		Why:   "no etcd was found on this machine and none was given",
		Fix:   fixFlags,
		Tried: append([]string{"--etcd-endpoints", "ETCDCTL_ENDPOINTS"}, s.tried...),
	}
	if len(s.problems) > 0 {
		m.Why, m.Fix = s.problems[0].Why, s.problems[0].Fix
	}
	return nil, m, nil
}

// explicit merges flags over environment, value by value, as etcdctl does.
func explicit(o Options) (*Found, error) {
	pick := func(flag, env string) (string, string) {
		if flag != "" {
			return flag, "flags"
		}
		return o.Env(env), "environment"
	}
	f := &Found{Explicit: true, Prefix: DefaultPrefix}
	list, source := pick(strings.Join(o.Endpoints, ","), "ETCDCTL_ENDPOINTS")
	f.Source = source
	var cs, ks, as string
	f.CACert, as = pick(o.CACert, "ETCDCTL_CACERT")
	f.Cert, cs = pick(o.Cert, "ETCDCTL_CERT")
	f.Key, ks = pick(o.Key, "ETCDCTL_KEY")
	f.User, f.Password, _ = strings.Cut(o.Env("ETCDCTL_USER"), ":")
	if f.Password == "" {
		f.Password = o.Env("ETCDCTL_PASSWORD")
	}
	if f.Cert == "" != (f.Key == "") {
		given, missing := "--etcd-cert (or ETCDCTL_CERT)", "--etcd-key (or ETCDCTL_KEY)"
		if f.Cert == "" {
			given, missing = missing, given
		}
		return nil, fmt.Errorf("etcd: %s is given without %s: give both", given, missing)
	}
	if list == "" {
		for value, from := range map[string]string{f.CACert: as, f.Cert: cs, f.Key: ks} {
			if value != "" && from == "flags" {
				return nil, fmt.Errorf("etcd: the certificate %s is given without endpoints: add --etcd-endpoints=https://127.0.0.1:2379", value)
			}
		}
		return nil, nil
	}
	var err error
	f.Endpoints, err = Endpoints(list, f.CACert != "" || f.Cert != "")
	if err != nil {
		return nil, fmt.Errorf("etcd endpoints from %s: %w", source, err)
	}
	return f, nil
}

type search struct {
	root     string
	tried    []string
	problems []Missing
}

// host is the path on this machine of a path on the host.
func (s *search) host(path string) string { return filepath.Join(s.root, path) }

// readable reports whether a file can be read. It notes what stands in the way if that is worth telling.
func (s *search) readable(path string) bool {
	f, err := os.Open(path)
	if err == nil {
		_ = f.Close()
		return true
	}
	s.note(path, err)
	return false
}

func (s *search) note(path string, err error) {
	if errors.Is(err, fs.ErrPermission) {
		s.problem(fmt.Sprintf("%s is there but may not be read by this user", path),
			"run fathom as root (sudo), or give certificates that this user may read with --etcd-endpoints, --etcd-cacert, --etcd-cert and --etcd-key")
	}
}

func (s *search) problem(why, fix string) {
	if !slices.ContainsFunc(s.problems, func(m Missing) bool { return m.Why == why }) {
		s.problems = append(s.problems, Missing{Why: why, Fix: fix})
	}
}

// pair is a client certificate with its CA, as paths on this machine.
type pair struct{ ca, cert, key string }

// firstUsable returns the first pair whose three files can be read.
func (s *search) firstUsable(pairs []pair) (pair, bool) {
	for _, p := range pairs {
		if p.ca != "" && p.cert != "" && p.key != "" && s.readable(p.ca) && s.readable(p.cert) && s.readable(p.key) {
			return p, true
		}
	}
	return pair{}, false
}
