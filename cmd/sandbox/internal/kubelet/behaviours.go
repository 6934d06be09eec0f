package kubelet

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/ptr"
)

var everything = labels.Everything()

func itoa(n int) string { return strconv.Itoa(n) }

// step of a behaviour: a status that lasts a while, and its events. The last
// step names the step that follows it in then; a negative one ends the play.
type step struct {
	lasts  time.Duration
	status func(*corev1.Pod, *play)
	report func(record.EventRecorder, *corev1.Pod)
	then   int
}

// behaviours by the value of the behaviour label.
var behaviours = map[string][]step{
	// Runs for a few seconds, exits, waits in CrashLoopBackOff, and again. It
	// starts as a pod that has been at it for a while.
	"crash-loop": {
		{lasts: 5 * time.Second, status: running(true, 6), report: started},
		{lasts: 25 * time.Second, status: crashed, report: backOff},
		{lasts: 6 * time.Second, status: running(true, 1), report: started},
		{lasts: 40 * time.Second, status: crashed, report: backOff, then: 2},
	},
	// The image is not there: ErrImagePull, then ImagePullBackOff, and again.
	"image-pull": {
		{lasts: 2 * time.Second, status: waiting("ContainerCreating", ""), report: pulling},
		{lasts: 3 * time.Second, status: noImage("ErrImagePull"), report: pullFailed},
		{lasts: 45 * time.Second, status: noImage("ImagePullBackOff"), report: pullBackOff, then: 1},
	},
	// Runs, but its readiness probe fails.
	"unready": {
		{lasts: 10 * time.Second, status: running(false, 0), report: started},
		{lasts: 20 * time.Second, status: running(false, 0), report: unhealthy, then: 1},
	},
	// Runs, after having been killed for its memory a few times.
	"oom": {
		{lasts: time.Second, status: running(true, 0), report: started},
		{lasts: 10 * time.Minute, status: oomKilled, then: 1},
	},
	// Ends with an error, once.
	"fail": {
		{lasts: 3 * time.Second, status: running(true, 0), report: started},
		{lasts: time.Second, status: failed, then: -1},
	},
}

// each sets the status of all containers.
func each(pod *corev1.Pod, set func(c corev1.Container, old corev1.ContainerStatus, st *corev1.ContainerStatus)) {
	old := map[string]corev1.ContainerStatus{}
	for _, st := range pod.Status.ContainerStatuses {
		old[st.Name] = st
	}
	pod.Status.ContainerStatuses = nil
	for _, c := range pod.Spec.Containers {
		st := corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: "sha256:" + sum(c.Image),
			RestartCount: old[c.Name].RestartCount, LastTerminationState: old[c.Name].LastTerminationState,
			Started: ptr.To(false),
		}
		set(c, old[c.Name], &st)
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, st)
	}
}

func sum(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func containerID(pod *corev1.Pod, name string, restarts int32) string {
	return "containerd://" + sum(fmt.Sprintf("%s/%s/%d", pod.UID, name, restarts))
}

func ready(pod *corev1.Pod, is bool) {
	status, reason, message := corev1.ConditionTrue, "", ""
	if !is {
		var names []string
		for _, c := range pod.Spec.Containers {
			names = append(names, c.Name)
		}
		status, reason = corev1.ConditionFalse, "ContainersNotReady"
		message = "containers with unready status: [" + strings.Join(names, " ") + "]"
	}
	setCondition(pod, corev1.PodReady, status, reason, message)
	setCondition(pod, corev1.ContainersReady, status, reason, message)
}

func seconds(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }

// running lets the containers run after so many more restarts.
func running(isReady bool, restarts int32) func(*corev1.Pod, *play) {
	return func(pod *corev1.Pod, pl *play) {
		pl.restarts += restarts
		each(pod, func(c corev1.Container, old corev1.ContainerStatus, st *corev1.ContainerStatus) {
			at := seconds(time.Now())
			if old.State.Running != nil {
				at = old.State.Running.StartedAt
			}
			st.RestartCount, st.Ready, st.Started = pl.restarts, isReady, ptr.To(true)
			st.ContainerID = containerID(pod, c.Name, pl.restarts)
			st.State.Running = &corev1.ContainerStateRunning{StartedAt: at}
		})
		ready(pod, isReady)
	}
}

func crashed(pod *corev1.Pod, pl *play) {
	each(pod, func(c corev1.Container, _ corev1.ContainerStatus, st *corev1.ContainerStatus) {
		st.RestartCount = pl.restarts
		id := containerID(pod, c.Name, pl.restarts)
		st.ContainerID = id
		st.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", ContainerID: id,
			StartedAt: seconds(time.Now().Add(-5 * time.Second)), FinishedAt: seconds(time.Now()),
		}}
		st.State.Waiting = &corev1.ContainerStateWaiting{
			Reason:  "CrashLoopBackOff",
			Message: fmt.Sprintf("back-off 5m0s restarting failed container=%s pod=%s_%s(%s)", c.Name, pod.Name, pod.Namespace, pod.UID),
		}
	})
	ready(pod, false)
}

func waiting(reason, message string) func(*corev1.Pod, *play) {
	return func(pod *corev1.Pod, _ *play) {
		pod.Status.Phase = corev1.PodPending
		each(pod, func(_ corev1.Container, _ corev1.ContainerStatus, st *corev1.ContainerStatus) {
			st.ImageID = ""
			st.State.Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
		})
		ready(pod, false)
	}
}

func noImage(reason string) func(*corev1.Pod, *play) {
	return func(pod *corev1.Pod, pl *play) {
		image := pod.Spec.Containers[0].Image
		message := fmt.Sprintf("failed to pull and unpack image %q: not found", image)
		if reason == "ImagePullBackOff" {
			message = fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %s", image, message)
		}
		waiting(reason, message)(pod, pl)
	}
}

func oomKilled(pod *corev1.Pod, pl *play) {
	pl.restarts++
	each(pod, func(c corev1.Container, _ corev1.ContainerStatus, st *corev1.ContainerStatus) {
		st.RestartCount, st.Ready, st.Started = pl.restarts, true, ptr.To(true)
		st.ContainerID = containerID(pod, c.Name, pl.restarts)
		st.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 137, Reason: "OOMKilled", ContainerID: containerID(pod, c.Name, pl.restarts-1),
			StartedAt: pl.started, FinishedAt: seconds(time.Now()),
		}}
		st.State.Running = &corev1.ContainerStateRunning{StartedAt: seconds(time.Now())}
	})
	ready(pod, true)
}

func failed(pod *corev1.Pod, pl *play) {
	pod.Status.Phase = corev1.PodFailed
	each(pod, func(c corev1.Container, _ corev1.ContainerStatus, st *corev1.ContainerStatus) {
		st.ContainerID = containerID(pod, c.Name, pl.restarts)
		st.State.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: 3, Reason: "Error", ContainerID: st.ContainerID, StartedAt: pl.started, FinishedAt: seconds(time.Now()),
		}
	})
	setCondition(pod, corev1.PodReady, corev1.ConditionFalse, "PodFailed", "")
	setCondition(pod, corev1.ContainersReady, corev1.ConditionFalse, "PodFailed", "")
}

// Events, in the kubelet's words.

func started(r record.EventRecorder, pod *corev1.Pod) {
	for _, c := range pod.Spec.Containers {
		r.Eventf(pod, corev1.EventTypeNormal, "Pulled", "Container image %q already present on machine", c.Image)
		r.Eventf(pod, corev1.EventTypeNormal, "Created", "Container created")
		r.Eventf(pod, corev1.EventTypeNormal, "Started", "Container started")
	}
}

func backOff(r record.EventRecorder, pod *corev1.Pod) {
	r.Eventf(pod, corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)",
		pod.Spec.Containers[0].Name, pod.Name, pod.Namespace, pod.UID)
}

func pulling(r record.EventRecorder, pod *corev1.Pod) {
	r.Eventf(pod, corev1.EventTypeNormal, "Pulling", "Pulling image %q", pod.Spec.Containers[0].Image)
}

func pullFailed(r record.EventRecorder, pod *corev1.Pod) {
	image := pod.Spec.Containers[0].Image
	r.Eventf(pod, corev1.EventTypeWarning, "Failed", "Failed to pull image %q: failed to pull and unpack image %q: not found", image, image)
	r.Event(pod, corev1.EventTypeWarning, "Failed", "Error: ErrImagePull")
}

func pullBackOff(r record.EventRecorder, pod *corev1.Pod) {
	r.Eventf(pod, corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", pod.Spec.Containers[0].Image)
	r.Event(pod, corev1.EventTypeWarning, "Failed", "Error: ImagePullBackOff")
}

func unhealthy(r record.EventRecorder, pod *corev1.Pod) {
	r.Event(pod, corev1.EventTypeWarning, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
}
