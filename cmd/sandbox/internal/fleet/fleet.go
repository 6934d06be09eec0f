// Package fleet describes the simulated nodes: names, zones, machine types,
// sizes, roles and the troubles some of them are in.
package fleet

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fathom/cmd/sandbox/internal/controlplane"
)

// SimulatedLabel marks the nodes kwok simulates. Taking it off leaves a node to
// itself: nobody renews its lease or ends its pods any more, as if its machine
// had died. It is a label because kwok notices the loss of a label, but not
// that of an annotation.
const (
	SimulatedLabel      = "sandbox.example.io/simulated"
	SimulatedLabelValue = "true"
)

// Region of all zones.
const Region = "eu-central-1"

// PoolLabel names the node pool a node belongs to.
const PoolLabel = "node.example.io/pool"

// LoadLabel marks the nodes and pods that the load command made.
const LoadLabel = "sandbox.example.io/load"

// Trouble a node is in.
type Trouble string

const (
	Healthy  Trouble = ""
	Cordoned Trouble = "cordoned"
	NotReady Trouble = "notready"
)

// Node is one simulated node before it becomes an API object.
type Node struct {
	Name    string
	Zone    string
	Pool    string
	IP      string
	Trouble Trouble
	machine machine
}

// ControlPlane tells whether the node carries the control-plane role.
func (n Node) ControlPlane() bool { return n.Pool == "control-plane" }

// Tainted tells whether the node carries a taint of its pool.
func (n Node) Tainted() bool { return len(n.machine.taints) > 0 }

type machine struct {
	instanceType string
	cpu          string
	memory       string
	storage      string
	gpus         string
	taints       []corev1.Taint
	labels       map[string]string
}

var (
	controlPlaneMachine = machine{
		instanceType: "m6i.xlarge", cpu: "4", memory: "16Gi", storage: "120Gi",
		taints: []corev1.Taint{{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}},
		labels: map[string]string{
			"node-role.kubernetes.io/control-plane":                   "",
			"node.kubernetes.io/exclude-from-external-load-balancers": "",
		},
	}
	gpuMachine = machine{
		instanceType: "g5.4xlarge", cpu: "16", memory: "64Gi", storage: "600Gi", gpus: "2",
		taints: []corev1.Taint{{Key: "nvidia.com/gpu", Value: "present", Effect: corev1.TaintEffectNoSchedule}},
		labels: map[string]string{"node-role.kubernetes.io/gpu": ""},
	}
	workers = []struct {
		pool string
		machine
	}{
		{"general", machine{instanceType: "m6i.2xlarge", cpu: "8", memory: "32Gi", storage: "200Gi"}},
		{"general", machine{instanceType: "m6i.xlarge", cpu: "4", memory: "16Gi", storage: "120Gi"}},
		{"memory", machine{instanceType: "r6i.2xlarge", cpu: "8", memory: "64Gi", storage: "200Gi"}},
		{"compute", machine{instanceType: "c6i.4xlarge", cpu: "16", memory: "32Gi", storage: "200Gi"}},
	}
)

func zoneName(i, zones int) string { return fmt.Sprintf("%s%c", Region, 'a'+i%zones) }

// ControlPlaneName is the name of the n-th control-plane node, n from 0.
func ControlPlaneName(n, zones int) string { return fmt.Sprintf("cp-%c%d", 'a'+n%zones, n/zones+1) }

// New lays out the nodes. A quarter of them, at most three, form the control
// plane. With troubles, one of the workers has GPUs and a taint, one is to be
// cordoned and one to be lost; the latter two are never in the general pool,
// where pods that must go on being played belong.
func New(nodes, zones int, troubles bool) []Node {
	cps := max(1, min(3, nodes/4))
	var out []Node
	for i := range cps {
		out = append(out, Node{
			Name: ControlPlaneName(i, zones), Zone: zoneName(i, zones), Pool: "control-plane",
			IP: fmt.Sprintf("10.20.%d.%d", i%zones, 10+i/zones), machine: controlPlaneMachine,
		})
	}
	for i := range nodes - cps {
		w := workers[i/zones%len(workers)]
		n := Node{
			Name: fmt.Sprintf("worker-%c%d", 'a'+i%zones, i/zones+1), Zone: zoneName(i, zones), Pool: w.pool,
			IP:      fmt.Sprintf("10.20.%d.%d", i%zones+32*(i/zones/200), 20+i/zones%200),
			machine: w.machine,
		}
		if troubles {
			switch i {
			case nodes - cps - 1:
				n.Pool, n.machine = "gpu", gpuMachine
			case nodes - cps - 2:
				n.Trouble, n.Pool = NotReady, "memory"
			case nodes - cps - 3:
				n.Trouble, n.Pool = Cordoned, "memory"
			}
		}
		out = append(out, n)
	}
	return out
}

// Load lays out extra nodes for the load command.
func Load(count, zones int) []Node {
	var out []Node
	for i := range count {
		w := workers[i%len(workers)]
		out = append(out, Node{
			Name: fmt.Sprintf("load-%c%03d", 'a'+i%zones, i/zones+1), Zone: zoneName(i, zones), Pool: w.pool,
			IP: fmt.Sprintf("10.21.%d.%d", i/250, i%250+1), machine: w.machine,
		})
	}
	return out
}

// Object is the node as a healthy kubelet registers it, with its status; the
// trouble comes later, when it has pods. kubeletPort is
// where the simulated kubelets listen on the loopback address.
func (n Node) Object(kubeletPort int, now time.Time) *corev1.Node {
	labels := map[string]string{
		corev1.LabelHostname:           n.Name,
		corev1.LabelTopologyZone:       n.Zone,
		corev1.LabelTopologyRegion:     Region,
		corev1.LabelInstanceTypeStable: n.machine.instanceType,
		corev1.LabelArchStable:         "amd64",
		corev1.LabelOSStable:           "linux",
		PoolLabel:                      n.Pool,
		SimulatedLabel:                 SimulatedLabelValue,
	}
	if !n.ControlPlane() && n.Pool != "gpu" {
		labels["node-role.kubernetes.io/worker"] = ""
	}
	for k, v := range n.machine.labels {
		labels[k] = v
	}
	obj := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: n.Name, Labels: labels,
			Annotations: map[string]string{
				"node.alpha.kubernetes.io/ttl":                           "0",
				"volumes.kubernetes.io/controller-managed-attach-detach": "true",
			},
		},
		Spec: corev1.NodeSpec{
			ProviderID: fmt.Sprintf("aws:///%s/i-%s", n.Zone, hexID(n.Name, 17)),
			Taints:     append([]corev1.Taint(nil), n.machine.taints...),
		},
		Status: corev1.NodeStatus{
			Phase:       corev1.NodeRunning,
			Capacity:    n.resources(false),
			Allocatable: n.resources(true),
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: n.IP},
				{Type: corev1.NodeHostName, Address: n.Name},
				// Where the API server finds the simulated kubelet.
				{Type: corev1.NodeInternalDNS, Address: "127.0.0.1"},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(kubeletPort)}},
			NodeInfo:        n.info(),
			Conditions:      n.conditions(now),
			Images:          images(),
		},
	}
	return obj
}

func (n Node) resources(allocatable bool) corev1.ResourceList {
	cpu, memory, storage := resource.MustParse(n.machine.cpu), resource.MustParse(n.machine.memory), resource.MustParse(n.machine.storage)
	// A machine sold with 16Gi shows a little less to its kernel.
	memory.Set(memory.Value() / 100 * 97)
	if allocatable {
		cpu.SetMilli(cpu.MilliValue() - 80)
		reserved := resource.MustParse("700Mi")
		memory.Sub(reserved)
		storage.Set(storage.Value() / 100 * 90)
	}
	r := corev1.ResourceList{
		corev1.ResourceCPU:              cpu,
		corev1.ResourceMemory:           *resource.NewQuantity(memory.Value()/1024*1024, resource.BinarySI),
		corev1.ResourceEphemeralStorage: storage,
		corev1.ResourcePods:             resource.MustParse("110"),
		"hugepages-2Mi":                 resource.MustParse("0"),
	}
	if n.machine.gpus != "" {
		r["nvidia.com/gpu"] = resource.MustParse(n.machine.gpus)
	}
	return r
}

func (n Node) info() corev1.NodeSystemInfo {
	id := hexID(n.Name, 32)
	return corev1.NodeSystemInfo{
		MachineID: id, SystemUUID: uuidOf(id), BootID: uuidOf(hexID(n.Name+"/boot", 32)),
		KernelVersion: "6.12.48+deb13-amd64", OSImage: "Debian GNU/Linux 13 (trixie)",
		ContainerRuntimeVersion: "containerd://2.1.4",
		KubeletVersion:          controlplane.KubernetesVersion,
		OperatingSystem:         "linux", Architecture: "amd64",
	}
}

func (n Node) conditions(now time.Time) []corev1.NodeCondition {
	booted := metav1.NewTime(now.Add(-26 * 24 * time.Hour).Truncate(time.Second))
	beat := metav1.NewTime(now.Truncate(time.Second))
	condition := func(t corev1.NodeConditionType, s corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: t, Status: s, Reason: reason, Message: message, LastHeartbeatTime: beat, LastTransitionTime: booted}
	}
	cs := []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
	}
	return cs
}

func images() []corev1.ContainerImage {
	var out []corev1.ContainerImage
	for i, name := range []string{"shop/frontend:2.14.0", "shop/checkout:1.9.3", "data/postgres:17.2", "monitoring/prometheus:3.1.0", "pause:3.10"} {
		out = append(out, corev1.ContainerImage{Names: []string{name}, SizeBytes: int64(48_211_034 * (5 - i))})
	}
	return out
}

func hexID(seed string, n int) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(seed)))[:n]
}

func uuidOf(hex32 string) string {
	return strings.Join([]string{hex32[:8], hex32[8:12], hex32[12:16], hex32[16:20], hex32[20:32]}, "-")
}
