package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What servers need for modes other than FULLNAT.

// GUEPort is where decapsulators take generic UDP encapsulation.
const GUEPort = 6080

// HoldVIPs gives the host addresses that are the director's to the outside: on lo,
// where no ARP tells of them.
func (h *Host) HoldVIPs(addresses ...string) error {
	if err := h.sysctls("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"); err != nil {
		return err
	}
	lo, err := h.net.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, text := range addresses {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return err
		}
		addr := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, a.BitLen()))}
		if a.Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := h.net.AddrReplace(lo, addr); err != nil {
			return fmt.Errorf("%s: address %s on lo: %w", h.Name, text, err)
		}
	}
	return nil
}

// Gateway makes addresses the host's only way out.
func (h *Host) Gateway(old, new []string) error {
	for i := range old {
		if err := h.DelRoute("default via " + old[i]); err != nil {
			return err
		}
		if err := h.AddRoute("default via " + new[i]); err != nil {
			return err
		}
	}
	return nil
}

// tunnelEnd is the device that packets come out of.
const tunnelEnd = "decap0"

// Decapsulate starts a program on the host that takes packets out of those they
// come in, as the kernel's ipip, sit, ip6_tunnel and fou do where there are such:
// IP in IP of either family in either, and GUE of both variants.
func (h *Host) Decapsulate() (*Process, error) {
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", h.Name, err, exec.ErrNotFound)
	}
	p, err := h.startRole("decapsulator", "decapsulate")
	if err != nil {
		return nil, err
	}
	err = Await(10*time.Second, p.String()+" to open its device", func() error {
		if !p.Running() {
			return Hopeless(fmt.Errorf("it ended: %s: %s", p.State(), p.Tail(3)))
		}
		_, err := h.net.LinkByName(tunnelEnd)
		return err
	})
	if err != nil {
		return nil, err
	}
	link, err := h.net.LinkByName(tunnelEnd)
	if err != nil {
		return nil, err
	}
	// What comes out of it is from everywhere.
	if err := h.sysctls("net.ipv4.conf."+tunnelEnd+".rp_filter=0", "net.ipv4.conf.all.rp_filter=0"); err != nil {
		return nil, err
	}
	return p, h.net.LinkSetUp(link)
}

// decapsulateRole is the decapsulator's main function.
func decapsulateRole([]string) error {
	device, err := openTUN(tunnelEnd)
	if err != nil {
		return err
	}
	ended := make(chan error)
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		for _, protocol := range []int{unix.IPPROTO_IPIP, unix.IPPROTO_IPV6, unix.IPPROTO_UDP} {
			fd, err := tunnelSocket(family, protocol)
			if err != nil {
				return fmt.Errorf("family %d, protocol %d: %w", family, protocol, err)
			}
			go func() { ended <- decapsulate(device, fd, family, protocol) }()
		}
	}
	return <-ended
}

// openTUN makes a device that whole IP packets are written to, each behind a
// header that says what its checksum still owes.
func openTUN(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return -1, err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return -1, fmt.Errorf("tun device: %w", err)
	}
	return fd, nil
}

// tunnelSocket receives the outer packets of a protocol: raw ones, or for UDP the
// datagrams of GUE.
func tunnelSocket(family, protocol int) (int, error) {
	typ := unix.SOCK_RAW
	if protocol == unix.IPPROTO_UDP {
		typ = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, err
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	if protocol != unix.IPPROTO_UDP {
		return fd, nil
	}
	if family == unix.AF_INET {
		return fd, unix.Bind(fd, &unix.SockaddrInet4{Port: GUEPort})
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
		return -1, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrInet6{Port: GUEPort})
}

// vnetLen is struct virtio_net_hdr's.
const vnetLen = 10

// decapsulate writes what stands in the packets of a socket to the device.
func decapsulate(device, fd, family, protocol int) error {
	buf := make([]byte, vnetLen+64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf[vnetLen:], 0)
		if err != nil {
			if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNREFUSED) {
				continue
			}
			return err
		}
		packet := buf[vnetLen : vnetLen+n]
		switch {
		case protocol == unix.IPPROTO_UDP:
			if n > 4 && packet[0] == 0 { // variant 0, no extensions; else variant 1
				packet = packet[4:]
			}
		case family == unix.AF_INET: // raw IPv4 sockets show the header
			packet = packet[int(packet[0]&15)*4:]
		}
		if len(packet) < 20 {
			continue
		}
		// The header goes right before the packet, over what has been read of it.
		at := int(uintptr(unsafe.Pointer(&packet[0])) - uintptr(unsafe.Pointer(&buf[0])))
		whole := buf[at-vnetLen : at+len(packet)]
		clear(whole[:vnetLen])
		if start, offset, owed := owes(packet); owed {
			whole[0] = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM
			binary.NativeEndian.PutUint16(whole[6:], uint16(start))
			binary.NativeEndian.PutUint16(whole[8:], uint16(offset))
		}
		unix.Write(device, whole) // the kernel refuses what is no packet
	}
}

// owes says whether a packet's transport checksum holds only the pseudo-header's
// sum, as on a virtual cable it may, where the sender's card was to complete it.
func owes(p []byte) (start, offset int, owed bool) {
	var ends []byte
	var protocol byte
	switch p[0] >> 4 {
	case 4:
		start, ends, protocol = int(p[0]&15)*4, p[12:20], p[9]
		if binary.BigEndian.Uint16(p[6:])&0x1fff != 0 {
			return 0, 0, false
		}
	case 6:
		if len(p) < 40 {
			return 0, 0, false
		}
		start, ends, protocol = 40, p[8:40], p[6]
	}
	switch protocol {
	case unix.IPPROTO_TCP:
		offset = 16
	case unix.IPPROTO_UDP:
		offset = 6
	default:
		return 0, 0, false
	}
	if len(p) < start+offset+2 {
		return 0, 0, false
	}
	sum := uint32(protocol) + uint32(len(p)-start)
	for i := 0; i < len(ends); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ends[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return start, offset, uint16(sum) == binary.BigEndian.Uint16(p[start+offset:])
}
