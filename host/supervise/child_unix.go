//go:build unix && !linux

package supervise

import "syscall"

// sysProcAttr relies on the lifeline alone: other kernels have no parent-death
// signal.
func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }
