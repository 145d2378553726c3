package packettest

// Split cuts a whole IP packet into fragments of at most mtu bytes, as its
// sender (or for IPv4 a router) would. id names the packet they are parts of.
func Split(frame []byte, mtu int, id uint32) [][]byte {
	if be.Uint16(frame[12:]) == 0x0800 {
		return split4(frame, mtu, id)
	}
	return split6(frame, mtu, id)
}

func split4(frame []byte, mtu int, id uint32) (parts [][]byte) {
	n := int(frame[14]&15) * 4
	head, data := frame[:14+n], frame[14+n:14+int(be.Uint16(frame[16:]))]
	step := (mtu - n) &^ 7
	for off := 0; off < len(data); off += step {
		end := min(off+step, len(data))
		b := append(append([]byte(nil), head...), data[off:end]...)
		h := b[14 : 14+n]
		f := uint16(off / 8)
		if end < len(data) {
			f |= 0x2000
		}
		be.PutUint16(h[2:], uint16(n+end-off))
		be.PutUint16(h[4:], uint16(id))
		be.PutUint16(h[6:], f)
		be.PutUint16(h[10:], 0)
		be.PutUint16(h[10:], ^sum(h))
		parts = append(parts, b)
	}
	return parts
}

// split6 puts the fragment header right behind the fixed one: extension headers
// are taken for part of the data.
func split6(frame []byte, mtu int, id uint32) (parts [][]byte) {
	head, data := frame[:54], frame[54:54+int(be.Uint16(frame[18:]))]
	step := (mtu - 48) &^ 7
	for off := 0; off < len(data); off += step {
		end := min(off+step, len(data))
		f := uint16(off)
		if end < len(data) {
			f |= 1
		}
		b := append([]byte(nil), head...)
		be.PutUint16(b[18:], uint16(8+end-off))
		b[20] = 44
		b = append(b, frame[20], 0)
		b = be.AppendUint16(b, f)
		b = be.AppendUint32(b, id)
		parts = append(parts, append(b, data[off:end]...))
	}
	return parts
}
