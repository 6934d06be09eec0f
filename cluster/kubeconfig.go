package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
)

const fixKube = "give --kubeconfig and --context, or set KUBECONFIG"

// kubeProblem is why there is no API server.
type kubeProblem struct {
	why, fix string
	tried    []string
	explicit bool // what was given by the user is wrong
}

func (p *kubeProblem) Error() string { return p.why + ": " + p.fix }

// kubeSource is a configuration that was loaded, and whence.
type kubeSource struct {
	config   *rest.Config
	identity Identity
	cert     certificate
	explicit bool
}

func (k *kubeSource) where() string {
	if k.identity.Context == "" {
		return "the Kubernetes configuration (" + k.identity.Source + ")"
	}
	return fmt.Sprintf("context %q of %s", k.identity.Context, k.identity.Source)
}

// adminConfigs are the kubeconfig files of a control-plane node, for who has none of their own: kubeadm, k3s, RKE2, k0s, MicroK8s.
var adminConfigs = []string{
	"/etc/kubernetes/admin.conf", "/etc/kubernetes/super-admin.conf", "/etc/rancher/k3s/k3s.yaml", "/etc/rancher/rke2/rke2.yaml",
	"/var/lib/k0s/pki/admin.conf", "/var/snap/microk8s/current/credentials/client.config",
}

// loadKube follows kubectl's rules: flags, KUBECONFIG, ~/.kube/config, in-cluster; then the files of a control-plane node.
func loadKube(o Options) (*kubeSource, error) {
	flags := copyFlags(o.Flags)
	env := os.Getenv(clientcmd.RecommendedConfigPathEnvVar)
	explicit := env != "" || given(flags.KubeConfig, flags.Context, flags.ClusterName, flags.AuthInfoName, flags.APIServer)
	if file := str(flags.KubeConfig); file != "" {
		if err := readableFile(file); err != nil {
			return nil, &kubeProblem{why: "kubeconfig " + err.Error(), fix: "give another with --kubeconfig", explicit: true}
		}
	} else if env != "" && allMissing(env) {
		return nil, &kubeProblem{why: "KUBECONFIG names no file that exists: " + env, fix: "correct or unset KUBECONFIG", explicit: true}
	}
	src, err := fromLoader(flags)
	if err == nil {
		src.explicit = explicit
		return src, nil
	}
	var p *kubeProblem
	if !errors.As(err, &p) {
		if !clientcmd.IsEmptyConfig(err) && !isEmpty(err) {
			p = &kubeProblem{why: "the kubeconfig cannot be used: " + oneLine(err.Error()), fix: fixKube}
		}
	}
	if p != nil {
		p.explicit = explicit
		return nil, p
	}
	if explicit { // a file without a single context
		return nil, &kubeProblem{why: "the kubeconfig is empty: " + describe(flags, env), fix: fixKube, explicit: true}
	}
	tried := []string{"--kubeconfig", clientcmd.RecommendedConfigPathEnvVar, clientcmd.RecommendedHomeFile, "in-cluster"}
	denied := ""
	for _, f := range adminConfigs {
		f = filepath.Join(o.Etcd.HostRoot, f)
		tried = append(tried, f)
		if err := readableFile(f); err != nil {
			if errors.Is(err, fs.ErrPermission) && denied == "" {
				denied = f
			}
			continue
		}
		flags.KubeConfig = &f
		return fromLoader(flags)
	}
	out := &kubeProblem{why: "no kubeconfig was found", fix: fixKube, tried: tried}
	if denied != "" {
		out.why, out.fix = fmt.Sprintf("%s is there but may not be read by this user", denied), "run fathom as root (sudo), or "+fixKube
	}
	return nil, out
}

// isEmpty recognises genericclioptions' own text for an empty configuration.
func isEmpty(err error) bool { return errors.Is(err, genericclioptions.ErrEmptyConfig) }

func fromLoader(flags *genericclioptions.ConfigFlags) (*kubeSource, error) {
	loader := flags.ToRawKubeConfigLoader()
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, &kubeProblem{why: "the kubeconfig cannot be read: " + oneLine(err.Error()), fix: "correct it, or give another with --kubeconfig"}
	}
	name := str(flags.Context)
	if name == "" {
		name = raw.CurrentContext
	}
	if p := checkContext(raw, name, flags); p != nil {
		return nil, p
	}
	cfg, err := loader.ClientConfig()
	if err != nil {
		return nil, err
	}
	if len(raw.Contexts) == 0 && len(raw.Clusters) == 0 && str(flags.APIServer) == "" && !inCluster(cfg) {
		return nil, genericclioptions.ErrEmptyConfig // kubectl's default of localhost:8080 helps nobody
	}
	id := identity(raw, name, cfg, flags)
	if ns, _, err := loader.Namespace(); err == nil {
		id.Namespace = ns
	}
	if errs := validation.IsDNS1123Label(id.Namespace); id.Namespace != "" && len(errs) > 0 {
		return nil, &kubeProblem{why: fmt.Sprintf("namespace %q is not a valid name", id.Namespace), fix: "correct -n, or the context's namespace"}
	}
	if cfg.AuthProvider != nil {
		return nil, &kubeProblem{
			why: fmt.Sprintf("user %q of %s uses the old auth-provider %q, which fathom does not have", id.User, id.Source, cfg.AuthProvider.Name),
			fix: "use an exec credential plugin instead",
		}
	}
	if cfg.ExecProvider != nil {
		// Its standard input is ours, and we own the terminal.
		cfg.ExecProvider = cfg.ExecProvider.DeepCopy()
		cfg.ExecProvider.StdinUnavailable = true
		cfg.ExecProvider.StdinUnavailableMessage = "fathom owns the terminal: log in with kubectl first, then come back"
	}
	src := &kubeSource{config: cfg, identity: id}
	src.cert, err = clientCertificate(cfg)
	if err != nil {
		return nil, &kubeProblem{why: src.where() + ": " + oneLine(err.Error()), fix: "correct the file, or choose another with --kubeconfig or --context"}
	}
	return src, nil
}

func inCluster(cfg *rest.Config) bool {
	return os.Getenv("KUBERNETES_SERVICE_HOST") != "" && cfg.BearerTokenFile != ""
}

// checkContext finds what clientcmd says less clearly.
func checkContext(raw clientcmdapi.Config, name string, flags *genericclioptions.ConfigFlags) *kubeProblem {
	if len(raw.Contexts) == 0 && name == "" {
		return nil
	}
	where := originOf(raw, "", flags)
	if name == "" {
		if str(flags.APIServer) != "" || str(flags.ClusterName) != "" {
			return nil
		}
		return &kubeProblem{why: "no current context is set in " + where, fix: "choose one with --context: " + contextNames(raw)}
	}
	ctx, ok := raw.Contexts[name]
	if !ok {
		return &kubeProblem{why: fmt.Sprintf("context %q is not in %s", name, where), fix: "choose one with --context: " + contextNames(raw)}
	}
	if _, ok := raw.Clusters[ctx.Cluster]; !ok && str(flags.ClusterName) == "" && str(flags.APIServer) == "" {
		return &kubeProblem{
			why: fmt.Sprintf("context %q of %s refers to cluster %q, which is not there", name, where, ctx.Cluster),
			fix: "correct it, or choose another context: " + contextNames(raw),
		}
	}
	return nil
}

const maxNames = 8

func contextNames(raw clientcmdapi.Config) string {
	names := make([]string, 0, len(raw.Contexts))
	for n := range raw.Contexts {
		names = append(names, n)
	}
	sort.Strings(names)
	if len(names) == 0 {
		return "there is none"
	}
	if len(names) > maxNames {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
	}
	return strings.Join(names, ", ")
}

// originOf is the file a context came from.
func originOf(raw clientcmdapi.Config, name string, flags *genericclioptions.ConfigFlags) string {
	if c := raw.Contexts[name]; c != nil && c.LocationOfOrigin != "" {
		return c.LocationOfOrigin
	}
	return describe(flags, os.Getenv(clientcmd.RecommendedConfigPathEnvVar))
}

func describe(flags *genericclioptions.ConfigFlags, env string) string {
	switch {
	case str(flags.KubeConfig) != "":
		return *flags.KubeConfig
	case env != "":
		return "KUBECONFIG=" + env
	default:
		return clientcmd.RecommendedHomeFile
	}
}

func identity(raw clientcmdapi.Config, name string, cfg *rest.Config, flags *genericclioptions.ConfigFlags) Identity {
	id := Identity{Context: name, Server: withoutUser(cfg.Host), Source: originOf(raw, name, flags)}
	if c := raw.Contexts[name]; c != nil {
		id.Cluster, id.User = c.Cluster, c.AuthInfo
	} else if inCluster(cfg) {
		id.Source, id.Cluster, id.User = "in-cluster", "in-cluster", "service account"
	} else {
		id.Source = "flags"
	}
	if v := str(flags.ClusterName); v != "" {
		id.Cluster = v
	}
	if v := str(flags.AuthInfoName); v != "" {
		id.User = v
	}
	if v := cfg.Impersonate.UserName; v != "" {
		id.User += " as " + v
	}
	return id
}

// withoutUser is a server's URL without user and password, which a kubeconfig may have there: for the screen and the journal.
func withoutUser(server string) string {
	u, err := url.Parse(server)
	if err != nil || u.User == nil {
		return server
	}
	u.User = nil
	return u.String()
}

// clientCertificate reads CA and client certificate, so that what is wrong with the files is told before anything is sent.
func clientCertificate(cfg *rest.Config) (certificate, error) {
	out := certificate{use: "client certificate for the API server", source: cfg.CertFile}
	if _, err := rest.TLSConfigFor(cfg); err != nil {
		return out, err
	}
	pem := cfg.CertData
	if len(pem) == 0 && cfg.CertFile != "" {
		b, err := os.ReadFile(cfg.CertFile)
		if err != nil {
			return out, err
		}
		pem = b
	}
	if len(pem) == 0 {
		return out, nil
	}
	if out.source == "" {
		out.source = "in the kubeconfig"
	}
	certs, err := cert.ParseCertsPEM(pem)
	if err != nil {
		return out, fmt.Errorf("%s: %w", out.use, err)
	}
	out.leaf = certs[0]
	return out, nil
}

func readableFile(file string) error {
	f, err := os.Open(file)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return fmt.Errorf("%s cannot be read: %w", file, pe.Err)
		}
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return fmt.Errorf("%s is a directory", file)
	}
	return nil
}

func allMissing(env string) bool {
	return !slices.ContainsFunc(filepath.SplitList(env), func(f string) bool {
		_, err := os.Stat(f)
		return f != "" && !errors.Is(err, fs.ErrNotExist)
	})
}

func str(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func given(ps ...*string) bool {
	return slices.ContainsFunc(ps, func(p *string) bool { return str(p) != "" })
}
