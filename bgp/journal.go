package bgp

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/osrg/gobgp/v3/pkg/log"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
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

// talk is what is known of one neighbour.
type talk struct {
	passive bool
	carries func(netip.Addr) bool // families we offer
	agreed  map[bool]bool         // by Is4: families the neighbour takes; nil: not asked yet
	status  NeighborStatus
	detail  string                // what GoBGP found wrong, if it said so before it gave up
	lapsed  bool                  // just now, after a steady session
	wire    map[netip.Prefix]bool // written and not withdrawn since
	due     map[netip.Prefix]bool // handed to GoBGP and not written yet
}

// steady is how long a session lasts that is worth having back at once.
const steady = 3 * time.Second

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

// settled tells whether the neighbour has been sent just the desired set.
func (t *talk) settled(desired map[netip.Prefix]bool) bool {
	if t.status.State != Established {
		return true
	}
	if t.agreed == nil {
		return false
	}
	for p := range t.due {
		if t.takes(p) {
			return false
		}
	}
	count := 0
	for p := range desired {
		if t.takes(p) {
			if count++; !t.wire[p] {
				return false
			}
		}
	}
	return count == len(t.wire)
}

func (t *talk) takes(p netip.Prefix) bool {
	return t.carries(p.Addr()) && t.agreed[p.Addr().Is4()]
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
		t.moved(fmt.Sprint(f["old"]), fmt.Sprint(f["new"]), fmt.Sprint(f["reason"]))
	case "sent update":
		t.sent(f)
	case "failed to connect":
		t.fault(dialFault(f["Error"]))
	default:
		return
	}
	poke(j.news)
}

// moved follows the session's state. GoBGP has one state for trying to connect
// and waiting to be connected to.
func (t *talk) moved(old, now, reason string) {
	was, since := t.status.State, t.status.Since
	t.status.State = State(strings.ToLower(strings.TrimPrefix(now, "BGP_FSM_")))
	if t.status.State == Active && !t.passive {
		t.status.State = Connect
	}
	t.status.Since = time.Now()
	if was == Established || t.status.State == Established {
		clear(t.wire)
		clear(t.due)
		t.agreed = nil
	}
	t.lapsed = was == Established && time.Since(since) > steady
	if t.status.State == Idle {
		if t.detail != "" && (reason == "invalid-msg" || strings.HasPrefix(reason, "notification-sent")) {
			reason = "sent notification: " + t.detail
		}
		t.fault(reword(reason))
	}
	t.detail = ""
}

func (t *talk) sent(f log.Fields) {
	note := func(list any, on bool) {
		switch list := list.(type) {
		case []*bgp.IPAddrPrefix:
			for _, p := range list {
				t.wrote(p.String(), on)
			}
		case []bgp.AddrPrefixInterface:
			for _, p := range list {
				t.wrote(p.String(), on)
			}
		}
	}
	note(f["withdrawals"], false)
	note(f["nlri"], true)
	attrs, _ := f["attributes"].([]bgp.PathAttributeInterface)
	for _, a := range attrs {
		switch a := a.(type) {
		case *bgp.PathAttributeMpReachNLRI:
			note(a.Value, true)
		case *bgp.PathAttributeMpUnreachNLRI:
			note(a.Value, false)
		}
	}
}

func (t *talk) wrote(prefix string, on bool) {
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		return
	}
	delete(t.due, p)
	if delete(t.wire, p); on {
		t.wire[p] = true
	}
}

func (t *talk) fault(text string) {
	t.status.LastError, t.status.LastErrorAt = text, time.Now()
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
