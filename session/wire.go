package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"fleetlb/fullnat/packet"
)

// A record on the wire, all in network order; the families of the addresses give
// their lengths:
//
//	what      1    kind (2 bits), and which of the things below there are
//	how       1    state (4 bits), mode less one (2 bits), protocol (1 bit: UDP), 1 bit to ignore
//	ends      1    heard, acked, reset of either end (6 bits), 2 bits to ignore
//	client    6    address and port; IPv6: 18
//	vip       6    address and the port that the client asked for
//	server    6
//	local     6    FULLNAT only
//	born      6
//	ports     4    the first and the last of the service's ports, if it has several
//	home     16    id and epoch, if it is not the sender
//	idle   1..5    uvarint, in tenths of a second; not of Gone
//	expects 0/4/8  of each end of which it is known; not of Gone
//	more     1..   uvarint: how many bytes follow that are to be skipped, if any
//
// The update of an established TCP session is 42 bytes with IPv4 and 90 with IPv6
// if its home sends it, 16 more if another does; its Gone 33 and 81.
//
// A mark is: what, slot, the count (uvarint), the sum (8 bytes), home and more as
// above: 11 to 15 bytes.
//
// What a later version adds goes into more, which this one skips, as pieces of
// type, length and content; bits without a meaning are sent as zero and ignored.
// A later version that cannot be understood that way is another kind.
const (
	bits6       = 1 << (2 + iota) // of what: client and VIP are IPv6
	bitsServer6                   // server and local are
	bitsPorts
	bitsHome
	_ // sent as zero, ignored
	bitsMore
)

const (
	bitUDP = 1 << 6 // of how

	kindMask = 1<<2 - 1
)

// MaxRecord is how many bytes a record takes at most, as this version makes it.
const MaxRecord = 3 + 4*(16+2) + 6 + 4 + 16 + binary.MaxVarintLen32 + 2*4

// AppendTo appends r, which is valid, as from sends it.
func (r *Record) AppendTo(b []byte, from Owner) []byte {
	what := uint8(r.Kind)
	if r.Home != from {
		what |= bitsHome
	}
	if r.Kind == Mark {
		b = append(b, what, r.Slot)
		b = binary.AppendUvarint(b, uint64(r.Digest.Count))
		b = binary.BigEndian.AppendUint64(b, r.Digest.Sum)
		return r.appendHome(b, what)
	}
	if !r.VIP.Is4() {
		what |= bits6
	}
	if !r.Server.Is4() {
		what |= bitsServer6
	}
	if r.VIPLast != 0 || r.VIPPort != r.Port {
		what |= bitsPorts
	}
	how := uint8(r.State) | uint8(r.Mode-FULLNAT)<<4
	if r.Protocol == packet.UDP {
		how |= bitUDP
	}
	ends := uint8(r.Ends[Inbound].flags() | r.Ends[Outbound].flags()<<Outbound)
	b = append(b, what, how, ends)
	b = appendEnd(b, &r.Client, r.ClientPort)
	b = appendEnd(b, &r.VIP, r.Port)
	b = appendEnd(b, &r.Server, r.ServerPort)
	if r.Mode == FULLNAT {
		b = appendEnd(b, &r.Local, r.LocalPort)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(r.Born>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(r.Born))
	if what&bitsPorts != 0 {
		b = binary.BigEndian.AppendUint16(b, r.VIPPort)
		b = binary.BigEndian.AppendUint16(b, r.VIPLast)
	}
	b = r.appendHome(b, what)
	if r.Kind == Gone {
		return b
	}
	b = binary.AppendUvarint(b, uint64(r.Idle))
	for d := range r.Ends {
		if e := &r.Ends[d]; e.known() {
			b = binary.BigEndian.AppendUint32(b, e.Expects)
		}
	}
	return b
}

func (e *End) known() bool { return e.Heard || e.Acked }

func (r *Record) appendHome(b []byte, what uint8) []byte {
	if what&bitsHome != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(r.Home.ID))
		b = binary.BigEndian.AppendUint64(b, r.Home.Epoch)
	}
	return b
}

func appendEnd(b []byte, a *packet.Addr, port uint16) []byte {
	if a.Is4() {
		b = append(b, a[12:]...)
	} else {
		b = append(b, a[:]...)
	}
	return binary.BigEndian.AppendUint16(b, port)
}

var errShort = errors.New("record: ends before its end")

// Parse makes r the record at the beginning of b, which from has sent, and returns
// how many bytes it took. What it means is for Valid to judge.
func (r *Record) Parse(b []byte, from Owner) (n int, err error) {
	p := parser{b: b}
	what := p.uint8()
	*r = Record{Kind: Kind(what & kindMask), Home: from}
	switch r.Kind {
	case Mark:
		r.Slot = p.uint8()
		r.Digest = Digest{Count: p.uvarint(), Sum: p.uint64()}
		r.parseHome(&p, what)
	case Update, Gone:
		r.parseSession(&p, what)
	default:
		return 0, fmt.Errorf("record: kind %d: unknown", r.Kind)
	}
	if what&bitsMore != 0 {
		p.take(int(p.uvarint()))
	}
	if p.short {
		return 0, errShort
	}
	return len(b) - len(p.b), nil
}

func (r *Record) parseSession(p *parser, what uint8) {
	how, ends := p.uint8(), sessionFlags(p.uint8())
	r.State = State(how & 0xf)
	r.Mode = FULLNAT + Mode(how>>4&3)
	r.Protocol = packet.TCP
	if how&bitUDP != 0 {
		r.Protocol = packet.UDP
	}
	for i := range r.Ends {
		d := Direction(i)
		r.Ends[d] = End{Heard: ends.has(spoke, d), Acked: ends.has(acked, d), Reset: ends.has(reset, d)}
	}
	r.Client, r.ClientPort = p.end(what & bits6)
	r.VIP, r.Port = p.end(what & bits6)
	r.Server, r.ServerPort = p.end(what & bitsServer6)
	if r.Mode == FULLNAT {
		r.Local, r.LocalPort = p.end(what & bitsServer6)
	}
	r.Born = Born(p.uint16())<<32 | Born(p.uint32())
	r.VIPPort = r.Port
	if what&bitsPorts != 0 {
		r.VIPPort, r.VIPLast = p.uint16(), p.uint16()
	}
	r.parseHome(p, what)
	if r.Kind == Gone {
		return
	}
	r.Idle = Tick(p.uvarint())
	for d := range r.Ends {
		if e := &r.Ends[d]; e.known() {
			e.Expects = p.uint32()
		}
	}
}

func (r *Record) parseHome(p *parser, what uint8) {
	if what&bitsHome != 0 {
		r.Home = Owner{NodeID(p.uint64()), p.uint64()}
	}
}

// A parser takes things off the front of b; once there is too little, what it
// returns is zero.
type parser struct {
	b     []byte
	short bool
}

var zeroes [16]byte

// take returns the next n bytes, up to 16; of more, it only takes them.
func (p *parser) take(n int) []byte {
	if n < 0 || n > len(p.b) {
		p.b, p.short = nil, true
	}
	if p.short {
		return zeroes[:]
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) uint8() uint8   { return p.take(1)[0] }
func (p *parser) uint16() uint16 { return binary.BigEndian.Uint16(p.take(2)) }
func (p *parser) uint32() uint32 { return binary.BigEndian.Uint32(p.take(4)) }
func (p *parser) uint64() uint64 { return binary.BigEndian.Uint64(p.take(8)) }

func (p *parser) uvarint() uint32 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 || v > 1<<32-1 {
		p.b, p.short = nil, true
		return 0
	}
	p.b = p.b[n:]
	return uint32(v)
}

func (p *parser) end(six uint8) (a packet.Addr, port uint16) {
	if six != 0 {
		a = packet.Addr(p.take(16)[:16])
	} else {
		a = packet.AddrFrom(netip.AddrFrom4([4]byte(p.take(4)[:4])))
	}
	return a, p.uint16()
}
