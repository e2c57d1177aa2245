package supervise

import "syscall"

// sysProcAttr has the kernel kill the plugin when the host's thread that started
// it ends, which holds even when the host is killed.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }
