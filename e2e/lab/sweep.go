package lab

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	namePrefix = "fleetlb-"
	netnsDir   = "/run/netns"
)

// serial keeps apart the labs of one process.
var serial atomic.Uint32

// scratch is where labs keep their files.
func scratch() string {
	if inUserNamespace() {
		return "/run" // the private one: it vanishes with the namespace
	}
	return os.TempDir()
}

// sweep removes what labs of dead processes left behind: the names of their
// namespaces, whatever still runs in those, and their scratch directories.
func sweep() {
	names, _ := filepath.Glob(filepath.Join(netnsDir, namePrefix+"*"))
	names = slices.DeleteFunc(names, func(name string) bool { return !ownerDead(name) })
	endAllIn(names)
	for _, name := range names {
		unname(name)
	}
	dirs, _ := filepath.Glob(filepath.Join(scratch(), namePrefix+"*"))
	for _, dir := range dirs {
		if ownerDead(dir) {
			os.RemoveAll(dir)
		}
	}
}

// ownerDead reads the owner's pid from a path like …/fleetlb-<pid>-….
func ownerDead(path string) bool {
	rest := strings.TrimPrefix(filepath.Base(path), namePrefix)
	number, _, ok := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(number)
	return ok && err == nil && pid > 0 && syscall.Kill(pid, 0) == syscall.ESRCH
}

// endAllIn kills what still runs in the network namespaces bound to these
// paths: a program's children that outlived it, or one that escaped its
// parent-death signal.
func endAllIn(paths []string) {
	ours := make(map[[2]uint64]bool)
	for _, path := range paths {
		if id, ok := inode(path); ok {
			ours[id] = true
		}
	}
	if len(ours) == 0 {
		return
	}
	entries, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, e := range entries {
		if id, ok := inode(e); !ok || !ours[id] {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(e, "/")[2]); err == nil && pid != os.Getpid() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func inode(path string) (id [2]uint64, ok bool) {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return id, false
	}
	return [2]uint64{st.Dev, st.Ino}, true
}

// unname takes a namespace's name away; the namespace itself ends with the last
// thread in it.
func unname(path string) {
	unix.Unmount(path, unix.MNT_DETACH)
	os.Remove(path)
}
