package persist

import (
	"encoding/binary"
	"errors"
	"fmt"

	"fleetlb/fullnat/packet"
)

// A Record is what directors tell each other of a template.
type Record struct {
	Key
	Server  Server
	Version uint32 // how often the network was given a server
	Timeout Tick   // of the service
	Left    Tick   // of it, when the record was made
}

// tag is the first byte of a record. It changes with the form of what follows.
const tag = 0x10

// Bits of the first byte.
const (
	network6 = 1 << iota // addresses are of 16 bytes, else of 4
	server6
)

// AppendTo appends the record: a byte that says what follows, service, bits and
// network, server and its port, and as variable integers (those of package
// encoding/binary) version, timeout and what is left of it. One over IPv4 takes
// 26 bytes with the timeouts people use.
func (r *Record) AppendTo(b []byte) []byte {
	what := byte(tag)
	if !r.Network.Is4() {
		what |= network6
	}
	if !r.Server.Addr.Is4() {
		what |= server6
	}
	b = append(b, what)
	b = binary.BigEndian.AppendUint64(b, r.Service)
	b = append(b, r.Bits)
	b = appendAddr(b, &r.Network)
	b = appendAddr(b, &r.Server.Addr)
	b = binary.BigEndian.AppendUint16(b, r.Server.Port)
	b = binary.AppendUvarint(b, uint64(r.Version))
	b = binary.AppendUvarint(b, uint64(r.Timeout))
	return binary.AppendUvarint(b, uint64(r.Timeout-r.Left))
}

func appendAddr(b []byte, a *packet.Addr) []byte {
	if a.Is4() {
		return append(b, a[12:]...)
	}
	return append(b, a[:]...)
}

// Parse reads the record at the beginning of b and returns what follows.
func Parse(b []byte) (r Record, rest []byte, err error) {
	p := parser{b: b}
	what := p.byte()
	if what&^(network6|server6) != tag && !p.short {
		return Record{}, nil, fmt.Errorf("template: form 0x%02x: this build understands 0x%02x", what, tag)
	}
	r.Service = p.uint64()
	r.Bits = p.byte()
	r.Network = p.addr(what&network6 != 0)
	r.Server.Addr = p.addr(what&server6 != 0)
	r.Server.Port = uint16(p.byte())<<8 | uint16(p.byte())
	r.Version = p.uvarint()
	r.Timeout = Tick(p.uvarint())
	r.Left = r.Timeout - Tick(p.uvarint())
	if p.short {
		return Record{}, nil, errors.New("template: cut short")
	}
	if err := r.valid(); err != nil {
		return Record{}, nil, fmt.Errorf("template: %w", err)
	}
	return r, p.b, nil
}

// longest is a month and a day: the longest timeout there can be, and more.
const longest = 32 * 24 * 3600 * second

// valid says why no honest director would say this.
func (r *Record) valid() error {
	least := uint8(1)
	if r.Network.Is4() {
		least += 96
	}
	switch {
	case r.Bits < least || r.Bits > 128:
		return fmt.Errorf("network: %d bits", r.Bits)
	case KeyOf(0, r.Network, bitsOf(r)).Network != r.Network:
		return errors.New("network: does not begin there")
	case r.Server.Addr == packet.Addr{}:
		return errors.New("server: none")
	case r.Version == 0:
		return errors.New("version: none")
	case r.Timeout == 0 || r.Timeout > longest || r.Left > r.Timeout:
		return fmt.Errorf("timeout: %d, of which %d are left", r.Timeout, r.Left)
	}
	return nil
}

// bitsOf is the length of the prefix, as KeyOf wants it.
func bitsOf(r *Record) int {
	if r.Network.Is4() {
		return int(r.Bits) - 96
	}
	return int(r.Bits)
}

// A parser takes pieces off b until it is too short.
type parser struct {
	b     []byte
	short bool
}

func (p *parser) take(n int) []byte {
	if len(p.b) < n {
		p.short, p.b = true, nil
		return make([]byte, 16)[:n]
	}
	piece := p.b[:n]
	p.b = p.b[n:]
	return piece
}

func (p *parser) byte() byte     { return p.take(1)[0] }
func (p *parser) uint64() uint64 { return binary.BigEndian.Uint64(p.take(8)) }

// uvarint reads one of at most 32 bits; anything longer is cut short.
func (p *parser) uvarint() uint32 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 || v > 1<<32-1 {
		p.short, p.b = true, nil
		return 0
	}
	p.b = p.b[n:]
	return uint32(v)
}

func (p *parser) addr(six bool) (a packet.Addr) {
	if six {
		copy(a[:], p.take(16))
		return a
	}
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], p.take(4))
	return a
}
