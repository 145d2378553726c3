package link

import (
	"net"
	"runtime"
	"time"

	"github.com/vishvananda/netns"
)

// mendEvery is how often an interface in trouble is looked at.
const mendEvery = 100 * time.Millisecond

// ail notes that an interface is down or gone. Any goroutine may call it.
func (p *Ports) ail(port int) {
	if p.ailing[port].Swap(true) {
		return
	}
	select {
	case p.ailment <- struct{}{}:
	default:
	}
}

// mend brings interfaces back. The kernel itself hangs a socket up again when
// its interface comes up; one that was removed and made again under its old
// name has another index, and needs new sockets.
func (p *Ports) mend() {
	for {
		select {
		case <-p.ailment:
		case <-p.closing:
			return
		}
		for !p.healed() {
			select {
			case <-time.After(mendEvery):
			case <-p.closing:
				return
			}
		}
	}
}

// healed tries each interface in trouble once and reports whether all are well.
func (p *Ports) healed() bool {
	all := true
	for port := range p.ailing {
		if p.ailing[port].Load() && !p.heal(port) {
			all = false
		}
	}
	return all
}

// heal reports whether an interface is up and every worker's socket receives
// from it, having opened new ones if need be.
func (p *Ports) heal(port int) (well bool) {
	p.inside(func() {
		ifi, err := net.InterfaceByName(p.Interfaces()[port].Name)
		if err != nil || ifi.Flags&net.FlagUp == 0 {
			return
		}
		p.ailing[port].Store(false) // from here on trouble is new trouble
		well = p.listens(port, ifi.Index) || p.openPort(port) == nil
		if !well {
			p.ailing[port].Store(true)
		}
	})
	return well
}

// listens says whether every worker has, or is about to take up, a socket on
// the interface of an index.
func (p *Ports) listens(port, index int) bool {
	for _, q := range p.queues {
		on := 0
		q.taps[port].each(func(fd int) { on = bound(fd) })
		if on != index {
			return false
		}
	}
	return true
}

// inside calls do in the network namespace the interfaces are in. A director
// lives in one namespace; tests have several.
func (p *Ports) inside(do func()) {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return
	}
	defer home.Close()
	if home.Equal(p.ns) {
		do()
	} else if netns.Set(p.ns) == nil {
		do()
		if netns.Set(home) != nil {
			return // the thread, astray, ends with its goroutine
		}
	}
	runtime.UnlockOSThread()
}
