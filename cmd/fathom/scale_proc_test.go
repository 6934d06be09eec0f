//go:build scale

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// memory of a process, in bytes, from /proc/PID/status.
type memory struct {
	RSS  int64 `json:"rss"`  // VmRSS: with the pages of the program's file
	Anon int64 `json:"anon"` // RssAnon: what it has allocated
	Peak int64 `json:"peak"` // VmHWM: the largest RSS so far
}

func memoryOf(pid int) (memory, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	for name, to := range map[string]*int64{"VmRSS:": &m.RSS, "RssAnon:": &m.Anon, "VmHWM:": &m.Peak} {
		if *to, err = kilobytes(data, name); err != nil {
			return memory{}, fmt.Errorf("/proc/%d/status: %w", pid, err)
		}
	}
	return m, nil
}

// kilobytes finds a line "Name:   123 kB" and returns it in bytes.
func kilobytes(data []byte, name string) (int64, error) {
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		if rest, ok := strings.CutPrefix(sc.Text(), name); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no %s", name)
}

// userHZ is the unit of the times in /proc/PID/stat: USER_HZ, which is 100 on every Linux that Go runs on.
const userHZ = 10 * time.Millisecond

// cpuOf is the processor time a process has used, user and system.
func cpuOf(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name in brackets, which may hold anything.
	_, rest, ok := strings.Cut(string(data[bytes.LastIndexByte(data, ')'):]), " ")
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, data)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, data)
	}
	return time.Duration(user+system) * userHZ, nil
}

// machine describes this one without its name.
func machine() string {
	model := "unknown processor"
	data, _ := os.ReadFile("/proc/cpuinfo")
	cores := 0
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		name, value, _ := strings.Cut(sc.Text(), ":")
		switch strings.TrimSpace(name) {
		case "processor":
			cores++
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	info, _ := os.ReadFile("/proc/meminfo")
	total, _ := kilobytes(info, "MemTotal:")
	return fmt.Sprintf("%d cores of %s, %.0f GiB", cores, model, float64(total)/(1<<30))
}
