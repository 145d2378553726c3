package packet

// EchoReply turns an echo request into its reply, in place and back to the
// station it came from. The checksums are carried along: swapping two addresses
// leaves a sum as it was.
func (p *Packet) EchoReply() {
	e := p.Ethernet()
	src, dst := e.Src(), e.Dst()
	e.SetSrc(dst)
	e.SetDst(src)
	p.setAddrs(&p.Tuple.Dst, &p.Tuple.Src)
	p.setTTL(originTTL)
	h := p.ICMP()
	typ := uint8(icmpEchoReply)
	if p.V6 {
		typ = icmp6EchoReply
	}
	if !p.Partial { // then the sum does not cover the message yet
		h.setChecksum(update(h.checksum(), swap32(uint32(h[0])<<8, uint32(typ)<<8)))
	}
	h[0] = typ
	p.Kind = Other
}
