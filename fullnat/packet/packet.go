package packet

// Kind says what a sound frame carries.
type Kind uint8

const (
	// Flow is TCP or UDP: the tuple is whole.
	Flow Kind = iota // flow
	// Fragment is a part of a packet. The first part of TCP or UDP has its
	// ports, later ones have none.
	Fragment // fragment
	// Error is an ICMP or ICMPv6 error: Inner tells what it is about.
	Error // error
	// Echo is an ICMP or ICMPv6 echo request.
	Echo // echo
	// ARP is a question, an answer or an announcement for IPv4 over Ethernet.
	ARP // arp
	// Neighbor is the same for IPv6: a solicitation or an advertisement.
	Neighbor // neighbor
	// Other is sound IP of a protocol or an ICMP type that we do not carry.
	Other // other
)

// Packet is a view of one frame. [Parse] fills it and proves its offsets; it is
// good for as long as the frame is.
type Packet struct {
	// Frame runs from the Ethernet header to the end of the IP packet: the
	// padding of short frames is cut off.
	Frame []byte

	// Tuple is the packet's own. For ARP it holds the sender's and the target's
	// address, for everything but TCP and UDP no ports.
	Tuple Tuple

	Kind    Kind
	V6      bool
	Partial bool  // the L4 checksum is CHECKSUM_PARTIAL
	Flags   uint8 // of TCP

	// Offsets into Frame. L4 is that of a later fragment's data, too; Payload
	// comes after the TCP, UDP or ICMP header and equals L4 where there is none.
	L3, L4, Payload int

	// Frag is set for the fragments of both families.
	Frag struct {
		ID     uint32
		Offset uint16 // of this fragment's data in the whole, in bytes
		More   bool   // more fragments come after it
	}

	// Inner is set if Kind is Error.
	Inner Inner

	ports bool // the L4 header begins with ports, and it is here
	check int  // offset of the L4 checksum that covers the pseudo-header; 0: none
}

// Inner is the packet that an ICMP error quotes: its IP header and, of TCP and
// UDP, at least eight bytes more, cut off anywhere after that.
type Inner struct {
	Tuple    Tuple // as quoted: the packet went the other way
	L3, L4   int   // offsets into Frame
	Fragment bool  // a later fragment was quoted: it has no ports

	ports bool
	check int // offset of the quoted L4 checksum; 0: beyond the quote, or none
}

// The header views below are for packets that have them: IPv4 where V6 is not
// set, TCP where Tuple.Protocol says so and no fragment came without it, and so
// on.

func (p *Packet) Ethernet() *EthernetHeader { return (*EthernetHeader)(p.Frame) }
func (p *Packet) IPv4() *IPv4Header         { return (*IPv4Header)(p.Frame[p.L3:]) }
func (p *Packet) IPv6() *IPv6Header         { return (*IPv6Header)(p.Frame[p.L3:]) }
func (p *Packet) ARP() *ARPHeader           { return (*ARPHeader)(p.Frame[p.L3:]) }
func (p *Packet) TCP() *TCPHeader           { return (*TCPHeader)(p.Frame[p.L4:]) }
func (p *Packet) UDP() *UDPHeader           { return (*UDPHeader)(p.Frame[p.L4:]) }
func (p *Packet) ICMP() *ICMPHeader         { return (*ICMPHeader)(p.Frame[p.L4:]) }
func (p *Packet) Neighbor() *NeighborHeader { return (*NeighborHeader)(p.Frame[p.L4:]) }

// TTL is the hop limit of either family.
func (p *Packet) TTL() uint8 {
	if p.V6 {
		return p.IPv6().HopLimit()
	}
	return p.IPv4().TTL()
}

// DecTTL takes one hop. The caller has seen that there is one left.
func (p *Packet) DecTTL() { p.setTTL(p.TTL() - 1) }

func (p *Packet) setTTL(n uint8) {
	if p.V6 {
		p.IPv6().setHopLimit(n)
	} else {
		p.IPv4().setTTL(n)
	}
}
