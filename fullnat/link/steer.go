package link

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// steering decides which frames reach a socket, and which worker's: by the
// programs of steer.c or, where eBPF is not permitted, by a classic filter and
// the kernel's own flow hash.
type steering struct {
	workers int
	program steerObjects // loaded unless reason is set
	reason  error        // why there is no eBPF
	ours    map[steerPrefix]uint32
	servers map[steerEndpoint]uint32
	hosts   map[steerAddress]uint32
	classic []bpf.RawInstruction // nil: let nothing through
}

func newSteering(workers int) *steering {
	s := &steering{workers: workers}
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

// set makes o what is ours: all of it. Sockets need attach again if it says so.
// What is new comes before anything else goes, so that an address that is listed
// before and after is ours all the time.
func (s *steering) set(o Ours) (again bool, err error) {
	if s.reason != nil {
		s.classic, err = classicFilter(o)
		return true, err
	}
	if s.hosts, err = replace(s.program.Hosts, s.hosts, o.hosts()); err != nil {
		return false, err
	}
	if s.ours, err = replace(s.program.Ours, s.ours, o.addresses()); err != nil {
		return false, err
	}
	s.servers, err = replace(s.program.Servers, s.servers, o.servers())
	return false, err
}

// replace makes the entries of m, which are old, those of new. It returns those
// that are there afterwards.
func replace[K comparable](m *ebpf.Map, old, new map[K]uint32) (map[K]uint32, error) {
	now := make(map[K]uint32, len(new))
	maps.Copy(now, old)
	for k, class := range new {
		if c, same := now[k]; same && c == class {
			continue
		}
		if err := m.Put(k, class); err != nil {
			return now, fmt.Errorf("%+v: %w", k, err)
		}
		now[k] = class
	}
	for k := range old {
		if _, keep := new[k]; keep {
			continue
		}
		if err := m.Delete(k); err != nil && err != ebpf.ErrKeyNotExist {
			return now, fmt.Errorf("%+v: %w", k, err)
		}
		delete(now, k)
	}
	return now, nil
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
