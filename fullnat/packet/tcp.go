package packet

import "encoding/binary"

const tcpLen = 20

// TCP flags, as they lie in byte 13 of the header.
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
)

// TCPHeader is the fixed part of a TCP header, viewed in place (RFC 9293 §3.1).
// Options follow in the frame.
type TCPHeader [tcpLen]byte

func (h *TCPHeader) SrcPort() uint16 { return binary.BigEndian.Uint16(h[0:2]) }
func (h *TCPHeader) DstPort() uint16 { return binary.BigEndian.Uint16(h[2:4]) }
func (h *TCPHeader) Seq() uint32     { return binary.BigEndian.Uint32(h[4:8]) }
func (h *TCPHeader) Ack() uint32     { return binary.BigEndian.Uint32(h[8:12]) }
func (h *TCPHeader) Flags() uint8    { return h[13] }
func (h *TCPHeader) Window() uint16  { return binary.BigEndian.Uint16(h[14:16]) }

func (h *TCPHeader) len() int { return int(h[12]>>4) * 4 }
