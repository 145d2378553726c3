package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// An advert is an advertisement (RFC 9568 §5), the only message there is.
type advert struct {
	id        uint8
	priority  uint8
	interval  time.Duration // whole centiseconds
	addresses []netip.Addr
}

const (
	version       = 3
	advertisement = 1
	headerSize    = 8
	protocol      = 112
	hopLimit      = 255 // of what has passed no router (§5.1.1.3)

	// owner is the priority of who has the addresses as its own, and release that
	// of an active router which ceases to be (§5.2.4).
	owner   = 255
	release = 0
)

// Groups that advertisements are sent to (§5.1.1.2, §5.1.2.2).
var (
	group4 = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	group6 = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
)

// Intervals that the twelve bits of the header can say.
const (
	MinInterval = 10 * time.Millisecond
	MaxInterval = 4095 * MinInterval
)

// A Checksum says what an IPv4 advertisement's checksum covers.
type Checksum uint8

const (
	Pseudo Checksum = iota // a pseudo-header too, as RFC 5798 is read by keepalived and FRR
	Plain                  // the message alone, as RFC 9568 says
)

func (c Checksum) String() string { return [...]string{"rfc5798", "rfc9568"}[c] }

// A Fault says why a received advertisement was dropped.
type Fault uint8

const (
	None         Fault = iota
	TooShort           // ends inside the message
	BadVersion         // not version 3
	BadType            // not an advertisement
	BadLength          // longer or shorter than its addresses
	NoAddresses        // it is about none
	BadChecksum        // whatever it may cover
	NoInterval         // says that it will never come again
	Far                // has passed a router: hop limit below 255
	NotMulticast       // sent to us alone
	OwnAddress         // from an address that is ours
	numFaults
)

var faults = [numFaults]string{
	"none", "too_short", "bad_version", "bad_type", "bad_length", "no_addresses", "bad_checksum", "no_interval",
	"far", "not_multicast", "own_address",
}

func (f Fault) String() string { return faults[f] }

// groupOf is where advertisements of a family go.
func groupOf(v4 bool) netip.Addr {
	if v4 {
		return group4
	}
	return group6
}

// parse reads a message that came from src to dst, and says how its checksum was
// made. Over IPv6 there is one way.
func parse(b []byte, src, dst netip.Addr) (a advert, how Checksum, f Fault) {
	if len(b) < headerSize {
		return a, how, TooShort
	}
	switch {
	case b[0]>>4 != version:
		return a, how, BadVersion
	case b[0]&0xf != advertisement:
		return a, how, BadType
	}
	a = advert{
		id: b[1], priority: b[2],
		interval: time.Duration(binary.BigEndian.Uint16(b[4:])&0xfff) * MinInterval,
	}
	count, size := int(b[3]), src.BitLen()/8
	pseudo := sum(b, pseudoSum(src, dst, len(b))) == 0xffff
	plain := src.Is4() && sum(b, 0) == 0xffff
	switch {
	case count == 0:
		return a, how, NoAddresses
	case len(b) != headerSize+count*size:
		return a, how, BadLength
	case !pseudo && !plain:
		return a, how, BadChecksum
	case a.interval == 0:
		return a, how, NoInterval
	}
	if !pseudo {
		how = Plain
	}
	for b = b[headerSize:]; len(b) > 0; b = b[size:] {
		address, _ := netip.AddrFromSlice(b[:size])
		a.addresses = append(a.addresses, address)
	}
	return a, how, None
}

// put appends the message to b, to be sent from src to all routers.
func (a *advert) put(b []byte, src netip.Addr, how Checksum) []byte {
	begin := len(b)
	b = append(b, version<<4|advertisement, a.id, a.priority, uint8(len(a.addresses)))
	b = binary.BigEndian.AppendUint16(b, uint16(a.interval/MinInterval))
	b = append(b, 0, 0)
	for _, address := range a.addresses {
		b = append(b, address.AsSlice()...)
	}
	m := b[begin:]
	covered := uint32(0)
	if how == Pseudo || src.Is6() {
		covered = pseudoSum(src, groupOf(src.Is4()), len(m))
	}
	binary.BigEndian.PutUint16(m[6:], ^sum(m, covered))
	return b
}

// sum is RFC 1071's, begun with what was added up before.
func sum(b []byte, begun uint32) uint16 {
	s := begun
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// pseudoSum adds up the pseudo-header of RFC 8200 §8.1, or what corresponds to it
// over IPv4.
func pseudoSum(src, dst netip.Addr, length int) uint32 {
	s := uint32(protocol) + uint32(length)
	for _, a := range [...]netip.Addr{src, dst} {
		s += uint32(sum(a.AsSlice(), 0))
	}
	return s
}
