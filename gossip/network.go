package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Network is where a fleet's datagrams and streams travel. The kernel's is
// used unless a test has another.
type Network interface {
	// Listen takes one port for both; port 0 lets the network choose.
	Listen(bind netip.AddrPort) (Packets, net.Listener, error)
	// Dial opens a stream from the host of bind.
	Dial(ctx context.Context, bind, to netip.AddrPort) (net.Conn, error)
}

// Packets sends and receives datagrams.
type Packets interface {
	// ReadFrom waits for a datagram; what does not fit into b is cut off.
	ReadFrom(b []byte) (n int, from netip.AddrPort, err error)
	// WriteTo sends one or drops it. It does not wait, and keeps nothing of b.
	WriteTo(b []byte, to netip.AddrPort) error
	Close() error
}

// Kernel is the network of this machine.
type Kernel struct{}

// socketBuffer is room for bursts, in bytes: at 20,000 datagrams a second, what
// comes in a tenth of one.
const socketBuffer = 4 << 20

// Listen takes a port for UDP and TCP.
func (Kernel) Listen(bind netip.AddrPort) (Packets, net.Listener, error) {
	// The kernel chooses a port for one of both; the other may have none of it.
	for attempt := 0; ; attempt++ {
		p, l, err := listen(bind)
		if err == nil || bind.Port() != 0 || attempt == 16 || !errors.Is(err, syscall.EADDRINUSE) {
			return p, l, err
		}
	}
}

func listen(bind netip.AddrPort) (Packets, net.Listener, error) {
	// Multipath TCP would be another protocol to routers and captures.
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	l, err := c.Listen(context.Background(), "tcp", bind.String())
	if err != nil {
		return nil, nil, err
	}
	at := netip.AddrPortFrom(bind.Addr(), l.Addr().(*net.TCPAddr).AddrPort().Port())
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, nil, errors.Join(err, l.Close(), u.Close())
	}
	enlarge(raw)
	return &socket{u, raw, bind.Addr().Is6() && !bind.Addr().Is4In6()}, l, nil
}

// enlarge asks for large buffers, beyond the system's bounds where permitted.
func enlarge(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) {
		for _, o := range [][2]int{{unix.SO_RCVBUF, unix.SO_RCVBUFFORCE}, {unix.SO_SNDBUF, unix.SO_SNDBUFFORCE}} {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o[1], socketBuffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o[0], socketBuffer)
			}
		}
	})
}

// Dial opens a TCP connection.
func (Kernel) Dial(ctx context.Context, bind, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: bind.Addr().AsSlice()}}
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, "tcp", to.String())
}

// socket is a UDP socket that never waits to send.
type socket struct {
	*net.UDPConn
	raw syscall.RawConn
	six bool
}

func (s *socket) ReadFrom(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := s.ReadFromUDPAddrPort(b)
		if err == nil || errors.Is(err, net.ErrClosed) {
			return n, from, err
		}
		// The kernel passes on what befell an earlier datagram of ours, or is
		// short of memory: neither is the end.
		time.Sleep(time.Millisecond)
	}
}

// WriteTo sends without waiting for room: UDPConn would wait, and with it the
// worker whose news this is.
func (s *socket) WriteTo(b []byte, to netip.AddrPort) error {
	var a unix.Sockaddr
	if s.six {
		a = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	} else if to.Addr().Unmap().Is4() {
		a = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().Unmap().As4()}
	} else {
		return fmt.Errorf("%s: not of the family of this socket", to)
	}
	var sent error
	err := s.raw.Write(func(fd uintptr) bool {
		sent = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, a)
		return true
	})
	return errors.Join(err, sent)
}
