package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"fathom/cmd/sandbox/internal/layout"
)

// hostPath is one hostPath volume of a static pod, mounted at its own path.
type hostPath struct {
	name     string
	path     string
	kind     corev1.HostPathType
	readOnly bool
}

// WriteManifests writes the static pod manifests into the host trees: all four
// on the first control-plane host, etcd alone on the hosts of the further
// members.
func (s *Spec) WriteManifests(d layout.Dir) error {
	for n := range s.Etcd {
		if err := writeManifest(d.MemberRoot(n+1), "etcd", s.EtcdPod(n+1)); err != nil {
			return err
		}
	}
	for name, pod := range map[string]*corev1.Pod{
		"kube-apiserver":          s.APIServerPod(),
		"kube-controller-manager": s.ControllerPod(),
		"kube-scheduler":          s.SchedulerPod(),
	} {
		if err := writeManifest(d.HostRoot(), name, pod); err != nil {
			return err
		}
	}
	return nil
}

func writeManifest(root, name string, pod *corev1.Pod) error {
	b, err := yaml.Marshal(pod)
	if err != nil {
		return fmt.Errorf("encode manifest %s: %w", name, err)
	}
	path := filepath.Join(root, layout.ManifestsDir, name+".yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// EtcdPod is the static pod of the n-th member.
func (s *Spec) EtcdPod(n int) *corev1.Pod {
	pod := staticPod("etcd", "etcd:"+EtcdVersion+"-0", "100m",
		append([]string{"etcd"}, append(s.etcdFlags(n), s.quotaFlag()...)...),
		[]hostPath{
			{"etcd-data", layout.EtcdDataDir, corev1.HostPathDirectoryOrCreate, false},
			{"etcd-certs", layout.EtcdPKIDir, corev1.HostPathDirectoryOrCreate, false},
		})
	pod.Annotations = map[string]string{"kubeadm.kubernetes.io/etcd.advertise-client-urls": s.ClientURL(n)}
	pod.Spec.Containers[0].Resources.Requests[corev1.ResourceMemory] = resource.MustParse("100Mi")
	probe(pod, s.Etcd[n-1].Metrics, corev1.URISchemeHTTP, "/livez", "/readyz")
	return pod
}

// APIServerPod is the API server's static pod.
func (s *Spec) APIServerPod() *corev1.Pod {
	volumes := []hostPath{
		{"ca-certs", "/etc/ssl/certs", corev1.HostPathDirectoryOrCreate, true},
		{"k8s-certs", layout.PKIDir, corev1.HostPathDirectoryOrCreate, true},
	}
	if s.Encrypt {
		volumes = append(volumes, hostPath{"enc", layout.EncryptionDir, corev1.HostPathDirectoryOrCreate, true})
	}
	pod := staticPod("kube-apiserver", "kube-apiserver:"+KubernetesVersion, "250m",
		append([]string{"kube-apiserver"}, s.apiserverFlags()...), volumes)
	pod.Annotations = map[string]string{
		"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": fmt.Sprintf("%s:%d", s.AdvertiseAddress, s.APIServerPort),
	}
	probe(pod, s.APIServerPort, corev1.URISchemeHTTPS, "/livez", "/readyz")
	return pod
}

// ControllerPod is the controller manager's static pod.
func (s *Spec) ControllerPod() *corev1.Pod {
	conf := layout.KubernetesDir + "/controller-manager.conf"
	pod := staticPod("kube-controller-manager", "kube-controller-manager:"+KubernetesVersion, "200m",
		append([]string{"kube-controller-manager"}, s.controllerFlags()...),
		[]hostPath{
			{"ca-certs", "/etc/ssl/certs", corev1.HostPathDirectoryOrCreate, true},
			{"k8s-certs", layout.PKIDir, corev1.HostPathDirectoryOrCreate, true},
			{"kubeconfig", conf, corev1.HostPathFileOrCreate, true},
		})
	probe(pod, s.ControllerPort, corev1.URISchemeHTTPS, "/healthz", "")
	return pod
}

// SchedulerPod is the scheduler's static pod.
func (s *Spec) SchedulerPod() *corev1.Pod {
	conf := layout.KubernetesDir + "/scheduler.conf"
	pod := staticPod("kube-scheduler", "kube-scheduler:"+KubernetesVersion, "100m",
		append([]string{"kube-scheduler"}, s.schedulerFlags()...),
		[]hostPath{{"kubeconfig", conf, corev1.HostPathFileOrCreate, true}})
	probe(pod, s.SchedulerPort, corev1.URISchemeHTTPS, "/livez", "/readyz")
	return pod
}

func staticPod(component, image, cpu string, command []string, volumes []hostPath) *corev1.Pod {
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: component, Namespace: metav1.NamespaceSystem,
			Labels: map[string]string{"component": component, "tier": "control-plane"},
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Name: component, Image: image, Command: command,
				ImagePullPolicy: corev1.PullIfNotPresent,
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
				},
			}},
			HostNetwork:       true,
			Priority:          ptr.To[int32](2000001000),
			PriorityClassName: "system-node-critical",
			SecurityContext: &corev1.PodSecurityContext{
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		},
	}
	c := &pod.Spec.Containers[0]
	for _, v := range volumes {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: v.name, MountPath: v.path, ReadOnly: v.readOnly})
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: v.name, VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: v.path, Type: ptr.To(v.kind)},
		}})
	}
	return pod
}

func probe(pod *corev1.Pod, port int, scheme corev1.URIScheme, live, ready string) {
	handler := func(path string) corev1.ProbeHandler {
		return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Host: "127.0.0.1", Path: path, Port: intstr.FromInt32(int32(port)), Scheme: scheme,
		}}
	}
	c := &pod.Spec.Containers[0]
	c.LivenessProbe = &corev1.Probe{ProbeHandler: handler(live), FailureThreshold: 8, InitialDelaySeconds: 10, PeriodSeconds: 10, TimeoutSeconds: 15}
	c.StartupProbe = &corev1.Probe{ProbeHandler: handler(live), FailureThreshold: 24, InitialDelaySeconds: 10, PeriodSeconds: 10, TimeoutSeconds: 15}
	if ready != "" {
		c.ReadinessProbe = &corev1.Probe{ProbeHandler: handler(ready), FailureThreshold: 3, PeriodSeconds: 1, TimeoutSeconds: 15}
	}
}

// EtcdEnvFile is the content of etcd.env: what etcdctl needs to reach the
// cluster, and fathom too.
func (s *Spec) EtcdEnvFile(d layout.Dir) string {
	var b strings.Builder
	for _, kv := range s.EtcdEnv(d) {
		b.WriteString(kv + "\n")
	}
	return b.String()
}

// EtcdEnv are the same settings as NAME=value strings.
func (s *Spec) EtcdEnv(d layout.Dir) []string {
	pki := d.Host(layout.EtcdPKIDir)
	return []string{
		"ETCDCTL_ENDPOINTS=" + strings.Join(s.ClientURLs(), ","),
		"ETCDCTL_CACERT=" + filepath.Join(pki, "ca.crt"),
		"ETCDCTL_CERT=" + filepath.Join(pki, "healthcheck-client.crt"),
		"ETCDCTL_KEY=" + filepath.Join(pki, "healthcheck-client.key"),
	}
}
