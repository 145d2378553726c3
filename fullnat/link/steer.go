package link

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// What an address is to us, as in steer.c.
const (
	classVIP   = uint32(1)
	classLocal = uint32(2)
)

// steering decides which frames reach a socket, and which worker's: by the
// programs of steer.c or, where eBPF is not permitted, by a classic filter and
// the kernel's own flow hash.
type steering struct {
	workers int
	program steerObjects // loaded unless reason is set
	reason  error        // why there is no eBPF
	ours    map[netip.Prefix]uint32
	classic []bpf.RawInstruction // nil: let nothing through
}

func newSteering(workers int) *steering {
	s := &steering{workers: workers, ours: map[netip.Prefix]uint32{}}
	s.reason = s.load()
	return s
}

var errNotPermitted = errors.New("not permitted: run as root or with CAP_BPF")

// load loads the programs.
func (s *steering) load() error {
	spec, err := loadSteer()
	if err != nil {
		return err
	}
	if err := spec.Variables[steerVarWorkers].Set(uint32(s.workers)); err != nil {
		return err
	}
	err = spec.LoadAndAssign(&s.program, nil)
	if errors.Is(err, unix.EPERM) {
		return errNotPermitted
	}
	return err
}

func (s *steering) close() error { return s.program.Close() }

// String says how frames are steered, in an operator's words.
func (s *steering) String() string {
	if s.reason == nil {
		return "eBPF: each frame goes to the worker that owns it"
	}
	return fmt.Sprintf("kernel flow hash, workers pass frames on to each other; eBPF: %v", s.reason)
}

// set makes these addresses ours: the whole set. Sockets need attach again if
// it says so. Addresses come before others go, so that an address that is
// listed before and after is ours all the time.
func (s *steering) set(vips, locals []netip.Prefix) (again bool, err error) {
	ours := make(map[netip.Prefix]uint32)
	for _, p := range vips {
		ours[p.Masked()] = classVIP
	}
	for _, p := range locals {
		ours[p.Masked()] = classLocal
	}
	if s.reason != nil {
		sorted := slices.SortedFunc(maps.Keys(ours), netip.Prefix.Compare)
		s.classic, err = classicFilter(sorted)
		return true, err
	}
	for p, class := range ours {
		if err := s.program.Ours.Put(keyOf(p), class); err != nil {
			return false, fmt.Errorf("%v: %w", p, err)
		}
		s.ours[p] = class
	}
	for p := range s.ours {
		if _, keep := ours[p]; keep {
			continue
		}
		if err := s.program.Ours.Delete(keyOf(p)); err != nil && err != ebpf.ErrKeyNotExist {
			return false, fmt.Errorf("%v: %w", p, err)
		}
		delete(s.ours, p)
	}
	return false, nil
}

// keyOf returns a prefix as the programs look it up: IPv4 as ::ffff:a.b.c.d.
func keyOf(p netip.Prefix) steerPrefix {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return steerPrefix{Bits: uint32(bits), Address: p.Addr().As16()}
}

// attach puts a socket under the steering's filter.
func (s *steering) attach(fd int) error {
	if s.reason == nil {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, s.program.Filter.FD())
	}
	if s.classic == nil {
		return nil // listen has attached one that lets nothing through
	}
	prog := make([]unix.SockFilter, len(s.classic))
	for i, in := range s.classic {
		prog[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
}

// share makes the workers' sockets on one interface a fanout group, which gives
// each frame to one of them.
func (s *steering) share(fds []int) error {
	if len(fds) == 1 {
		return nil
	}
	kind := unix.PACKET_FANOUT_HASH
	if s.reason == nil {
		kind = unix.PACKET_FANOUT_EBPF
	}
	group, err := newFanout(fds[0], kind)
	if err != nil {
		return fmt.Errorf("new fanout group: %w", err)
	}
	for _, fd := range fds[1:] {
		if err := setFanout(fd, kind, group); err != nil {
			return fmt.Errorf("join fanout group: %w", err)
		}
	}
	if s.reason != nil {
		return nil
	}
	if err := unix.SetsockoptInt(fds[0], unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, s.program.Fanout.FD()); err != nil {
		return fmt.Errorf("attach fanout program: %w", err)
	}
	return nil
}
