package host

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// flagLRO is ETH_FLAG_LRO of linux/ethtool.h: large receive offload.
const flagLRO = 1 << 15

// ethtoolFlags asks an interface for its ETH_FLAG_ features (ETHTOOL_GFLAGS).
func ethtoolFlags(name string) (uint32, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	value := struct{ command, data uint32 }{command: unix.ETHTOOL_GFLAGS} // struct ethtool_value
	request := struct {                                                   // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return 0, errno
	}
	return value.data, nil
}
