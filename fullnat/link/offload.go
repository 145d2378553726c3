package link

import "encoding/binary"

// Offload is what the network card, or here the kernel, still owes a frame:
// struct virtio_net_hdr (VIRTIO 1.2 §5.1.6). The zero Offload is a plain frame.
// Offsets count from the frame's first byte.
type Offload struct {
	Flags          uint8
	GSOType        uint8
	HdrLen         uint16 // linear part of a received frame: a hint, not the length of the headers
	GSOSize        uint16 // payload bytes in each packet that the frame becomes
	ChecksumStart  uint16 // where the transport checksum begins to cover
	ChecksumOffset uint16 // where it goes, from ChecksumStart
}

// vnetLen is the length of the header on the wire between kernel and socket.
const vnetLen = 10

const (
	gsoUDP = 3    // VIRTIO_NET_HDR_GSO_UDP
	gsoECN = 0x80 // VIRTIO_NET_HDR_GSO_ECN, beside another
)

const (
	flagNeedsChecksum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM
	flagValid         = 2 // VIRTIO_NET_HDR_F_DATA_VALID: the card has verified the checksum
)

// OwedChecksum is the Offload of a frame whose transport checksum, offset bytes
// from where it begins to cover, holds only the pseudo-header's sum.
func OwedChecksum(start, offset int) Offload {
	return Offload{Flags: flagNeedsChecksum, ChecksumStart: uint16(start), ChecksumOffset: uint16(offset)}
}

// NeedsChecksum says that the transport checksum holds only the pseudo-header's
// sum, to be completed by the card (CHECKSUM_PARTIAL).
func (o *Offload) NeedsChecksum() bool { return o.Flags&flagNeedsChecksum != 0 }

// GSO says that the frame is a super-packet, to be cut into packets of GSOSize
// bytes of payload each.
func (o *Offload) GSO() bool { return o.GSOType != 0 }

// OneDatagram says that the super-packet is one UDP datagram, to be cut into IP
// fragments: VIRTIO_NET_HDR_GSO_UDP. Kernels since 4.14 make no such.
func (o *Offload) OneDatagram() bool { return o.GSOType&^gsoECN == gsoUDP }

// shift moves the offsets by n bytes.
func (o *Offload) shift(n int) {
	if o.NeedsChecksum() {
		o.ChecksumStart += uint16(n)
	}
	if o.GSO() {
		o.HdrLen += uint16(n)
	}
}

// parse reads the header the kernel put in front of a received frame. Its
// fields are in host order on packet sockets.
func (o *Offload) parse(b *[vnetLen]byte) {
	o.Flags, o.GSOType = b[0], b[1]
	o.HdrLen = binary.NativeEndian.Uint16(b[2:])
	o.GSOSize = binary.NativeEndian.Uint16(b[4:])
	o.ChecksumStart = binary.NativeEndian.Uint16(b[6:])
	o.ChecksumOffset = binary.NativeEndian.Uint16(b[8:])
}

// put writes the header that the kernel wants in front of a frame of n bytes.
// A verified checksum is no promise we can make of a frame that was rewritten.
func (o *Offload) put(b *[vnetLen]byte, n int) {
	b[0], b[1] = o.Flags&flagNeedsChecksum, o.GSOType
	binary.NativeEndian.PutUint16(b[2:], uint16(min(int(o.HdrLen), n)))
	binary.NativeEndian.PutUint16(b[4:], o.GSOSize)
	binary.NativeEndian.PutUint16(b[6:], o.ChecksumStart)
	binary.NativeEndian.PutUint16(b[8:], o.ChecksumOffset)
}
