package packet

import "strings"

//go:generate go tool stringer -type=Fault,Kind -linecomment -output=strings.go

// Fault is a way in which a frame is not a packet we may carry. The line
// comment on each is its name and the operator's help text.
type Fault uint8

const (
	None             Fault = iota // none: the frame is sound
	TooShort                      // too_short: the frame ends inside a header
	NotIP                         // not_ip: the frame carries neither IPv4, IPv6 nor ARP (VLAN tags are not carried)
	BadVersion                    // bad_version: the IP version is not the one the frame announces
	BadIHL                        // bad_ihl: the IPv4 header length is below 20 bytes
	BadLength                     // bad_length: the IP length is shorter than the headers or longer than the frame
	BadChecksum                   // bad_checksum: the IPv4 header checksum is wrong
	BadOptions                    // bad_options: an IPv4 option has an impossible length
	SourceRoute                   // source_route: the sender chose the route (IPv4 option or IPv6 routing header)
	Martian                       // martian: an address that cannot be on a wire: multicast, broadcast, loopback or unspecified source
	Land                          // land: source and destination are the same address
	BadFragment                   // bad_fragment: a fragment is empty, unaligned, reaches past 65535 bytes or hides its header
	BadTCPOffset                  // bad_tcp_offset: the TCP header is shorter than 20 bytes or longer than the packet
	BadUDPLength                  // bad_udp_length: the UDP length is below 8 bytes or longer than the packet
	BadQuote                      // bad_quote: an ICMP error quotes too little of the packet it is about
	BadARP                        // bad_arp: ARP of another hardware, protocol or operation
	BadNeighbor                   // bad_neighbor: a neighbour discovery message that RFC 4861 tells us to discard
	ExtensionHeaders              // extension_headers: the IPv6 extension headers are too many, out of order or cut off
	Jumbogram                     // jumbogram: an IPv6 packet above 65535 bytes
	NumFaults                     // the number of faults, None included
)

// Name is the fault's word in metrics and tables.
func (f Fault) Name() string {
	name, _, _ := strings.Cut(f.String(), ": ")
	return name
}

// Help explains the fault to an operator.
func (f Fault) Help() string {
	_, help, _ := strings.Cut(f.String(), ": ")
	return help
}
