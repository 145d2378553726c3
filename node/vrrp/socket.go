package vrrp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// sockets is the wire of the kernel's own.
type sockets struct {
	bell   int // an eventfd
	lines  []*socket
	polled []unix.PollFd // the bell, then the sockets
	buffer [2048]byte
	about  [256]byte // what the kernel says beside
}

func newSockets() (*sockets, error) {
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("vrrp: eventfd: %w", err)
	}
	k := &sockets{bell: bell}
	k.repoll()
	return k, nil
}

func (k *sockets) close() { unix.Close(k.bell) }

func (k *sockets) repoll() {
	k.polled = []unix.PollFd{{Fd: int32(k.bell), Events: unix.POLLIN}}
	for _, s := range k.lines {
		k.polled = append(k.polled, unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN})
	}
}

func (k *sockets) wake() {
	one := [8]byte{1} // of either byte order: not zero is all that counts
	unix.Write(k.bell, one[:])
}

func (k *sockets) wait(until time.Time) {
	var timeout *unix.Timespec // nil: for ever
	if !until.IsZero() {
		t := unix.NsecToTimespec(max(0, int64(time.Until(until))))
		timeout = &t
	}
	if n, _ := unix.Ppoll(k.polled, timeout, nil); n > 0 && k.polled[0].Revents != 0 {
		var count [8]byte
		unix.Read(k.bell, count[:])
	}
}

// A socket is the line to the other routers of one place.
type socket struct {
	fd     int
	from   netip.Addr
	index  int
	to     unix.Sockaddr
	source []byte // control message that says from where to send
	wire   *sockets
}

func (k *sockets) open(at Place, from netip.Addr) (line, error) {
	i, err := net.InterfaceByName(at.ifname)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", at.ifname, err)
	}
	if !from.IsValid() {
		if from, err = primary(i, at.v4); err != nil {
			return nil, err
		}
	}
	s := &socket{from: from, index: i.Index, wire: k}
	if at.v4 {
		err = s.open4(i)
	} else {
		err = s.open6(i)
	}
	if err == nil {
		err = errors.Join(unix.BindToDevice(s.fd, i.Name), s.onlyID(at))
	}
	if err != nil {
		if s.fd > 0 {
			unix.Close(s.fd)
		}
		return nil, fmt.Errorf("socket on %s: %w", at.ifname, err)
	}
	k.lines = append(k.lines, s)
	k.repoll()
	return s, nil
}

// primary is the address of an interface that advertisements come from: its first
// one, as routers do, and over IPv6 that of its link (RFC 9568 §5.1.2.1).
func primary(i *net.Interface, v4 bool) (netip.Addr, error) {
	all, err := i.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("interface %s: addresses: %w", i.Name, err)
	}
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		address := p.Addr().Unmap().WithZone("")
		if v4 == address.Is4() && (v4 || address.IsLinkLocalUnicast()) {
			return address, nil
		}
	}
	if v4 {
		return netip.Addr{}, fmt.Errorf("interface %s has no IPv4 address to speak from", i.Name)
	}
	return netip.Addr{}, fmt.Errorf("interface %s has no link-local address to speak from", i.Name)
}

// class is the priority of routing (RFC 2474, CS6).
const class = 0xc0

func (s *socket) open4(i *net.Interface) (err error) {
	if s.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol); err != nil {
		return err
	}
	s.to = &unix.SockaddrInet4{Addr: group4.As4()}
	s.source = unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(i.Index), Spec_dst: s.from.As4()})
	return errors.Join(
		unix.SetsockoptIPMreqn(s.fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: group4.As4(), Ifindex: int32(i.Index)}),
		unix.SetsockoptIPMreqn(s.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(i.Index)}),
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, hopLimit),
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0),
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_TOS, class),
	)
}

func (s *socket) open6(i *net.Interface) (err error) {
	if s.fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol); err != nil {
		return err
	}
	s.to = &unix.SockaddrInet6{Addr: group6.As16(), ZoneId: uint32(i.Index)}
	s.source = unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(i.Index), Addr: s.from.As16()})
	return errors.Join(
		unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: group6.As16(), Interface: uint32(i.Index)}),
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, i.Index),
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hopLimit),
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0),
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, class),
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1),
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1),
	)
}

// onlyID has the kernel drop what is of other virtual routers: theirs may be many
// on one LAN.
func (s *socket) onlyID(at Place) error {
	load := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 1}}
	if at.v4 { // which sees the IP header
		load = []unix.SockFilter{
			{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},
			{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 1},
		}
	}
	program := append(load,
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(at.id), Jf: 1},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	)
	return unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

func (s *socket) local() netip.Addr { return s.from }

func (s *socket) send(b []byte) error {
	if err := unix.Sendmsg(s.fd, b, s.source, s.to, 0); err != nil {
		return fmt.Errorf("send from %v: %w", s.from, err)
	}
	return nil
}

func (s *socket) close() {
	unix.Close(s.fd)
	s.wire.lines = slices.DeleteFunc(s.wire.lines, func(o *socket) bool { return o == s })
	s.wire.repoll()
}

// burst is more than a socket's buffer holds, so that whatever had come when
// receive was called is handed over, and a flood does not keep it for ever.
const burst = 1024

// receive stops where what was handed over has closed the line.
func (s *socket) receive(hand func(*arrival)) {
	k := s.wire
	for range burst {
		n, about, _, from, err := unix.Recvmsg(s.fd, k.buffer[:], k.about[:], 0)
		if err != nil {
			return // mostly EAGAIN
		}
		a := arrival{}
		switch from := from.(type) {
		case *unix.SockaddrInet4:
			a.from = netip.AddrFrom4(from.Addr)
			a.fill4(k.buffer[:n])
		case *unix.SockaddrInet6:
			a.from = netip.AddrFrom16(from.Addr)
			a.fill6(k.buffer[:n], k.about[:about])
		}
		if hand(&a); !slices.Contains(k.lines, s) {
			return
		}
	}
}

// fill4 takes the IP header off, which the kernel has checked.
func (a *arrival) fill4(b []byte) {
	if len(b) < 20 || len(b) < int(b[0]&0xf)*4 {
		return
	}
	a.to, a.hops = netip.AddrFrom4([4]byte(b[16:20])), b[8]
	a.bytes = b[int(b[0]&0xf)*4:]
}

// fill6 reads what the kernel says of the IP header, which it has taken off.
func (a *arrival) fill6(b, about []byte) {
	a.bytes = b
	messages, _ := unix.ParseSocketControlMessage(about)
	for _, m := range messages {
		switch {
		case m.Header.Level != unix.IPPROTO_IPV6:
		case m.Header.Type == unix.IPV6_HOPLIMIT && len(m.Data) >= 4:
			a.hops = uint8(binary.NativeEndian.Uint32(m.Data))
		case m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			a.to = netip.AddrFrom16([16]byte(m.Data[:16]))
		}
	}
}
