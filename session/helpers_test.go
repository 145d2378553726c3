package session

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"fleetlb/fullnat/packet"
)

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

// newTestTable owns all slots and has enough local addresses of both families
// for whatever a test opens.
func newTestTable(sessions int) *Table {
	t := NewTable(Config{Sessions: sessions, Slots: [2]int{0, Slots}})
	var locals []packet.Addr
	for i := range 4 {
		locals = append(locals, addr(fmt.Sprintf("10.9.0.%d", i+1)), addr(fmt.Sprintf("2001:db8:9::%d", i+1)))
	}
	t.SetLocals(locals, 1024, 65535)
	return t
}

// pathTo is the path of a web service to a server.
func pathTo(server packet.Addr) PathKey {
	k := PathKey{
		VIP: addr("203.0.113.80"), VIPPort: 443, Server: server, ServerPort: 8443,
		Protocol: packet.TCP, Mode: FULLNAT,
	}
	if !server.Is4() {
		k.VIP = addr("2001:db8::80")
	}
	return k
}

func randomClient(r *rand.Rand) packet.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], r.Uint32())
	return packet.AddrFrom(netip.AddrFrom4(b))
}

// tcpPacket is a parsed TCP packet as far as Track reads it: 20 bytes of IPv4
// header, 20 of TCP, and so many of data.
func tcpPacket(flags uint8, seq, ack uint32, data int) *packet.Packet {
	p := &packet.Packet{Frame: make([]byte, 14+20+20+data), L3: 14, L4: 34, Payload: 54, Flags: flags}
	p.Tuple.Protocol = packet.TCP
	h := p.Frame[p.L4:]
	binary.BigEndian.PutUint32(h[4:], seq)
	binary.BigEndian.PutUint32(h[8:], ack)
	h[12], h[13] = 5<<4, flags
	return p
}

// expire is Expire of a table whose sessions nobody else is told of.
func (t *Table) expire(now Tick, into []*Session) int {
	n, _ := t.Expire(now, into, nil)
	return n
}

// fleetTable is a test table of a director with a name.
func fleetTable(sessions int, name string) *Table {
	t := NewTable(Config{Sessions: sessions, Replicas: sessions, Slots: [2]int{0, Slots}})
	t.SetSelf(ownerOf(name, 1), 1)
	setLocals(t, 1024, 65535, "10.9.0.1", "2001:db8:9::1")
	return t
}

// ownerOf is a director in its first, second … life, which all begin within a
// minute.
func ownerOf(name string, life uint64) Owner {
	return Owner{NodeIDOf(name), 1_800_000_000e9 + life*1e9}
}
