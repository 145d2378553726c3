package packet

import "encoding/binary"

const ethernetLen = 14

// EtherTypes that Parse knows.
const (
	EtherTypeIPv4 = 0x0800
	EtherTypeARP  = 0x0806
	EtherTypeIPv6 = 0x86dd
)

// EthernetHeader is an untagged Ethernet II header.
type EthernetHeader [ethernetLen]byte

func (h *EthernetHeader) Dst() [6]byte { return [6]byte(h[0:6]) }
func (h *EthernetHeader) Src() [6]byte { return [6]byte(h[6:12]) }
func (h *EthernetHeader) Type() uint16 { return binary.BigEndian.Uint16(h[12:14]) }

func (h *EthernetHeader) SetDst(mac [6]byte) { copy(h[0:6], mac[:]) }
func (h *EthernetHeader) SetSrc(mac [6]byte) { copy(h[6:12], mac[:]) }
func (h *EthernetHeader) setType(t uint16)   { binary.BigEndian.PutUint16(h[12:14], t) }

// Multicast reports whether the frame was sent to more than one station.
func (h *EthernetHeader) Multicast() bool { return h[0]&1 != 0 }
