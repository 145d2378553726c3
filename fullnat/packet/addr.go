package packet

import (
	"encoding/binary"
	"net/netip"
)

// Addr is an IP address of either family; an IPv4 address stands as
// ::ffff:a.b.c.d. The zero Addr is ::, which no host has.
type Addr [16]byte

// AddrFrom drops the zone of a: addresses on the wire have none. The zero
// netip.Addr becomes the zero Addr.
func AddrFrom(a netip.Addr) Addr { return a.As16() }

// Netip returns a as the control plane speaks it: IPv4 unmapped.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

func (a Addr) String() string { return a.Netip().String() }

// Is4 reports whether a is an IPv4 address.
func (a Addr) Is4() bool {
	return binary.BigEndian.Uint64(a[:8]) == 0 && binary.BigEndian.Uint32(a[8:12]) == 0xffff
}

// mapped returns the IPv4 address v, in host order, as an Addr.
func mapped(v uint32) (a Addr) {
	a.set4(v)
	return a
}

// set4 makes a the IPv4 address v, in host order. Two whole words, written
// where they shall be: building an Addr by bytes and copying it costs Parse
// twice its time, for the copy must wait until the bytes have reached memory.
func (a *Addr) set4(v uint32) {
	binary.BigEndian.PutUint64(a[:8], 0)
	binary.BigEndian.PutUint64(a[8:], 0xffff<<32|uint64(v))
}

// v4 returns the IPv4 address in a, in host order.
func (a *Addr) v4() uint32 { return binary.BigEndian.Uint32(a[12:]) }
