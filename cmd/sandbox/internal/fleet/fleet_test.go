package fleet

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/validate/content"
)

func TestLayout(t *testing.T) {
	nodes := New(12, 3, true)
	count := map[Trouble]int{}
	zones, names, ips := map[string]int{}, map[string]bool{}, map[string]bool{}
	cps, tainted := 0, 0
	for _, n := range nodes {
		count[n.Trouble]++
		zones[n.Zone]++
		names[n.Name], ips[n.IP] = true, true
		if n.ControlPlane() {
			cps++
		} else if n.Tainted() {
			tainted++
		}
		if errs := content.IsDNS1123Subdomain(n.Name); len(errs) > 0 {
			t.Errorf("%s: %v", n.Name, errs)
		}
	}
	if cps != 3 || tainted != 1 || count[Cordoned] != 1 || count[NotReady] != 1 {
		t.Errorf("control plane %d, tainted %d, cordoned %d, not ready %d", cps, tainted, count[Cordoned], count[NotReady])
	}
	if len(zones) != 3 || len(names) != 12 || len(ips) != 12 {
		t.Errorf("%d zones, %d names, %d addresses", len(zones), len(names), len(ips))
	}
}

func TestManyNodesHaveTheirOwnNamesAndAddresses(t *testing.T) {
	names, ips := map[string]bool{}, map[string]bool{}
	all := append(New(2000, 3, false), Load(2000, 3)...)
	for _, n := range all {
		names[n.Name], ips[n.IP] = true, true
	}
	if len(names) != len(all) || len(ips) != len(all) {
		t.Errorf("%d nodes have %d names and %d addresses", len(all), len(names), len(ips))
	}
}

func TestAllocatableIsLessThanCapacity(t *testing.T) {
	for _, n := range New(12, 3, true) {
		st := n.Object(20000, time.Now()).Status
		for _, r := range []string{"cpu", "memory"} {
			c, a := st.Capacity.Name("cpu", "DecimalSI"), st.Allocatable.Name("cpu", "DecimalSI")
			if r == "memory" {
				c, a = st.Capacity.Memory(), st.Allocatable.Memory()
			}
			if a.Cmp(*c) >= 0 || a.Sign() <= 0 {
				t.Errorf("%s: %s allocatable %s of %s", n.Name, r, a, c)
			}
		}
	}
}
