package peerproxy

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
)

// socketInode finds the inode of the local TCP socket with these two ends in
// the text of /proc/net/tcp; "" when there is none.
func socketInode(table io.Reader, local, remote netip.AddrPort) (string, error) {
	wantLocal, wantRemote := procAddr(local), procAddr(remote)
	sc := bufio.NewScanner(table)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 10 || f[1] != wantLocal || f[2] != wantRemote {
			continue
		}
		if f[9] == "0" { // already closed by its owner
			return "", nil
		}
		return f[9], nil
	}
	return "", sc.Err()
}

// procAddr writes an address as /proc/net/tcp does on little-endian machines:
// the four bytes of the address in host order, then the port.
func procAddr(a netip.AddrPort) string {
	b := a.Addr().Unmap().As4()
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	return strings.ToUpper(hex.EncodeToString(b[:])) + fmt.Sprintf(":%04X", a.Port())
}

// inodeOf looks the socket up in this network namespace.
func inodeOf(local, remote netip.AddrPort) (string, error) {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return "", err
	}
	return socketInode(bytes.NewReader(b), local, remote)
}

// ownsSocket tells whether the process holds the socket open.
func ownsSocket(pid int, inode string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	want := "socket:[" + inode + "]"
	for _, e := range entries {
		if target, err := os.Readlink(dir + "/" + e.Name()); err == nil && target == want {
			return true
		}
	}
	return false
}
