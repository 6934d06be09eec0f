// Package load puts a sandbox under load: many nodes and pods of realistic
// size, and a steady stream of changes to them.
package load

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/ptr"

	"fathom/cmd/sandbox/internal/fleet"
)

// app is one deployment of the load with its replica set.
type app struct {
	namespace, name, hash string
	replicas              int
}

// Sizes of the load's parts.
const (
	namespaces  = 10
	minReplicas = 10
	maxReplicas = 60
)

const loadNamespacePrefix = "load-"

var (
	teams = []string{"storefront", "payments", "search", "logistics", "identity", "analytics", "media", "platform", "risk", "partner"}
	nouns = []string{"api", "worker", "gateway", "indexer", "cache", "scheduler", "projector", "exporter", "ingest", "resolver"}
)

// apps divides the pods among deployments of uneven size.
func apps(pods int) []app {
	var out []app
	for i := 0; pods > 0; i++ {
		r := min(pods, minReplicas+int(hash(fmt.Sprint("size", i))%(maxReplicas-minReplicas)))
		pods -= r
		name := fmt.Sprintf("%s-%s-%03d", teams[i%len(teams)], nouns[i/len(teams)%len(nouns)], i)
		out = append(out, app{
			namespace: fmt.Sprintf(loadNamespacePrefix+"%02d", i%namespaces), name: name,
			hash: fmt.Sprintf("%08x", hash(name))[:8], replicas: r,
		})
	}
	return out
}

func hash(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	return h.Sum32()
}

func (a app) labels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": a.name, "app.kubernetes.io/instance": a.name, "app.kubernetes.io/part-of": "load",
		"app.kubernetes.io/version": "4.17.2", "app.kubernetes.io/managed-by": "helm", "helm.sh/chart": "service-2.11.0",
		fleet.LoadLabel: "true", "team": a.namespace, "tier": "backend", "environment": "production",
	}
}

func (a app) selector() map[string]string { return map[string]string{"app.kubernetes.io/name": a.name} }

func with(labels map[string]string, key, value string) map[string]string {
	labels[key] = value
	return labels
}

const vaultTemplate = `{{- with secret "database/creds/service" }}
export DB_USER="{{ .Data.username }}"
export DB_PASSWORD="{{ .Data.password }}"
{{- end }}
{{- with secret "pki/issue/service" "common_name=service.svc.cluster.local" "ttl=24h" "alt_names=service,service.svc" }}
{{ .Data.certificate }}
{{ .Data.issuing_ca }}
{{- range .Data.ca_chain }}
{{ . }}
{{- end }}
{{- end }}
{{- with secret "kv/data/service/feature-flags" }}
export FEATURE_FLAGS="{{ .Data.data.flags }}"
export FEATURE_SEED="{{ .Data.data.seed }}"
{{- end }}`

func (a app) template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: a.labels(),
			Annotations: map[string]string{
				"prometheus.io/scrape": "true", "prometheus.io/port": "9090", "prometheus.io/path": "/metrics",
				"checksum/config":               fmt.Sprintf("%064x", hash(a.name+"config")),
				"checksum/secret":               fmt.Sprintf("%064x", hash(a.name+"secret")),
				"sidecar.example.io/status":     `{"version":"1.9.0","initContainers":null,"containers":["proxy"],"volumes":["certs","token"]}`,
				"scaling.example.io/policy":     `{"min":10,"max":60,"metrics":[{"type":"cpu","target":0.7},{"type":"requests","target":250}],"cooldownSeconds":300}`,
				"vault.example.io/agent-inject": "true", "vault.example.io/role": a.name, "vault.example.io/agent-inject-template": vaultTemplate,
				"owner.example.io/contact":   "#team-" + a.namespace + ", oncall+" + a.name + "@example.com",
				"deploy.example.io/pipeline": "https://ci.example.com/teams/" + a.namespace + "/pipelines/" + a.name + "/runs/20261121.7",
			},
		},
		Spec: corev1.PodSpec{
			// Load nodes only, should a controller make a pod anew.
			NodeSelector:                  map[string]string{fleet.LoadLabel: "true"},
			TerminationGracePeriodSeconds: ptr.To[int64](30),
			SecurityContext:               &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](10001), FSGroup: ptr.To[int64](10001)},
			Containers: []corev1.Container{
				a.container("main", "load/"+a.name+":4.17.2", 8080, "30m", "64Mi"),
				a.container("proxy", "load/mesh-proxy:1.9.0", 15001, "20m", "32Mi"),
			},
			Volumes: []corev1.Volume{
				{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(resource.MustParse("256Mi"))}}},
			},
		},
	}
}

func (a app) container(name, image string, port int32, cpu, memory string) corev1.Container {
	probe := func(path string, period int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(port)}},
			PeriodSeconds: period, InitialDelaySeconds: 5, TimeoutSeconds: 2,
		}
	}
	c := corev1.Container{
		Name: name, Image: image,
		Args:  []string{"--config=/etc/service/config.yaml", "--listen=:" + fmt.Sprint(port), "--log.format=json"},
		Ports: []corev1.ContainerPort{{Name: "http-" + name, ContainerPort: port}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
		},
		LivenessProbe: probe("/livez", 10), ReadinessProbe: probe("/readyz", 5),
		VolumeMounts:    []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}},
		SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true)},
	}
	for _, e := range [][2]string{
		{"SERVICE_NAME", a.name}, {"SERVICE_NAMESPACE", a.namespace}, {"LOG_LEVEL", "info"}, {"HTTP_PORT", fmt.Sprint(port)},
		{"DATABASE_URL", "postgres://svc@postgres.data.svc.cluster.local:5432/" + a.name}, {"CACHE_URL", "redis://redis.data.svc.cluster.local:6379/3"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.monitoring.svc.cluster.local:4317"}, {"OTEL_SERVICE_NAME", a.name},
		{"FEATURE_FLAGS", "new-checkout,fast-path,async-invoices"}, {"GOMEMLIMIT", "450MiB"},
	} {
		c.Env = append(c.Env, corev1.EnvVar{Name: e[0], Value: e[1]})
	}
	for name, path := range map[string]string{"POD_NAME": "metadata.name", "POD_IP": "status.podIP"} {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}})
	}
	return c
}

func (a app) deployment() *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Name: a.name, Namespace: a.namespace, Labels: a.labels(),
			Annotations: map[string]string{"deployment.kubernetes.io/revision": "1"},
		},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(int32(a.replicas)), Selector: &metav1.LabelSelector{MatchLabels: a.selector()}, Template: a.template(),
		},
	}
}

// replicaSet is what the deployment controller would have made of the
// deployment as the API server returned it.
func (a app) replicaSet(d *appsv1.Deployment) *appsv1.ReplicaSet {
	template := *d.Spec.Template.DeepCopy()
	with(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey, a.hash)
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: a.name + "-" + a.hash, Namespace: a.namespace, Labels: template.Labels,
			Annotations: map[string]string{
				"deployment.kubernetes.io/revision": "1", "deployment.kubernetes.io/desired-replicas": fmt.Sprint(a.replicas),
				"deployment.kubernetes.io/max-replicas": fmt.Sprint(a.replicas + a.replicas/4 + 1),
			},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: ptr.To(int32(a.replicas)), Template: template,
			Selector: &metav1.LabelSelector{MatchLabels: with(a.selector(), appsv1.DefaultDeploymentUniqueLabelKey, a.hash)},
		},
	}
}

// podOf is a pod as the replica set controller would post it.
func podOf(rs *appsv1.ReplicaSet) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: rs.Name + "-" + suffix(), GenerateName: rs.Name + "-", Namespace: rs.Namespace,
			Labels: rs.Spec.Template.Labels, Annotations: rs.Spec.Template.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))},
		},
		Spec: *rs.Spec.Template.Spec.DeepCopy(),
	}
}

// suffixes are the letters Kubernetes makes random names of.
const suffixes = "bcdfghjklmnpqrstvwxz2456789"

func suffix() string {
	b := make([]byte, 5)
	for i := range b {
		b[i] = suffixes[rand.IntN(len(suffixes))]
	}
	return string(b)
}

// place makes a running pod on a node out of a pod as the API server would
// store it when it has just been created.
func place(model *corev1.Pod, node *corev1.Node, ip string, now time.Time) *corev1.Pod {
	p := model.DeepCopy()
	p.Name = model.GenerateName + suffix()
	p.UID = uuid.NewUUID()
	p.ResourceVersion = ""
	// They name every field again and would make half of the pod's size.
	p.ManagedFields = nil
	p.Spec.NodeName = node.Name
	created := metav1.NewTime(now.Add(-time.Duration(rand.IntN(72*3600)) * time.Second).Truncate(time.Second))
	p.CreationTimestamp = created
	started := metav1.NewTime(created.Add(4 * time.Second))
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: nodeIP(node), PodIP: ip,
		HostIPs: []corev1.HostIP{{IP: nodeIP(node)}}, PodIPs: []corev1.PodIP{{IP: ip}},
		StartTime: &created, QOSClass: corev1.PodQOSBurstable,
	}
	for _, t := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: started})
	}
	for _, c := range p.Spec.Containers {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: fmt.Sprintf("sha256:%064x", hash(c.Image)), Ready: true, Started: ptr.To(true),
			ContainerID: fmt.Sprintf("containerd://%064x", hash(string(p.UID)+c.Name)),
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
		})
	}
	return p
}

func nodeIP(n *corev1.Node) string {
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}
