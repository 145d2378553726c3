package bgp

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/osrg/gobgp/v3/pkg/log"
)

// journal is GoBGP's logger, and how the child learns what GoBGP does. Its log
// is the only place that tells why a session went down and what has been
// written to it; its event stream tells neither. The messages are those of the
// one version this module pins, and a test fails for each that goes missing.
//
// GoBGP calls it from its own goroutines, with its locks held, so nothing here
// calls GoBGP.
type journal struct {
	news chan struct{} // something to report; holds one

	mu      sync.Mutex
	talks   map[netip.Addr]*talk
	desired map[netip.Prefix]bool
	log     []string
}

const maxLog = 64 // lines between two reports; a neighbour can cause any number

func newJournal() *journal {
	return &journal{news: make(chan struct{}, 1), talks: make(map[netip.Addr]*talk)}
}

// expect makes routes what an up-to-date neighbour has.
func (j *journal) expect(routes []Route) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.desired = make(map[netip.Prefix]bool, len(routes))
	for _, r := range routes {
		j.desired[r.Prefix] = true
	}
}

// add starts to follow n.
func (j *journal) add(n *Neighbor) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.talks[n.Address] = &talk{
		passive: n.Passive,
		carries: n.carries,
		status:  NeighborStatus{Address: n.Address, ASN: n.ASN, State: Idle, Since: time.Now()},
		wire:    make(map[netip.Prefix]bool),
		due:     make(map[netip.Prefix]bool),
	}
}

func (j *journal) remove(a netip.Addr) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.talks, a)
}

// fault notes why a neighbour has no session.
func (j *journal) fault(a netip.Addr, why string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if t := j.talks[a]; t != nil {
		t.fault(why)
	}
}

func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.talks)
}

// sending notes that GoBGP is about to be given a change of p.
func (j *journal) sending(p netip.Prefix) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range j.talks {
		if t.status.State == Established {
			t.due[p] = true
		}
	}
}

// resending notes that GoBGP is about to be told to send everything again.
func (j *journal) resending(a netip.Addr) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if t := j.talks[a]; t != nil && t.status.State == Established {
		maps.Copy(t.due, j.desired)
	}
}

// lapsed lists neighbours whose session has ended since the last call, after it
// had been steady.
func (j *journal) lapsed() (list []netip.Addr) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for a, t := range j.talks {
		if t.lapsed && t.status.State == Idle {
			list = append(list, a)
		}
		t.lapsed = false
	}
	return list
}

// unasked lists established neighbours whose families are not known yet.
func (j *journal) unasked() (list []netip.Addr) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for a, t := range j.talks {
		if t.status.State == Established && t.agreed == nil {
			list = append(list, a)
		}
	}
	return list
}

// agree notes which families a neighbour takes.
func (j *journal) agree(a netip.Addr, v4, v6 bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if t := j.talks[a]; t != nil {
		t.agreed = map[bool]bool{true: v4, false: v6}
	}
}

// read returns all there is to report and forgets the log lines.
func (j *journal) read() (neighbors []NeighborStatus, settled bool, log []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	settled = true
	for _, t := range j.talks {
		t.status.Announced = len(t.wire)
		neighbors = append(neighbors, t.status)
		settled = settled && t.settled(j.desired)
	}
	log, j.log = j.log, nil
	return neighbors, settled, log
}

// Debug is where GoBGP tells what it does.
func (j *journal) Debug(msg string, f log.Fields) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := j.talk(f)
	if t == nil {
		return
	}
	switch msg {
	case "state changed":
		t.moved(fmt.Sprint(f["new"]), fmt.Sprint(f["reason"]))
	case "sent update":
		t.sent(f)
	case "failed to connect":
		t.fault(dialFault(f["Error"]))
	default:
		return
	}
	poke(j.news)
}

// talk finds the neighbour that a message is about. Callers hold mu.
func (j *journal) talk(f log.Fields) *talk {
	key, _ := f["Key"].(string)
	a, err := netip.ParseAddr(key)
	if err != nil {
		return nil
	}
	return j.talks[a]
}

// Warn is where GoBGP tells what it found wrong with a message.
func (j *journal) Warn(msg string, f log.Fields) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if strings.HasPrefix(msg, "No matching path for withdraw") {
		return // each route that the import policy refuses
	}
	if t := j.talk(f); t != nil {
		for _, k := range []string{"Error", "error", "Data"} {
			if err, ok := f[k].(error); ok {
				t.detail = err.Error()
			}
		}
	}
	j.note(msg, f)
}

func (j *journal) Error(msg string, f log.Fields) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.note(msg, f)
}

// note keeps a line for the parent's debug log. Callers hold mu.
func (j *journal) note(msg string, f log.Fields) {
	if len(j.log) < maxLog {
		j.log = append(j.log, line(msg, f))
	}
	poke(j.news)
}

func (j *journal) Info(string, log.Fields)        {}
func (j *journal) Fatal(msg string, f log.Fields) { panic(line(msg, f)) }
func (j *journal) Panic(msg string, f log.Fields) { panic(line(msg, f)) }

func (j *journal) SetLevel(log.LogLevel)  {}
func (j *journal) GetLevel() log.LogLevel { return log.DebugLevel }
