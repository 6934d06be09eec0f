package discover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// manifestDirs hold static pods: kubeadm and kind, and RKE2.
var manifestDirs = []string{"/etc/kubernetes/manifests", "/var/lib/rancher/rke2/agent/pod-manifests"}

// maxManifest bounds what is read as a manifest.
const maxManifest = 1 << 20

// manifests reads {etcd,kube-apiserver}.yaml. The API server's flags tell the endpoints, the client certificate and the prefix;
// etcd's own flags tell the URL it advertises, which is the one the member list has.
func (s *search) manifests() *Found {
	for _, dir := range manifestDirs {
		etcd := s.manifest(dir, "etcd")
		api := s.manifest(dir, "kube-apiserver")
		if etcd == nil && api == nil {
			continue
		}
		if f := s.fromManifests(etcd, api); f != nil {
			return f
		}
	}
	return nil
}

func (s *search) fromManifests(etcd, api *staticPod) *Found {
	f := &Found{Prefix: DefaultPrefix}
	var list []string
	var pairs []pair
	if etcd != nil {
		if file := s.file(etcd, "config-file"); file != "" {
			s.configFile(file, etcd.flags)
		}
		f.Source = etcd.file
		list = etcd.localURLs()
		f.Metrics = etcd.metrics(list)
	}
	if api != nil {
		f.Source = api.file
		for _, u := range api.list("etcd-servers") {
			// What the local member listens on is that member, which the list has under the URL it advertises.
			if etcd == nil || len(list) == 0 || !slices.ContainsFunc(etcd.list("listen-client-urls"), func(l string) bool { return Same(l, u) }) {
				list = append(list, u)
			}
		}
		if p := api.flags["etcd-prefix"]; p != "" {
			f.Prefix = "/" + strings.Trim(p, "/")
		}
		pairs = append(pairs, pair{s.file(api, "etcd-cafile"), s.file(api, "etcd-certfile"), s.file(api, "etcd-keyfile")})
	}
	endpoints, err := Endpoints(strings.Join(list, ","), true)
	if err != nil {
		s.problem(fmt.Sprintf("%s tells no usable etcd endpoint: %v", f.Source, err), fixFlags)
		return nil
	}
	f.Endpoints = endpoints
	if !anyHTTPS(endpoints) {
		return f
	}
	if etcd != nil {
		ca := s.file(etcd, "trusted-ca-file")
		server := s.file(etcd, "cert-file")
		dir := path.Dir(server)
		pairs = append(pairs,
			pair{ca, path.Join(path.Dir(dir), "apiserver-etcd-client.crt"), path.Join(path.Dir(dir), "apiserver-etcd-client.key")},
			pair{ca, path.Join(dir, "healthcheck-client.crt"), path.Join(dir, "healthcheck-client.key")},
			pair{ca, path.Join(dir, "client.crt"), path.Join(dir, "client.key")},
			pair{ca, server, s.file(etcd, "key-file")}, // kubeadm's is for clients too
		)
	}
	p, ok := s.firstUsable(pairs)
	if !ok {
		s.problem(f.Source+" names etcd client certificates that are not there", fixFlags)
		return nil
	}
	f.CACert, f.Cert, f.Key = p.ca, p.cert, p.key
	return f
}

// file is the path on this machine of a file that a flag names; empty when the flag is.
func (s *search) file(p *staticPod, flag string) string {
	if v := p.flags[flag]; v != "" {
		return s.host(p.hostPath(v))
	}
	return ""
}

// staticPod is the one container of a static pod that matters.
type staticPod struct {
	file    string
	flags   map[string]string
	volumes map[string]string // mount path -> host path
}

func (s *search) manifest(dir, component string) *staticPod {
	file := s.host(path.Join(dir, component+".yaml"))
	s.tried = append(s.tried, file)
	b, err := readBounded(file)
	if err != nil {
		s.note(file, err)
		return nil
	}
	pod := &corev1.Pod{}
	if err := yaml.Unmarshal(b, pod); err != nil {
		s.problem(fmt.Sprintf("%s is not a pod manifest: %v", file, err), fixFlags)
		return nil
	}
	for _, c := range pod.Spec.Containers {
		words := words(c)
		if c.Name != component && !slices.ContainsFunc(words, func(w string) bool { return path.Base(w) == component }) {
			continue
		}
		return &staticPod{file: file, flags: parseFlags(words), volumes: volumes(pod, c)}
	}
	s.problem(fmt.Sprintf("%s has no container %s", file, component), fixFlags)
	return nil
}

// configFile reads etcd's --config-file into the flags that matter here. etcd ignores its other flags when it has one, so what the file does not say is not
// said (etcd.io/docs, "Configuration file").
func (s *search) configFile(file string, flags map[string]string) {
	s.tried = append(s.tried, file)
	b, err := readBounded(file)
	if err != nil {
		s.note(file, err)
		return
	}
	var c struct {
		Metrics   string `json:"listen-metrics-urls"`
		Listen    string `json:"listen-client-urls"`
		Advertise string `json:"advertise-client-urls"`
		TLS       struct {
			Cert string `json:"cert-file"`
			Key  string `json:"key-file"`
			CA   string `json:"trusted-ca-file"`
		} `json:"client-transport-security"`
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		s.problem(fmt.Sprintf("%s is not a configuration of etcd: %v", file, err), fixFlags)
		return
	}
	for name, value := range map[string]string{
		"listen-metrics-urls": c.Metrics, "listen-client-urls": c.Listen, "advertise-client-urls": c.Advertise,
		"cert-file": c.TLS.Cert, "key-file": c.TLS.Key, "trusted-ca-file": c.TLS.CA,
	} {
		flags[name] = value
	}
}

func readBounded(file string) ([]byte, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxManifest {
		return nil, errors.Join(fs.ErrInvalid, fmt.Errorf("%s is not a manifest", file))
	}
	return os.ReadFile(file)
}

// words are command and arguments, with $(VAR) expanded, and with shell scripts (OpenShift) taken apart at white space.
func words(c corev1.Container) []string {
	var expand []string
	for _, e := range c.Env {
		expand = append(expand, "$("+e.Name+")", e.Value)
	}
	r := strings.NewReplacer(expand...)
	var out []string
	for _, w := range slices.Concat(c.Command, c.Args) {
		w = r.Replace(w)
		if !strings.ContainsAny(w, " \n\t") || strings.HasPrefix(w, "-") {
			out = append(out, w)
			continue
		}
		for _, f := range strings.Fields(w) {
			out = append(out, strings.Trim(f, `"'\`))
		}
	}
	return out
}

// parseFlags reads --k=v and --k v. The last one wins.
func parseFlags(words []string) map[string]string {
	out := map[string]string{}
	for i, w := range words {
		name, ok := strings.CutPrefix(w, "--")
		if !ok {
			if name, ok = strings.CutPrefix(w, "-"); !ok {
				continue
			}
		}
		name, value, has := strings.Cut(name, "=")
		if !has && i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			value = words[i+1]
		}
		out[name] = strings.Trim(value, `"'`)
	}
	return out
}

func volumes(pod *corev1.Pod, c corev1.Container) map[string]string {
	out := map[string]string{}
	for _, m := range c.VolumeMounts {
		for _, v := range pod.Spec.Volumes {
			if v.Name == m.Name && v.HostPath != nil {
				out[path.Clean(m.MountPath)] = path.Join(v.HostPath.Path, m.SubPath)
			}
		}
	}
	return out
}

func (p *staticPod) list(name string) []string {
	var out []string
	for _, s := range strings.Split(p.flags[name], ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// hostPath maps a path in the container to one on the host, through the deepest hostPath mount above it.
func (p *staticPod) hostPath(file string) string {
	file = path.Clean(file)
	best := ""
	for mount := range p.volumes {
		if (file == mount || strings.HasPrefix(file, strings.TrimSuffix(mount, "/")+"/")) && len(mount) > len(best) {
			best = mount
		}
	}
	if best == "" {
		return file
	}
	return path.Join(p.volumes[best], strings.TrimPrefix(file, best))
}

// localURLs are the URLs of the member itself: what it advertises, if it listens there too, else what it listens on.
func (p *staticPod) localURLs() []string {
	listen := p.list("listen-client-urls")
	var out []string
	for _, u := range p.list("advertise-client-urls") {
		if len(listen) == 0 || slices.ContainsFunc(listen, func(l string) bool { return Same(l, u) || anyAddress(l) }) {
			out = append(out, u)
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, u := range listen {
		if !anyAddress(u) {
			return []string{u}
		}
	}
	if len(listen) > 0 {
		return []string{strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "[::1]").Replace(listen[0])}
	}
	return nil
}

func anyAddress(u string) bool {
	return strings.Contains(u, "//0.0.0.0:") || strings.Contains(u, "//[::]:")
}

// metrics are the URLs of --listen-metrics-urls, for each endpoint of the member.
func (p *staticPod) metrics(endpoints []string) []Metrics {
	var out []Metrics
	for _, u := range p.list("listen-metrics-urls") {
		if anyAddress(u) {
			u = strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "[::1]").Replace(u)
		}
		for _, e := range endpoints {
			out = append(out, Metrics{Endpoint: e, URL: strings.TrimSuffix(u, "/") + "/metrics"})
		}
	}
	return out
}
