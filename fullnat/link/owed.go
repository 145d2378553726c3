package link

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"golang.org/x/sys/unix"
)

const ethernetLen = 14

// near says whether the other end of an interface is software on this machine,
// whose frames owe their checksums to it until the last moment.
func near(name string) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	return err == nil && slices.Contains([]string{"veth", "tun", "virtio_net", "vif", "netkit"}, unix.ByteSliceToString(info.Driver[:]))
}

// owed is the Offload of a frame out of a ring, where nothing tells but the frame
// itself whether its checksum is still owed: then only the pseudo-header's sum
// stands in it. Of the frames with a true sum one in 65,536 looks the same, and
// gets that very sum again.
func owed(frame []byte) Offload {
	if len(frame) < ethernetLen+40 {
		return owedShort(frame)
	}
	switch ip := frame[ethernetLen:]; {
	case binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_IP:
		return owed4(ip)
	case ip[0]>>4 == 6:
		return owedAt(ip, 40, int(binary.BigEndian.Uint16(ip[4:])), ip[6], ip[8:40])
	}
	return Offload{}
}

// owedShort is for a frame that is too short for IPv6.
func owedShort(frame []byte) Offload {
	if len(frame) < ethernetLen+20 || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP {
		return Offload{}
	}
	return owed4(frame[ethernetLen:])
}

func owed4(ip []byte) Offload {
	return owedAt(ip, 20, int(binary.BigEndian.Uint16(ip[2:]))-20, ip[9], ip[12:20])
}

// owedAt looks at the length bytes of TCP or UDP that begin at byte at of an IP
// packet without options.
func owedAt(ip []byte, at, length int, protocol uint8, addresses []byte) Offload {
	offset := 16
	if protocol == unix.IPPROTO_UDP {
		offset = 6
	}
	if at+offset+2 > len(ip) || length < offset+2 {
		return Offload{}
	}
	if binary.BigEndian.Uint16(ip[at+offset:]) != fold(sum(addresses)+uint64(protocol)+uint64(length)) {
		return Offload{}
	}
	return OwedChecksum(ethernetLen+at, offset)
}

// covers says whether the owed checksum lies within a frame of n bytes.
func (o *Offload) covers(n int) bool { return int(o.ChecksumStart)+int(o.ChecksumOffset)+2 <= n }

// complete pays the checksum that a frame owes. A zero becomes its twin, which is
// the same number and does not say that there is none (RFC 768).
func (o *Offload) complete(frame []byte) {
	c := ^fold(sum(frame[o.ChecksumStart:]))
	if c == 0 {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(frame[o.ChecksumStart+o.ChecksumOffset:], c)
}

// sum adds up b as RFC 1071 does, eight bytes at a time: the carries of one's
// complement are the same for words of any width.
func sum(b []byte) uint64 {
	var s, c uint64
	for ; len(b) >= 8; b = b[8:] {
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b), c)
	}
	var last [8]byte
	copy(last[:], b)
	s, c = bits.Add64(s, binary.BigEndian.Uint64(last[:]), c)
	s, c = bits.Add64(s, 0, c)
	s += c
	return s>>32 + s&0xffffffff // room for the next to be added
}

// fold adds the carries back until 16 bits are left.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s&0xffff)
}
