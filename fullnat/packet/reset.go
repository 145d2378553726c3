package packet

import "encoding/binary"

// PutReset writes a TCP reset from t.Src to t.Dst. flags holds FlagRST, and
// FlagACK if ack means something.
func PutReset(buf []byte, t Tuple, seq, ack uint32, flags uint8) int {
	l4 := putIP(buf, &t.Src, &t.Dst, TCP, 0, tcpLen)
	h := (*TCPHeader)(buf[l4:])
	*h = TCPHeader{12: tcpLen / 4 << 4, 13: flags}
	binary.BigEndian.PutUint16(h[0:2], t.SrcPort)
	binary.BigEndian.PutUint16(h[2:4], t.DstPort)
	binary.BigEndian.PutUint32(h[4:8], seq)
	binary.BigEndian.PutUint32(h[8:12], ack)
	s := sumOf(h[:]) + pseudo(&t.Src, &t.Dst, TCP, tcpLen)
	binary.BigEndian.PutUint16(h[16:18], s.checksum())
	return l4 + tcpLen
}

// PutRefusal answers a TCP segment as a host without that connection does
// (RFC 9293 §3.10.7.1): with a reset that the sender will believe. A reset is
// not answered.
func PutRefusal(buf []byte, p *Packet) int {
	if p.Kind != Flow || p.Tuple.Protocol != TCP || p.Flags&FlagRST != 0 {
		return 0
	}
	h := p.TCP()
	if p.Flags&FlagACK != 0 {
		return PutReset(buf, p.Tuple.Reverse(), h.Ack(), 0, FlagRST)
	}
	ack := h.Seq() + uint32(len(p.Frame)-p.Payload)
	if p.Flags&FlagSYN != 0 {
		ack++
	}
	if p.Flags&FlagFIN != 0 {
		ack++
	}
	return PutReset(buf, p.Tuple.Reverse(), 0, ack, FlagRST|FlagACK)
}
