package admin

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A peer is the process at the other end, as it was when it connected.
type peer struct {
	pid      int32
	uid, gid uint32
	groups   []uint32 // supplementary ones
}

func peerOf(c *net.UnixConn) (peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var p peer
	var failure error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failure = err
			return
		}
		p = peer{pid: cred.Pid, uid: cred.Uid, gid: cred.Gid}
		p.groups, failure = peerGroups(fd)
	})
	if err == nil {
		err = failure
	}
	return p, err
}

// peerGroups reads SO_PEERGROUPS, for which x/sys has no wrapper. There are at
// most 65,536 groups (NGROUPS_MAX).
func peerGroups(fd uintptr) ([]uint32, error) {
	size := uint32(64 * 4)
	for range 3 {
		buf := make([]byte, max(size, 4))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch errno {
		case 0:
			groups := make([]uint32, size/4)
			for i := range groups {
				groups[i] = binary.NativeEndian.Uint32(buf[4*i:])
			}
			return groups, nil
		case unix.ERANGE: // size now holds what it takes
		default:
			return nil, errno
		}
	}
	return nil, unix.ERANGE
}

// may reports whether p may use the socket at path: root, our own user, and the
// members of the socket's group.
func (p *peer) may(path string) error {
	if p.uid == 0 || p.uid == uint32(os.Geteuid()) {
		return nil
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("cannot tell the group of the socket: %w", err)
	}
	group := info.Sys().(*syscall.Stat_t).Gid
	if p.gid == group || slices.Contains(p.groups, group) {
		return nil
	}
	return fmt.Errorf("user %d is neither root, nor the director's own, nor in group %d", p.uid, group)
}
