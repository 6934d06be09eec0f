package backup

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the signals of the terminal from a worker: what Ctrl-C means is its parent's to decide, and it ends with it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
