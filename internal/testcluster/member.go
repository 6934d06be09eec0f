package testcluster

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// FreePort is a port of the loopback address that nobody listened on a moment ago.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// JoinMember starts one more etcd member of a sandbox with the command line that `member add` has led to ("etcd --name=... \ ...").
// Folders, client URLs and certificates are the sandbox's; the rest is as given. The member ends when the test does, or with the
// returned function.
func (c *Cluster) JoinMember(t testing.TB, commandLine string, more ...string) (stop func()) {
	t.Helper()
	command, _, _ := strings.Cut(commandLine, "\n#")
	args := strings.Fields(strings.ReplaceAll(command, "\\\n", " "))
	if len(args) < 2 || args[0] != "etcd" {
		t.Fatalf("not a command line of etcd: %q", commandLine)
	}
	pki := filepath.Join(c.HostRoot(), "etc/kubernetes/pki/etcd")
	client := fmt.Sprintf("https://127.0.0.1:%d", FreePort(t))
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "/etc/kubernetes/pki/etcd", pki)
	}
	name := "etcd-99" // what the sandbox calls the process
	args = append(args, "--data-dir="+filepath.Join(c.Dir, "joined-"+fmt.Sprint(FreePort(t))), "--advertise-client-urls="+client,
		"--listen-client-urls="+client, "--log-level=warn", "--unsafe-no-fsync")
	args = append(args, more...)
	log, err := os.Create(filepath.Join(c.Dir, "joined.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(c.bin, append([]string{"child", name}, args[1:]...)...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("FATHOM_SANDBOX_PARENT=%d", os.Getpid()))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, done := make(chan error, 1), make(chan struct{})
	go func() { // the process dies with the thread that has started it: one that stays
		runtime.LockOSThread()
		defer close(done)
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", strings.Join(args, " "), err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the member that joined said:\n%s", text)
		}
	}
	t.Cleanup(stop)
	return stop
}
