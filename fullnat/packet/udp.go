package packet

import "encoding/binary"

const udpLen = 8

// UDPHeader is a UDP header, viewed in place (RFC 768).
type UDPHeader [udpLen]byte

func (h *UDPHeader) SrcPort() uint16  { return binary.BigEndian.Uint16(h[0:2]) }
func (h *UDPHeader) DstPort() uint16  { return binary.BigEndian.Uint16(h[2:4]) }
func (h *UDPHeader) Checksum() uint16 { return binary.BigEndian.Uint16(h[6:8]) }

func (h *UDPHeader) len() int { return int(binary.BigEndian.Uint16(h[4:6])) }
