package watchers

import (
	"fmt"
	"runtime"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// What a pod costs in memory once it is shown: the rows, the store and one sorted snapshot. The row is the
// promise of the whole design (an unstructured pod of this size is 50 KB, a typed one 18 KB), so that its size is a test.
func TestBytesPerPod(t *testing.T) {
	const n, most = 20_000, 560
	f, store := still(t, Within{})
	before := heapInUse()
	for i := range n {
		p := bigPod(i)
		// Names as a Deployment makes them, and nothing shorter than in a cluster.
		app := fmt.Sprintf("service-%d", i%500)
		p.UID, p.Name, p.ResourceVersion = types.UID(fmt.Sprintf("8c0a9a3e-27a4-4c2f-9d0b-%012d", i)), fmt.Sprintf("%s-7d9f8b6c5d-%05d", app, i), fmt.Sprint(10_000_000+i)
		p.Labels = map[string]string{"app": app, "pod-template-hash": "7d9f8b6c5d", "tier": "front"}
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: app + "-7d9f8b6c5d", Controller: ptr.To(true)}}
		if err := store.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	f.build()
	after := heapInUse()
	per := int64(after-before) / n
	t.Logf("%d bytes per pod", per)
	if per > most {
		t.Errorf("%d bytes per pod, at most %d", per, most)
	}
	runtime.KeepAlive(f)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
