package load

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"fathom/cmd/sandbox/internal/controlplane"
)

// What one pod of the load takes at most, measured with 50,000 of them while
// clients list and watch them all.
const (
	podInServer     = 140 << 10 // API server
	podInLeanServer = 80 << 10
	podInMember     = 16 << 10 // one etcd member: file pages, index and Raft log
	podInController = 90 << 10 // controller manager, scheduler and kwok together
	podInBackend    = 8 << 10  // one member's file, with a few changes
	idle            = 3 << 29  // what must stay free
)

// defaultQuota is etcd's backend quota when none is given.
const defaultQuota = 2 << 30

// CheckRoom says in one line what is lacking for a load: memory, or etcd's
// quota.
func CheckRoom(s *controlplane.Spec, nodes, pods int, controllers bool) error {
	quota := s.QuotaBytes
	if quota == 0 {
		quota = defaultQuota
	}
	if want := int64(pods) * podInBackend; want > quota {
		return fmt.Errorf("%d pods take about %s in etcd, its quota is %s: start the sandbox with --quota-bytes %d, or give --force",
			pods, gib(want), gib(quota), max(8<<30, want*2))
	}
	free, err := available()
	if err != nil {
		return fmt.Errorf("how much memory is free: %w: give --force to load anyway", err)
	}
	server := int64(podInServer)
	if s.Lean {
		server = podInLeanServer
	}
	want := int64(pods)*(server+int64(s.Members)*podInMember) + idle
	hint := ""
	if controllers {
		want += int64(pods) * podInController
		hint = "--without-controllers needs less, "
	}
	if s.Members > 1 {
		hint += "a sandbox with --members 1 too, "
	}
	if !s.Lean {
		hint += "one with --lean, "
	}
	if want > free {
		return fmt.Errorf("%d nodes and %d pods need about %s of free memory, there are %s: %s--force loads anyway",
			nodes, pods, gib(want), gib(free), hint)
	}
	return nil
}

func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }

// available is MemAvailable of /proc/meminfo, in bytes: what can be had
// without swapping.
func available() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var kb int64
		if strings.HasPrefix(sc.Text(), "MemAvailable:") {
			if _, err := fmt.Sscanf(sc.Text(), "MemAvailable: %d kB", &kb); err != nil {
				return 0, fmt.Errorf("read /proc/meminfo: %w", err)
			}
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("/proc/meminfo has no MemAvailable")
}
