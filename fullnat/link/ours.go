package link

import (
	"encoding/binary"
	"net/netip"
)

// Ours is which of the frames that the interfaces receive are for the workers.
type Ours struct {
	VIPs   []netip.Prefix // to the worker of the client's slot
	Locals []netip.Prefix // to the worker of the slot in the local port

	// Gated are servers whose answers go to the clients' own addresses and pass
	// here because the director is their gateway: to the worker of the client's
	// slot. What they send from other ports is not ours.
	Gated []Endpoint
	// Tunnelled are servers that packets are sent to inside others: ICMP errors
	// about those come to an address of the host's own.
	Tunnelled []netip.Addr

	// Hosts are the host's own addresses. What is sent to them is for its kernel
	// even so.
	Hosts []netip.Addr
}

// An Endpoint is one end of TCP or UDP connections. Port 0 is any.
type Endpoint struct {
	Protocol uint8
	netip.AddrPort
}

// Classes of addresses and of servers, as in steer.c.
const (
	classVIP   = uint32(1)
	classLocal = uint32(2)

	classGated     = uint32(1)
	classTunnelled = uint32(2)
)

// addresses is which addresses are ours, in the form of steer.c.
func (o *Ours) addresses() map[steerPrefix]uint32 {
	m := make(map[steerPrefix]uint32)
	for _, p := range o.VIPs {
		m[prefixKey(p)] = classVIP
	}
	for _, p := range o.Locals {
		m[prefixKey(p)] = classLocal
	}
	return m
}

// servers is which servers are not only the far end of sessions. Each is listed
// without ports, too, for packets that have none: fragments, and ICMP errors
// about them.
func (o *Ours) servers() map[steerEndpoint]uint32 {
	m := make(map[steerEndpoint]uint32)
	for _, e := range o.Gated {
		m[endpointKey(e)] = classGated
		m[endpointKey(Endpoint{AddrPort: netip.AddrPortFrom(e.Addr(), 0)})] |= classGated
	}
	for _, a := range o.Tunnelled {
		m[endpointKey(Endpoint{AddrPort: netip.AddrPortFrom(a, 0)})] |= classTunnelled
	}
	return m
}

// hosts is the host's own addresses.
func (o *Ours) hosts() map[steerAddress]uint32 {
	m := make(map[steerAddress]uint32)
	for _, a := range o.Hosts {
		m[addressKey(a)] = 1
	}
	return m
}

// prefixKey returns a prefix as the programs look it up: IPv4 as ::ffff:a.b.c.d.
func prefixKey(p netip.Prefix) steerPrefix {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return steerPrefix{Bits: uint32(bits), Address: p.Masked().Addr().As16()}
}

// endpointKey returns an endpoint as the programs look it up, with the address
// and the port as they lie in a packet.
func endpointKey(e Endpoint) (k steerEndpoint) {
	k.Address = addressKey(e.Addr())
	k.Port = binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, e.Port()))
	k.Protocol = e.Protocol
	return k
}

func addressKey(a netip.Addr) steerAddress {
	b := a.As16()
	return steerAddress{Hi: binary.NativeEndian.Uint64(b[:8]), Lo: binary.NativeEndian.Uint64(b[8:])}
}
