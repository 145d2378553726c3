package link

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// A guard keeps what is ours on one interface from the host's own stack, which
// would forward it where it is told to forward. It goes with this process.
type guard struct{ link link.Link }

// errNoGuard is why there is none without eBPF.
var errNoGuard = errors.New("needs eBPF")

// protect puts the guard before an interface, in the place of the one there was.
func (s *steering) protect(g *guard, ifindex int) (err error) {
	if s.reason != nil {
		return errNoGuard
	}
	g.release()
	g.link, err = link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: s.program.Guard, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		return fmt.Errorf("guard: %w", err) // a kernel before 6.6 knows no such place
	}
	return nil
}

func (g *guard) release() {
	if g.link != nil {
		g.link.Close()
		g.link = nil
	}
}

// Unguarded says why the host's kernel gets to see frames of ours, and forwards
// them if it forwards at all; nil where it does not get to see them.
func (p *Ports) Unguarded() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unguarded
}
