package offload

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Owed says what becomes of frames whose checksum may still be owed, as in
// flows.c. Frames off a wire have theirs. Those of a host on the same machine,
// that came over a veth or from a hypervisor, may not, and a frame that leaves
// by XDP gets no other chance; so the program completes it. What the kernel has
// merged before the program sees it (generic XDP) it also sums up late, and
// remembers that outside of the frame: it goes up.
type Owed uint32

const (
	Never Owed = iota
	Leave
	Finish
)

// A Program carries the packets of a table's flows that one interface receives.
type Program struct {
	program *ebpf.Program
	upward  *ebpf.Map
}

// Load makes the program of an interface. Where frames cannot turn round in the
// driver (XDP_TX), they are sent to the interface as they are to any other.
func (t *Table) Load(port uint8, mac [6]byte, sums Owed, turns bool) (*Program, error) {
	spec, err := loadFlows()
	if err != nil {
		return nil, err
	}
	turn := uint32(0)
	if turns {
		turn = 1
	}
	for name, value := range map[string]any{
		flowsVarSeed: t.seed, flowsVarRoom: uint32(len(t.buckets)), flowsVarNumberMask: t.numberMask(), flowsVarOwed: uint32(sums), flowsVarOwnPort: uint32(port), flowsVarTurns: turn,
		flowsVarOwnMacHi: binary.LittleEndian.Uint32(mac[:]), flowsVarOwnMacLo: uint32(binary.LittleEndian.Uint16(mac[4:])),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
	}
	for name, m := range t.maps {
		spec.Maps[name].MaxEntries = m.MaxEntries()
	}
	var loaded struct {
		Forward *ebpf.Program `ebpf:"forward"`
		Upward  *ebpf.Map     `ebpf:"upward"`
	}
	err = spec.LoadAndAssign(&loaded, &ebpf.CollectionOptions{MapReplacements: t.maps})
	if errors.Is(err, unix.EPERM) {
		return nil, errNotPermitted
	}
	if err != nil {
		return nil, fmt.Errorf("load program: %w", err)
	}
	return &Program{loaded.Forward, loaded.Upward}, nil
}

// Upward has another XDP program, of this descriptor, look at what goes up.
func (p *Program) Upward(next int) error { return p.upward.Put(uint32(0), uint32(next)) }

// Close lets go of the program. It goes on where it is attached, without the one
// that looks at what goes up.
func (p *Program) Close() error { return errors.Join(p.upward.Close(), p.program.Close()) }

// A Verdict is what the program says of a frame.
type Verdict uint32

const (
	Aborted Verdict = iota // a defect: the frame is lost
	Dropped                // never
	Up                     // the worker gets it as it came
	Back                   // leaves by the interface it came in by
	Across                 // leaves by another
)

// Run asks the program about a frame, as though it had come in, and returns what
// becomes of it. It counts.
func (p *Program) Run(frame []byte) (Verdict, []byte, error) {
	o := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}
	v, err := p.program.Run(o)
	return Verdict(v), o.DataOut, err
}
