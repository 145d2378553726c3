package nettest

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offloads turns an interface's checksum and segmentation offloads on or off,
// as `ethtool -K name tx on tso on gso on gro on` would.
func (n *Namespace) Offloads(name string, on bool) {
	n.t.Helper()
	n.set(name, on, unix.ETHTOOL_STXCSUM, unix.ETHTOOL_SSG, unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO)
}

// GRO does so for generic receive offload alone: a veth that has it takes what an
// XDP program at its peer sends.
func (n *Namespace) GRO(name string, on bool) {
	n.t.Helper()
	n.set(name, on, unix.ETHTOOL_SGRO)
}

func (n *Namespace) set(name string, on bool, commands ...uint32) {
	n.t.Helper()
	value := uint32(0)
	if on {
		value = 1
	}
	n.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			n.t.Error(err)
			return
		}
		defer unix.Close(fd)
		for _, cmd := range commands {
			if err := ethtool(fd, name, cmd, value); err != nil {
				n.t.Errorf("ethtool %s: command %#x: %v", name, cmd, err)
			}
		}
	})
}

// ethtool sets one value (struct ethtool_value).
func ethtool(fd int, name string, cmd, value uint32) error {
	v := [2]uint32{cmd, value}
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of struct ifreq's union
	}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	req.data = unsafe.Pointer(&v)
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if e != 0 {
		return e
	}
	return nil
}
