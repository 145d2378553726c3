package link

import (
	"fmt"
	"net"
	"syscall"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// bufferBytes is what a socket may hold for a worker that is late. The kernel
// doubles it and charges a small frame about 800 bytes, so 10,000 of them fit:
// more would only be answered too late.
const bufferBytes = 4 << 20

// listen opens a packet socket on an interface and returns its descriptor. The
// socket receives nothing until a filter lets it.
//
// The descriptor is a duplicate that Go's poller does not know: the poller
// would wake a thread for every frame, and a worker waits by itself.
func listen(ifi *net.Interface) (fd int, err error) {
	conn, err := packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: []bpf.RawInstruction{{Op: unix.BPF_RET | unix.BPF_K}}})
	if err != nil {
		return -1, err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	dupErr := raw.Control(func(original uintptr) {
		fd, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if dupErr != nil {
		return -1, dupErr
	}
	if err != nil {
		return -1, err
	}
	if err := configure(fd, ifi.Index); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// configure sets the options a worker's socket needs.
func configure(fd, ifindex int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		return fmt.Errorf("offload headers: %w", err)
	}
	// Neighbour solicitations for our addresses come to multicast groups that
	// the host has not joined.
	all := unix.PacketMreq{Ifindex: int32(ifindex), Type: unix.PACKET_MR_ALLMULTI}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &all); err != nil {
		return fmt.Errorf("all multicast: %w", err)
	}
	// Of older kernels, which do not know it, the filter is enough.
	unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)

	for _, o := range []struct{ force, plain int }{
		{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF},
		{unix.SO_SNDBUFFORCE, unix.SO_SNDBUF},
	} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.force, bufferBytes) != nil {
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.plain, bufferBytes)
		}
	}
	return nil
}

// A group is the number of a fanout group; any number is a good one, zero too.
type group uint16

// newFanout makes a socket the first of a fanout group of this kind.
func newFanout(fd, kind int) (group, error) {
	if err := setFanout(fd, kind|unix.PACKET_FANOUT_FLAG_UNIQUEID, 0); err != nil {
		return 0, err
	}
	v, err := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	return group(v), err
}

// setFanout adds a socket to a group.
func setFanout(fd, kind int, g group) error {
	set := func(flags int) error {
		return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, int(g)|(kind|flags)<<16)
	}
	if err := set(unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING); err != unix.EINVAL {
		return err
	}
	return set(0) // a kernel before 6.7, where the filter is enough
}

// bound returns the index of the interface a socket receives from; 0 once that
// interface has been removed.
func bound(fd int) int {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0
	}
	if ll, ok := sa.(*unix.SockaddrLinklayer); ok && ll.Ifindex > 0 {
		return ll.Ifindex
	}
	return 0
}

// drops returns how many frames the kernel had to drop for want of room in the
// socket since it was last asked.
func drops(fd int) uint64 {
	s, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return uint64(s.Drops)
}

// down says that an error means an interface that is down or gone.
func down(e syscall.Errno) bool {
	return e == unix.ENETDOWN || e == unix.ENXIO || e == unix.ENODEV
}
