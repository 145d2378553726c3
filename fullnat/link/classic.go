package link

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// maxClassic is how many prefixes the classic filter tests one after the other.
// With more, it lets all IP through and leaves the addresses to the workers.
const maxClassic = 200

// Where the filter finds things in an Ethernet frame.
const (
	offType  = 12
	offDst4  = 14 + 16
	offDst6  = 14 + 24
	offNext6 = 14 + 6
	offICMP6 = 14 + 40
)

var (
	accept = bpf.RetConstant{Val: 1 << 30}
	reject = bpf.RetConstant{}
)

// classicFilter is the filter of steer.c as far as classic BPF goes, which any
// owner of a socket may attach: frames to these prefixes, ARP, and neighbour
// discovery.
func classicFilter(ours []netip.Prefix) ([]bpf.RawInstruction, error) {
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
	prog = append(prog, ofType(unix.ETH_P_IP, to4(ours))...)
	prog = append(prog, bpf.LoadAbsolute{Off: offType, Size: 2})
	prog = append(prog, ofType(unix.ETH_P_IPV6, append(discovery(), to6(ours)...))...)
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

// to4 accepts frames to the IPv4 prefixes among ours.
func to4(ours []netip.Prefix) (prog []bpf.Instruction) {
	if len(ours) > maxClassic {
		return []bpf.Instruction{accept}
	}
	for _, p := range ours {
		if p.Addr().Is4() {
			prog = append(append(prog, matches(offDst4, p)...), accept)
		}
	}
	return append(prog, reject)
}

// to6 accepts frames to the IPv6 prefixes among ours.
func to6(ours []netip.Prefix) (prog []bpf.Instruction) {
	if len(ours) > maxClassic {
		return []bpf.Instruction{accept}
	}
	for _, p := range ours {
		if p.Addr().Is6() {
			prog = append(append(prog, matches(offDst6, p)...), accept)
		}
	}
	return append(prog, reject)
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
