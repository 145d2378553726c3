package health

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const (
	echoRequest4, echoReply4 = 8, 0     // RFC 792
	echoRequest6, echoReply6 = 128, 129 // RFC 4443 §4.1, §4.2
)

// tryPing sends one echo request and waits for its reply.
func tryPing(ctx context.Context, t *Target) error {
	s, err := openPing(t.Address.Addr(), t.Check.Source)
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	defer s.Close()
	defer until(ctx, s)()
	request := s.request()
	if _, err := s.Write(request); err != nil {
		return failed("ping", t, err)
	}
	buf := make([]byte, 2048)
	for {
		n, err := s.Read(buf)
		if err != nil {
			return failed("ping", t, err)
		}
		if s.answers(buf[:n], request) {
			return nil
		}
	}
}

// A pingSocket is connected to one host. It is an os.File and not a net.Conn,
// because net knows no ICMP datagram sockets and both kinds read alike here.
type pingSocket struct {
	*os.File
	raw, v6 bool
}

// openPing prefers the datagram kind, which needs no privilege but the group
// range of net.ipv4.ping_group_range, and sees only its own replies.
func openPing(to, from netip.Addr) (*pingSocket, error) {
	to = to.Unmap()
	s := &pingSocket{v6: to.Is6()}
	family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if s.v6 {
		family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	const flags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|flags, protocol)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		s.raw = true
		fd, err = unix.Socket(family, unix.SOCK_RAW|flags, protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if from.IsValid() {
		if err := unix.Bind(fd, sockaddr(from.Unmap())); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("source %v: %w", from, err)
		}
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil {
		unix.Close(fd)
		return nil, err
	}
	s.File = os.NewFile(uintptr(fd), "ping")
	return s, nil
}

func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	sa := &unix.SockaddrInet6{Addr: a.As16()}
	if a.Zone() != "" {
		if i, err := net.InterfaceByName(a.Zone()); err == nil {
			sa.ZoneId = uint32(i.Index)
		}
	}
	return sa
}

// request is an echo request with a payload nobody else sends. The kernel fills
// in the identifier of a datagram socket, and every ICMPv6 checksum.
func (s *pingSocket) request() []byte {
	m := make([]byte, 8+16)
	m[0] = echoRequest4
	if s.v6 {
		m[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(m[4:], uint16(rand.Uint32()))
	binary.BigEndian.PutUint64(m[8:], rand.Uint64())
	binary.BigEndian.PutUint64(m[16:], rand.Uint64())
	if !s.v6 {
		binary.BigEndian.PutUint16(m[2:], checksum(m))
	}
	return m
}

// answers tells the reply to request from the other ICMP a raw socket is given.
func (s *pingSocket) answers(b, request []byte) bool {
	reply := byte(echoReply6)
	if !s.v6 {
		reply = echoReply4
		if s.raw { // the IPv4 header comes along
			if len(b) < 20 || len(b) < int(b[0]&15)*4 {
				return false
			}
			b = b[int(b[0]&15)*4:]
		}
	}
	return len(b) >= 8 && b[0] == reply && bytes.Equal(b[8:], request[8:])
}

// checksum is the Internet checksum of an even number of bytes (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	return ^uint16(sum)
}
