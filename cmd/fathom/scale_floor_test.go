//go:build scale

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"fathom/internal/testcluster"
)

// The floor: the least a client-go program can do to know all pods. A shared informer, WatchList as client-go has it by default,
// protobuf, and a transform to a slim row. It is measured as a process of its own: this test binary, started again.

const floorEnv = "FATHOM_SCALE_FLOOR"

func init() {
	if path := os.Getenv(floorEnv); path != "" {
		if err := floor(path); err != nil {
			fmt.Fprintln(os.Stderr, "floor:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// floorRow is what the floor keeps of a pod: its name and what a list of pods shows.
type floorRow struct {
	metav1.ObjectMeta
	node, ip        string
	phase           corev1.PodPhase
	ready, restarts int32
}

// floorSync is what the child prints.
type floorSync struct {
	At   time.Time
	Pods int
}

// floor fills an informer, says when that was done, and waits for the end of its input.
func floor(kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	known := map[string]string{}
	intern := func(s string) string {
		if k, ok := known[s]; ok {
			return k
		}
		known[s] = s
		return s
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Pods().Informer()
	err = informer.SetTransform(func(obj any) (any, error) {
		p, ok := obj.(*corev1.Pod)
		if !ok {
			return obj, nil
		}
		mu.Lock()
		defer mu.Unlock()
		r := &floorRow{node: intern(p.Spec.NodeName), ip: p.Status.PodIP, phase: corev1.PodPhase(intern(string(p.Status.Phase)))}
		r.Name, r.Namespace, r.UID, r.ResourceVersion = p.Name, intern(p.Namespace), p.UID, p.ResourceVersion
		r.CreationTimestamp = p.CreationTimestamp
		for i := range p.Status.ContainerStatuses {
			r.restarts += p.Status.ContainerStatuses[i].RestartCount
			if p.Status.ContainerStatuses[i].Ready {
				r.ready++
			}
		}
		return r, nil
	})
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	factory.Start(stop)
	if !cache.WaitForCacheSync(stop, informer.HasSynced) {
		return fmt.Errorf("the informer did not sync")
	}
	if err := json.NewEncoder(os.Stdout).Encode(floorSync{time.Now(), len(informer.GetStore().ListKeys())}); err != nil {
		return err
	}
	_, _ = os.Stdin.Read(make([]byte, 1))
	close(stop)
	factory.Shutdown()
	return nil
}

// other is what another client took for all pods.
type other struct {
	Pods     int           `json:"pods,omitempty"`
	Complete time.Duration `json:"complete"`
	CPU      time.Duration `json:"cpu"`
	Memory   memory        `json:"memory"`
}

// measureFloor runs the floor and looks at its memory when it has been complete for a while.
func measureFloor(t *testing.T, kubeconfig string) other {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{floorEnv + "=" + kubeconfig, "HOME=" + t.TempDir()}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(completeTimeout, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var sync floorSync
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &sync)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("the bare informer did not complete: %v", err)
	}
	<-time.After(settle)
	m, err := memoryOf(cmd.Process.Pid)
	if err != nil {
		t.Error(err)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the bare informer: %v", err)
	}
	return other{Pods: sync.Pods, Complete: sync.At.Sub(began), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), Memory: m}
}

// measureKubectl runs `kubectl get pods -A` into nothing.
func measureKubectl(t *testing.T, kubeconfig string) other {
	t.Helper()
	cmd := exec.Command(testcluster.Binary(t, "fathom-sandbox"), "kubectl", "get", "pods", "-A")
	cmd.Env = []string{"KUBECONFIG=" + kubeconfig, "HOME=" + t.TempDir()}
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(completeTimeout, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		t.Errorf("kubectl get pods -A: %v", err)
	}
	o := other{Complete: time.Since(began), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		o.Memory.Peak = u.Maxrss << 10
	}
	return o
}
