package supervisor

import (
	"os/exec"
	"runtime"
	"syscall"
)

// spawner starts processes from one operating system thread that lives as long
// as this process. The parent-death signal is tied to the thread that forked,
// not to the process: a child forked from a thread the Go runtime later retires
// would be killed while its parent is alive and well.
type spawner struct{ requests chan spawnRequest }

type spawnRequest struct {
	cmd   *exec.Cmd
	reply chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest)}
	go func() {
		// Never unlocked: the goroutine keeps the thread to the end.
		runtime.LockOSThread()
		for r := range s.requests {
			r.reply <- r.cmd.Start()
		}
	}()
	return s
}

// start runs the command in a process group of its own, so that Ctrl-C in the
// terminal reaches only the parent, which then ends its children in order.
func (s *spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r := spawnRequest{cmd: cmd, reply: make(chan error, 1)}
	s.requests <- r
	return <-r.reply
}
