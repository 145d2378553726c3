package bfd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Ports that sessions are received on (RFC 5881 §4, RFC 5883 §5), and those
// they may be sent from.
const (
	portNextDoor = 3784
	portMultihop = 4784
	firstSource  = 49152
	lastSource   = 65535
)

// sockets is the wire of the kernel's own.
type sockets struct {
	bell      int // an eventfd
	listeners []*listener
	polled    []unix.PollFd // the bell, then the listeners
	buffer    [1500]byte
}

// A listener receives what comes to one of our addresses, from any peer.
type listener struct {
	fd    int
	at    netip.AddrPort
	users int
}

func newSockets() (*sockets, error) {
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("bfd: eventfd: %w", err)
	}
	k := &sockets{bell: bell}
	k.repoll()
	return k, nil
}

func (k *sockets) close() { unix.Close(k.bell) }

func (k *sockets) repoll() {
	k.polled = []unix.PollFd{{Fd: int32(k.bell), Events: unix.POLLIN}}
	for _, l := range k.listeners {
		k.polled = append(k.polled, unix.PollFd{Fd: int32(l.fd), Events: unix.POLLIN})
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

// burst is more than a socket's buffer holds, so that whatever had come when
// receive was called is handed over, and a flood does not keep it for ever.
const burst = 1024

func (k *sockets) receive(hand func(*arrival)) {
	for _, l := range k.listeners {
		for range burst {
			n, from, err := unix.Recvfrom(l.fd, k.buffer[:], 0)
			if err != nil {
				break // mostly EAGAIN
			}
			hand(&arrival{k.buffer[:n], addressOf(from), l.at.Addr(), l.at.Port() == portMultihop})
		}
	}
}

// dial opens a socket to send from and, unless there is one, one to receive on.
func (k *sockets) dial(e ends) (line, error) {
	port := uint16(portNextDoor)
	if e.multihop {
		port = portMultihop
	}
	to := netip.AddrPortFrom(e.address, port)
	if !e.local.IsValid() {
		var err error
		if e.local, err = sourceFor(to); err != nil {
			return nil, fmt.Errorf("route: %w", err)
		}
	}
	fd, err := sender(e.local)
	if err != nil {
		return nil, fmt.Errorf("send from %v: %w", e.local, err)
	}
	l, err := k.listen(netip.AddrPortFrom(e.local, port))
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &socket{fd: fd, to: sockaddr(to), listener: l, wire: k}, nil
}

func (k *sockets) listen(at netip.AddrPort) (*listener, error) {
	for _, l := range k.listeners {
		if l.at == at {
			l.users++
			return l, nil
		}
	}
	fd, err := udp(at.Addr())
	if err != nil {
		return nil, fmt.Errorf("listen on %v: %w", at, err)
	}
	if at.Port() == portNextDoor {
		err = onlyFromNextDoor(fd, at.Addr().Is4())
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(at))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen on %v: %w", at, err)
	}
	l := &listener{fd: fd, at: at, users: 1}
	k.listeners = append(k.listeners, l)
	k.repoll()
	return l, nil
}

func (k *sockets) leave(l *listener) {
	if l.users--; l.users > 0 {
		return
	}
	unix.Close(l.fd)
	k.listeners = slices.DeleteFunc(k.listeners, func(o *listener) bool { return o == l })
	k.repoll()
}

// onlyFromNextDoor has the kernel drop what passed a router on its way (RFC
// 5881 §5): a flood from afar never fills the buffer that the peer needs.
func onlyFromNextDoor(fd int, v4 bool) error {
	ttl := uint32(8) // offset in the IP header
	if !v4 {
		ttl = 7
	}
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 0xfff00000 + ttl}, // SKF_NET_OFF
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 255, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// sender opens a socket on a port of its own, which it keeps (RFC 5881 §4), and
// sends with the hop limit that the peer asks for and the priority of routing
// (RFC 2474, CS6).
func sender(local netip.Addr) (int, error) {
	fd, err := udp(local)
	if err != nil {
		return -1, err
	}
	level, hops, class := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_TOS
	if local.Is6() {
		level, hops, class = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_TCLASS
	}
	err = errors.Join(unix.SetsockoptInt(fd, level, hops, 255), unix.SetsockoptInt(fd, level, class, 0xc0))
	if err == nil {
		err = bindSource(fd, local)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func bindSource(fd int, local netip.Addr) (err error) {
	for range 100 {
		port := firstSource + rand.N(lastSource-firstSource+1)
		err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, uint16(port))))
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	return err
}

// sourceFor is the address that the kernel would send from.
func sourceFor(to netip.AddrPort) (netip.Addr, error) {
	fd, err := udp(to.Addr())
	if err != nil {
		return netip.Addr{}, err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, sockaddr(to)); err != nil {
		return netip.Addr{}, err
	}
	from, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}, err
	}
	return addressOf(from), nil
}

func udp(a netip.Addr) (int, error) {
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	return unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func addressOf(s unix.Sockaddr) netip.Addr {
	switch s := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(s.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(s.Addr)
	}
	return netip.Addr{}
}

// A socket is the line to one peer.
type socket struct {
	fd       int
	to       unix.Sockaddr
	listener *listener
	wire     *sockets
}

func (s *socket) local() netip.Addr   { return s.listener.at.Addr() }
func (s *socket) send(b []byte) error { return unix.Sendto(s.fd, b, 0, s.to) }

func (s *socket) close() {
	unix.Close(s.fd)
	s.wire.leave(s.listener)
}
