package lab

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offloads are what lets a veth carry 64 KB frames with unfinished checksums,
// by the ethtool request that sets each. Segmentation needs scatter-gather and
// checksums, so they are switched on in this order and off in the reverse one.
var offloads = [...]struct {
	name    string
	request uint32
}{
	{"rx checksums", unix.ETHTOOL_SRXCSUM},
	{"tx checksums", unix.ETHTOOL_STXCSUM},
	{"scatter-gather", unix.ETHTOOL_SSG},
	{"tcp segmentation", unix.ETHTOOL_STSO},
	{"generic segmentation", unix.ETHTOOL_SGSO},
	{"generic receive", unix.ETHTOOL_SGRO},
}

// SetOffloads switches the offloads of every cable of the lab, at both ends, to
// the given setting. On is how users will run; off is what wires carry.
func (l *Lab) SetOffloads(on bool) error {
	for _, h := range l.Hosts() {
		for _, p := range h.Ports {
			if err := h.Do(func() error { return setOffloads(p.Name, on) }); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			if err := l.fabric.Do(func() error { return setOffloads(p.far, on) }); err != nil {
				return fmt.Errorf("fabric %s: %w", p.far, err)
			}
		}
	}
	return nil
}

// TakeFromDrivers has every LAN take what XDP programs of its hosts send, or not:
// a veth does so while its peer has generic receive offload.
func (l *Lab) TakeFromDrivers(on bool) error {
	for _, h := range l.Hosts() {
		for _, p := range h.Ports {
			if err := l.fabric.Do(func() error { return setOffloads(p.far, on, "generic receive") }); err != nil {
				return fmt.Errorf("fabric %s: %w", p.far, err)
			}
		}
	}
	return nil
}

// SetOffloads switches the offloads of one interface, or only those of these names.
func (h *Host) SetOffloads(name string, on bool, only ...string) error {
	err := h.Do(func() error { return setOffloads(name, on, only...) })
	if err != nil {
		return fmt.Errorf("%s %s: %w", h.Name, name, err)
	}
	return nil
}

// setOffloads works on an interface of the calling thread's namespace, on all
// offloads or only those of these names.
func setOffloads(name string, on bool, only ...string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for i := range offloads {
		o := offloads[i]
		value := uint32(1)
		if !on {
			o, value = offloads[len(offloads)-1-i], 0
		}
		if len(only) > 0 && !slices.Contains(only, o.name) {
			continue
		}
		if err := ethtool(fd, name, o.request, value); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	return nil
}

func ethtool(fd int, name string, request, data uint32) error {
	// struct ethtool_value, and the struct ifreq that points to it.
	value := struct{ cmd, data uint32 }{request, data}
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	req.data = unsafe.Pointer(&value)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return errno
	}
	return nil
}
