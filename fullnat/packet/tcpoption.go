package packet

import "encoding/binary"

// TCP options, RFC 9293 §3.2 and RFC 7323.
const (
	tcpEnd         = 0
	tcpNop         = 1
	tcpMSS         = 2
	tcpWindowScale = 3
	tcpTimestamps  = 8
)

// TCPOption returns the first option of a kind, in place and with its kind and
// length bytes, or nil. A list that makes no sense ends where it stops making
// sense, as it does for the receiver.
func (p *Packet) TCPOption(kind uint8) []byte {
	for opt, rest := cutOption(p.tcpOptions()); opt != nil; opt, rest = cutOption(rest) {
		if opt[0] == kind {
			return opt
		}
	}
	return nil
}

// MSS returns the maximum segment size the packet announces, or 0.
func (p *Packet) MSS() uint16 {
	if opt := p.TCPOption(tcpMSS); len(opt) == 4 {
		return binary.BigEndian.Uint16(opt[2:])
	}
	return 0
}

// WindowScale returns the window shift the packet announces, if it does. A
// shift above 14 means 14 (RFC 7323 §2.3).
func (p *Packet) WindowScale() (shift uint8, ok bool) {
	if opt := p.TCPOption(tcpWindowScale); len(opt) == 3 {
		return min(opt[2], 14), true
	}
	return 0, false
}

// ClampMSS lowers the announced maximum segment size to at most max and reports
// whether it had to.
func (p *Packet) ClampMSS(max uint16) bool {
	opt := p.TCPOption(tcpMSS)
	if len(opt) != 4 || binary.BigEndian.Uint16(opt[2:]) <= max {
		return false
	}
	value := [2]byte(opt[2:])
	binary.BigEndian.PutUint16(opt[2:], max)
	p.changedTCP(opt[2:], value[:])
	return true
}

// StripTimestamps puts NOPs in the place of every timestamps option and reports
// whether there was one.
func (p *Packet) StripTimestamps() (found bool) {
	nops := [10]byte{tcpNop, tcpNop, tcpNop, tcpNop, tcpNop, tcpNop, tcpNop, tcpNop, tcpNop, tcpNop}
	for opt, rest := cutOption(p.tcpOptions()); opt != nil; opt, rest = cutOption(rest) {
		if opt[0] != tcpTimestamps || len(opt) != len(nops) {
			continue
		}
		old := [10]byte(opt)
		copy(opt, nops[:])
		p.changedTCP(opt, old[:])
		found = true
	}
	return found
}

func (p *Packet) tcpOptions() []byte {
	if !p.ports || p.Tuple.Protocol != TCP {
		return nil
	}
	return p.Frame[p.L4+tcpLen : p.Payload : p.Payload]
}

// cutOption cuts the first option off the list b. It returns nil at its end.
func cutOption(b []byte) (opt, rest []byte) {
	if len(b) == 0 || b[0] == tcpEnd {
		return nil, nil
	}
	if b[0] == tcpNop {
		return b[:1], b[1:]
	}
	if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
		return nil, nil
	}
	return b[:b[1]], b[b[1]:]
}

// changedTCP tells the checksum that now, a part of the TCP options, was old.
// A partial checksum does not cover it yet.
func (p *Packet) changedTCP(now, old []byte) {
	if p.Partial {
		return
	}
	// What stands at an odd distance from the header weighs as a low byte. The
	// options end at Payload, which is a multiple of four from L4, so the room
	// left behind now tells the distance.
	shift := uint(8)
	if cap(now)&1 != 0 {
		shift = 0
	}
	var d sum
	for i := range now {
		d += swap32(uint32(old[i])<<shift, uint32(now[i])<<shift)
		shift ^= 8
	}
	p.updateL4(d)
}
