package packet

// IPv4 options, RFC 791 §3.1.
const (
	optEnd         = 0
	optNop         = 1
	optLooseSource = 131
	optStrictSrc   = 137
)

// checkOptions walks the options b of an IPv4 header. Source routes are refused
// (RFC 7126 §4.3): the destination of such a packet is not its last.
func checkOptions(b []byte) Fault {
	for len(b) > 0 {
		switch b[0] {
		case optEnd:
			return None
		case optNop:
			b = b[1:]
			continue
		case optLooseSource, optStrictSrc:
			return SourceRoute
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return BadOptions
		}
		b = b[b[1]:]
	}
	return None
}
