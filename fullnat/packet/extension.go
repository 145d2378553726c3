package packet

// Extension headers, RFC 8200 §4.
const (
	hopByHop    = 0
	routing     = 43
	fragment    = 44
	destOptions = 60

	minExtension = 8 // and the length of a fragment header

	// RFC 8200 §4.1 recommends an order in which there are at most five; a
	// longer chain is an attack on whoever walks it.
	maxExtensions = 6
)

// A chain is what a walk over the extension headers found.
type chain struct {
	protocol uint8 // what follows the chain
	len      int   // bytes the chain takes
	frag     int   // offset of its fragment header, or -1
}

// extensions walks the extension headers at the front of b, of which next is
// the first. The fragment header of a later fragment ends the walk, for what
// follows it is the middle of something.
func extensions(b []byte, next uint8) (c chain, fault Fault) {
	c = chain{protocol: next, frag: -1}
	for n := 0; isExtension(c.protocol); n++ {
		if n == maxExtensions || len(b)-c.len < minExtension {
			return c, ExtensionHeaders
		}
		h := (*[minExtension]byte)(b[c.len:])
		size := int(h[1])*8 + 8
		switch c.protocol {
		case hopByHop: // comes first or not at all (RFC 8200 §4.1)
			if n > 0 {
				return c, ExtensionHeaders
			}
		case routing:
			// With segments left the destination is only a stage of the way
			// and not the address that checksums cover (RFC 8200 §8.1).
			if h[3] != 0 {
				return c, SourceRoute
			}
		case fragment:
			if c.frag >= 0 {
				return c, ExtensionHeaders
			}
			c.frag, size = c.len, minExtension
		}
		if len(b)-c.len < size {
			return c, ExtensionHeaders
		}
		later := c.protocol == fragment && fragmentOffset(h) > 0
		c.protocol, c.len = h[0], c.len+size
		if later {
			break
		}
	}
	return c, None
}

func isExtension(protocol uint8) bool {
	switch protocol {
	case hopByHop, routing, fragment, destOptions:
		return true
	}
	return false
}

func fragmentOffset(h *[minExtension]byte) uint16 {
	return (uint16(h[2])<<8 | uint16(h[3])) &^ 7
}
