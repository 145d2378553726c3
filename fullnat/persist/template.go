package persist

import (
	"net/netip"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// Tick is the workers' clock.
type Tick = session.Tick

// second is one second of it.
const second Tick = 10

// A Key is what a template is found by.
type Key struct {
	Service uint64      // the same on all directors
	Network packet.Addr // the first address
	Bits    uint8       // of Network that its clients have in common, of 128
}

// KeyOf returns the key of a client: bits are how many clients of one network
// have in common, of 32 or 128; 0 stands for all.
func KeyOf(service uint64, client packet.Addr, bits int) Key {
	if client.Is4() && bits > 0 {
		bits += 96
	}
	if bits == 0 {
		bits = 128
	}
	k := Key{service, client, uint8(bits)}
	for i := range k.Network {
		switch left := bits - 8*i; {
		case left <= 0:
			k.Network[i] = 0
		case left < 8:
			k.Network[i] &= 0xff << (8 - left)
		}
	}
	return k
}

// Prefix is the network of the clients.
func (k *Key) Prefix() netip.Prefix {
	a := k.Network.Netip()
	return netip.PrefixFrom(a, int(k.Bits)-128+a.BitLen())
}

// A Server is one by its address and port, port 0 for one that keeps the client's.
// The zero Server is none.
type Server struct {
	Addr packet.Addr
	Port uint16
}

// A Template is one of the store, for those who list them.
type Template struct {
	Key
	Server   Server
	Left     Tick   // until it is forgotten, if nothing uses it
	Sessions uint32 // that hold it here
}

// A Ref is a template in a store that somebody holds; 0 is none.
type Ref uint32

// An entry is one template, or a free place.
type entry struct {
	Key
	server  Server
	version uint32 // how often the network was given a server
	timeout Tick
	expires Tick   // good until then, or while it is held
	told    Tick   // when others were told last
	uses    uint32 // sessions that hold it
	next    uint32 // in its bucket, or of the free places
	flags   uint8

	earlier, later uint32 // in the list of those that others are to be told of
}

// Flags of an entry.
const (
	taken   = 1 << iota // it is one
	assured             // a client of the network is known to be there
	news                // others are to be told of it
)

// live says whether clients are led to the server.
func (e *entry) live(now Tick) bool {
	return e.server != Server{} && (e.uses > 0 || int32(e.expires-now) > 0)
}

// left is for how long it would stay.
func (e *entry) left(now Tick) Tick {
	if e.uses > 0 {
		return e.timeout
	}
	return Tick(max(int32(e.expires-now), 0))
}
