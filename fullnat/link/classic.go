package link

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// maxClassic is how many prefixes the classic filter tests one after the other.
// With more, it lets all IP through and leaves the addresses to the workers.
const maxClassic = 200

// Where the filter finds things in an Ethernet frame.
const (
	offType  = 12
	offSrc4  = 14 + 12
	offDst4  = 14 + 16
	offNext4 = 14 + 9
	offSrc6  = 14 + 8
	offDst6  = 14 + 24
	offNext6 = 14 + 6
	offICMP6 = 14 + 40
)

var (
	accept = bpf.RetConstant{Val: 1 << 30}
	reject = bpf.RetConstant{}
)

// classicFilter is the filter of steer.c as far as classic BPF goes, which any
// owner of a socket may attach: frames to the addresses that are ours and all
// frames from the servers whose answers are, ARP, and neighbour discovery. Where
// an ICMP error may be ours for what it quotes, all ICMP passes.
func classicFilter(o Ours) ([]bpf.RawInstruction, error) {
	var four, six []bpf.Instruction
	if len(o.Gated)+len(o.Tunnelled) > 0 {
		four = append(four, ofProtocol(offNext4, unix.IPPROTO_ICMP)...)
		six = append(six, ofProtocol(offNext6, unix.IPPROTO_ICMPV6)...)
	}
	four = append(four, matching(o.all(true), offDst4, offSrc4)...)
	six = append(append(six, discovery()...), matching(o.all(false), offDst6, offSrc6)...)
	prog := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: unix.PACKET_MULTICAST, SkipFalse: 1},
		reject,
		bpf.LoadExtension{Num: bpf.ExtVLANTagPresent},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1},
		reject,
		bpf.LoadAbsolute{Off: offType, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_ARP, SkipTrue: 1},
		accept,
	}
	prog = append(prog, ofType(unix.ETH_P_IP, four)...)
	prog = append(prog, bpf.LoadAbsolute{Off: offType, Size: 2})
	prog = append(prog, ofType(unix.ETH_P_IPV6, six)...)
	return bpf.Assemble(append(prog, reject))
}

// ofType runs body, which ends in a verdict, on frames of one Ethernet type.
// The type is in the accumulator. Conditional jumps reach 255 instructions
// only, hence the long one.
func ofType(ethertype uint32, body []bpf.Instruction) []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ethertype, SkipTrue: 1},
		bpf.Jump{Skip: uint32(len(body))},
	}, body...)
}

// A match is a prefix that an address of a frame may have.
type match struct {
	prefix netip.Prefix
	source bool // the source address; else the destination
}

// all lists what lets a frame of one family pass, sorted.
func (o *Ours) all(four bool) (all []match) {
	add := func(p netip.Prefix, source bool) {
		if p.Addr().Is4() == four {
			all = append(all, match{p.Masked(), source})
		}
	}
	for _, p := range slices.Concat(o.VIPs, o.Locals) {
		add(p, false)
	}
	for _, e := range o.Gated {
		add(netip.PrefixFrom(e.Addr(), e.Addr().BitLen()), true)
	}
	slices.SortStableFunc(all, func(a, b match) int { return a.prefix.Compare(b.prefix) })
	return slices.Compact(all)
}

// matching accepts frames that match, and no others.
func matching(all []match, dst, src uint32) (prog []bpf.Instruction) {
	if len(all) > maxClassic {
		return []bpf.Instruction{accept}
	}
	for _, m := range all {
		off := dst
		if m.source {
			off = src
		}
		prog = append(append(prog, matches(off, m.prefix)...), accept)
	}
	return append(prog, reject)
}

// ofProtocol accepts packets of an IP protocol and goes on with all others.
func ofProtocol(off, protocol uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: off, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocol, SkipFalse: 1},
		accept,
	}
}

// matches skips the instruction behind it unless the address at off is in p.
func matches(off uint32, p netip.Prefix) (prog []bpf.Instruction) {
	addr := p.Masked().Addr().AsSlice()
	words := (p.Bits() + 31) / 32
	for w := range words {
		mask := ^uint32(0)
		if bits := p.Bits() - w*32; bits < 32 {
			mask <<= 32 - bits
		}
		left := (words - 1 - w) * 3 // instructions for the words still to compare
		prog = append(prog,
			bpf.LoadAbsolute{Off: off + uint32(w)*4, Size: 4},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(addr[w*4:]), SkipFalse: uint8(left + 1)})
	}
	return prog
}

// discovery accepts neighbour solicitations and advertisements and goes on with
// anything else.
func discovery() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offNext6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_ICMPV6, SkipFalse: 4},
		bpf.LoadAbsolute{Off: offICMP6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: 135, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: 136, SkipTrue: 1},
		accept,
	}
}
