package cluster

import (
	"io"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

var quietLog = log.New(io.Discard, "", 0)

func ptr[T any](v T) *T { return &v }

// clear of what the machine that runs the tests has
func cleanEnv(t *testing.T) {
	t.Helper()
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
}

func TestOpenBadInput(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	_, otherKey := ca.issue("other", time.Hour)
	for name, c := range map[string]struct {
		config func(*clientcmdapi.Config)
		opt    func(*Options)
		want   []string
	}{
		"unknown context": {
			config: func(k *clientcmdapi.Config) { k.Contexts["prod"] = k.Contexts["test"] },
			opt:    func(o *Options) { o.Flags.Context = ptr("prd") },
			want:   []string{`context "prd" is not in`, "--context", "prod, test"},
		},
		"no current context": {
			config: func(k *clientcmdapi.Config) { k.CurrentContext = "" },
			want:   []string{"no current context", "--context", "test"},
		},
		"current context is gone": {
			config: func(k *clientcmdapi.Config) { k.CurrentContext = "old" },
			want:   []string{`context "old" is not in`},
		},
		"cluster is gone": {
			config: func(k *clientcmdapi.Config) { delete(k.Clusters, "cluster") },
			want:   []string{`cluster "cluster"`},
		},
		"no such file": {
			opt:  func(o *Options) { o.Flags.KubeConfig = ptr("/no/such/kubeconfig") },
			want: []string{"/no/such/kubeconfig", "no such file", "--kubeconfig"},
		},
		"a directory": {
			opt:  func(o *Options) { o.Flags.KubeConfig = ptr(os.TempDir()) },
			want: []string{"is a directory"},
		},
		"not YAML": {
			opt:  func(o *Options) { o.Flags.KubeConfig = ptr(write(t, "k", []byte("{"))) },
			want: []string{"cannot be read"},
		},
		"empty file": {
			opt:  func(o *Options) { o.Flags.KubeConfig = ptr(write(t, "k", nil)) },
			want: []string{"is empty"},
		},
		"CA is no certificate": {
			config: func(k *clientcmdapi.Config) { k.Clusters["cluster"].CertificateAuthorityData = []byte("x") },
			want:   []string{`context "test" of`, "root certificates"},
		},
		"CA file is missing": {
			config: func(k *clientcmdapi.Config) {
				k.Clusters["cluster"].CertificateAuthorityData = nil
				k.Clusters["cluster"].CertificateAuthority = "/no/such/ca"
			},
			want: []string{"/no/such/ca"},
		},
		"key of another certificate": {
			config: func(k *clientcmdapi.Config) { k.AuthInfos["admin"].ClientKeyData = otherKey },
			want:   []string{"private key does not match"},
		},
		"old auth provider": {
			config: func(k *clientcmdapi.Config) {
				k.AuthInfos["admin"].AuthProvider = &clientcmdapi.AuthProviderConfig{Name: "oidc"}
			},
			want: []string{`"oidc"`, "exec credential plugin"},
		},
		"namespace": {
			opt:  func(o *Options) { o.Flags.Namespace = ptr("No/Such") },
			want: []string{"namespace"},
		},
		"etcd CA file is missing": {
			opt: func(o *Options) {
				o.Etcd.Endpoints, o.Etcd.CACert = []string{"https://127.0.0.1:1"}, "/no/such/ca"
			},
			want: []string{"/no/such/ca", "flags", "--etcd-cacert"},
		},
		"etcd CA is no certificate": {
			opt: func(o *Options) {
				o.Etcd.Endpoints, o.Etcd.CACert = []string{"https://127.0.0.1:1"}, write(t, "ca", []byte("x"))
			},
			want: []string{"holds no PEM certificate"},
		},
		"etcd key of another certificate": {
			opt: func(o *Options) {
				*o = ca.etcdOptions(*o, time.Hour, "https://127.0.0.1:1")
				o.Etcd.Key = write(t, "key", otherKey)
			},
			want: []string{"does not match", "--etcd-key"},
		},
		"etcd endpoint without port": {
			opt:  func(o *Options) { o.Etcd.Endpoints = []string{"https://somewhere"} },
			want: []string{"host and a port"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := ca.kubeconfig("https://127.0.0.1:1")
			if c.config != nil {
				c.config(k)
			}
			o := options(t, k)
			if c.opt != nil {
				c.opt(&o)
			}
			cl, err := Open(o)
			if err == nil {
				cl.Close()
				t.Fatalf("no error; missing %+v", cl.Missing())
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			t.Log(err)
		})
	}
}

func TestOpenKubeconfigVariable(t *testing.T) {
	cleanEnv(t)
	t.Setenv("KUBECONFIG", "/no/such/file")
	_, err := Open(options(t, nil))
	if err == nil || !strings.Contains(err.Error(), "/no/such/file") {
		t.Errorf("%v", err)
	}
}

func TestIdentityAndContexts(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	k := ca.kubeconfig("https://jane:s3cret@127.0.0.1:1/prefix") // the password is neither for the screen nor for the journal
	k.Contexts["test"].Namespace = "shop"
	k.Clusters["two"] = &clientcmdapi.Cluster{Server: "https://jane:s3cret@127.0.0.1:2"}
	k.Contexts["other"] = &clientcmdapi.Context{Cluster: "two", AuthInfo: "admin"}
	o := ca.etcdOptions(options(t, k), time.Hour, "https://127.0.0.1:1")
	o.Flags.Impersonate = ptr("jane")
	o.ReadOnly = true
	c := open(t, o)
	want := Identity{Context: "test", Cluster: "cluster", User: "admin as jane", Server: "https://127.0.0.1:1/prefix", Namespace: "shop", Source: *o.Flags.KubeConfig}
	if got := c.Identity(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if cfg := c.Kube().Config(); cfg.QPS != -1 || cfg.UserAgent != "fathom" || cfg.Timeout != 0 {
		t.Errorf("%+v", cfg)
	}
	list, err := o.Contexts()
	if err != nil || len(list) != 2 || list[0].Name != "other" || list[0].Server != "https://127.0.0.1:2" || !list[1].Current {
		t.Errorf("%+v, %v", list, err)
	}
	o.Flags.BearerToken = ptr("of the first cluster")
	c2 := open(t, o.WithContext("other"))
	if c2.Kube().Config().BearerToken != "" {
		t.Error("the other context is sent the first one's credentials")
	}
	if id := c2.Identity(); id.Context != "other" || id.Cluster != "two" || id.Namespace != "default" || !c2.ReadOnly() {
		t.Errorf("%+v", id)
	}
	if c2.Etcd() != nil || len(c2.Missing()) != 1 || !strings.Contains(c2.Missing()[0].Why, "belongs to context test") {
		t.Errorf("the other context has the first one's etcd: %+v", c2.Missing())
	}
	if c3 := open(t, o.WithContext("test")); c3.Etcd() == nil {
		t.Error("on the way back etcd is lost")
	}
	if *o.Flags.KubeConfig == "" || str(o.Flags.Context) != "" {
		t.Error("WithContext changed the options it was called on")
	}
}

func TestOpenWithNothing(t *testing.T) {
	cleanEnv(t)
	if _, err := os.Stat(os.ExpandEnv("$HOME/.kube/config")); err == nil {
		t.Skip("this user has a kubeconfig")
	}
	c := open(t, options(t, nil))
	if c.Kube() != nil || c.Etcd() != nil || len(c.Missing()) != 2 {
		t.Fatalf("%+v", c.Missing())
	}
	err := Preflight(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "--kubeconfig") || !strings.Contains(err.Error(), "--etcd-endpoints") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	r := Doctor(t.Context(), c)
	if r.Exit() != 1 || r.Problem == "" {
		t.Errorf("%+v", r)
	}
}

// TestAdminConf: on a control-plane node nobody has to say where the kubeconfig is.
func TestAdminConf(t *testing.T) {
	cleanEnv(t)
	if _, err := os.Stat(os.ExpandEnv("$HOME/.kube/config")); err == nil {
		t.Skip("this user has a kubeconfig")
	}
	ca := newAuthority(t)
	o := options(t, ca.kubeconfig("https://127.0.0.1:1"))
	b, err := os.ReadFile(*o.Flags.KubeConfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(o.Etcd.HostRoot+"/etc/kubernetes", 0o700); err != nil {
		t.Fatal(err)
	}
	file := o.Etcd.HostRoot + "/etc/kubernetes/admin.conf"
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Flags = genericclioptions.NewConfigFlags(false)
	if c := open(t, o); c.Kube() == nil || c.Identity().Source != file {
		t.Errorf("%+v, %+v", c.Identity(), c.Missing())
	}
}

func TestReadOnlyRefusesEtcdLogin(t *testing.T) {
	cleanEnv(t)
	o := options(t, newAuthority(t).kubeconfig("https://127.0.0.1:1"))
	o.ReadOnly = true
	o.Etcd.Endpoints = []string{"http://127.0.0.1:1"}
	o.Etcd.Env = func(k string) string { return map[string]string{"ETCDCTL_USER": "root:x"}[k] }
	c := open(t, o)
	if c.Etcd() != nil || len(c.Missing()) != 1 || !strings.Contains(c.Missing()[0].Why, "raft proposal") {
		t.Errorf("%+v", c.Missing())
	}
}
