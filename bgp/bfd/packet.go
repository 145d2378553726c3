package bfd

import (
	"encoding/binary"
	"time"
)

// A packet is a control packet (RFC 5880 §4.1), of version 1 and without
// authentication. Times are whole microseconds on the wire.
type packet struct {
	diag       Diag
	state      State
	poll       bool
	final      bool
	demand     bool
	multiplier uint8
	mine       uint32 // discriminator of the sender
	yours      uint32 // of the receiver, as far as the sender knows
	desired    time.Duration
	required   time.Duration
	echo       time.Duration
}

const (
	version    = 1
	packetSize = 24
)

// Bits of the second byte, below the state. The one left out says that BFD would
// outlive the control plane; ours does not.
const (
	bitPoll           = 1 << 5
	bitFinal          = 1 << 4
	bitAuthentication = 1 << 2
	bitDemand         = 1 << 1
	bitMultipoint     = 1 << 0
)

// A Fault says why a received packet was dropped.
type Fault uint8

// Those before NoSession are found in the packet alone.
const (
	None          Fault = iota
	TooShort            // ends inside the packet
	BadVersion          // not version 1
	BadLength           // says it is shorter than a packet can be, or longer than it is
	NoMultiplier        // detect multiplier 0
	Multipoint          // the bit that must be zero
	NoSender            // discriminator of the sender 0
	Stateless           // names no session of ours, in a state that needs one
	Authenticated       // and no key has been agreed on
	NoSession           // of no peer, or of a session that is over
	numFaults
)

var faults = [numFaults]string{
	"none", "too_short", "bad_version", "bad_length", "no_multiplier", "multipoint", "no_sender",
	"stateless", "authenticated", "no_session",
}

func (f Fault) String() string { return faults[f] }

// parse reads a packet and checks all that RFC 5880 §6.8.6 asks of one before a
// session is looked for.
func parse(b []byte) (p packet, f Fault) {
	if len(b) < packetSize {
		return p, TooShort
	}
	flags, length := b[1], int(b[3])
	p = packet{
		diag:       Diag(b[0] & 0x1f),
		state:      State(flags >> 6),
		poll:       flags&bitPoll != 0,
		final:      flags&bitFinal != 0,
		demand:     flags&bitDemand != 0,
		multiplier: b[2],
		mine:       binary.BigEndian.Uint32(b[4:]),
		yours:      binary.BigEndian.Uint32(b[8:]),
		desired:    micros(b[12:]),
		required:   micros(b[16:]),
		echo:       micros(b[20:]),
	}
	switch {
	case b[0]>>5 != version:
		return p, BadVersion
	case length < packetSize || length > len(b):
		return p, BadLength
	case flags&bitAuthentication != 0:
		return p, Authenticated
	case p.multiplier == 0:
		return p, NoMultiplier
	case flags&bitMultipoint != 0:
		return p, Multipoint
	case p.mine == 0:
		return p, NoSender
	case p.yours == 0 && p.state > Down:
		return p, Stateless
	}
	return p, None
}

// put writes the packet into b, which holds all of it.
func (p *packet) put(b *[packetSize]byte) {
	b[0] = version<<5 | byte(p.diag)&0x1f
	b[1] = byte(p.state) << 6
	for _, f := range [...]struct {
		on  bool
		bit byte
	}{{p.poll, bitPoll}, {p.final, bitFinal}, {p.demand, bitDemand}} {
		if f.on {
			b[1] |= f.bit
		}
	}
	b[2], b[3] = p.multiplier, packetSize
	binary.BigEndian.PutUint32(b[4:], p.mine)
	binary.BigEndian.PutUint32(b[8:], p.yours)
	putMicros(b[12:], p.desired)
	putMicros(b[16:], p.required)
	putMicros(b[20:], p.echo)
}

func micros(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Microsecond
}

func putMicros(b []byte, d time.Duration) {
	binary.BigEndian.PutUint32(b, uint32(d/time.Microsecond))
}
