package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A router is our end of a virtual router. It is owned by the speaker.
type router struct {
	group    Group
	election election
	line     line      // nil: not open
	next     time.Time // not to be opened before; see open
	wanted   *Group    // in the place of group; nil: nothing else
	leaving  bool      // no longer in the set

	others      []Other // the last one heard first
	claims      uint32
	transitions uint64
	reason      string
	problem     string
	packets     [2]uint64 // sent, received
	drops       [numFaults]uint64
}

// mostOthers bounds how many other routers are remembered: what they say is
// believed, and anybody on the link can say it.
const mostOthers = 16

func (r *router) terms() *terms {
	g := &r.group
	t := &terms{priority: g.Priority, interval: g.Interval, preempt: g.Preempt, delay: g.PreemptDelay}
	if r.line != nil {
		t.address = r.line.local()
	}
	return t
}

// on lets the election have an event, and returns what is to be done.
func (r *router) on(ev event, why string, now time.Time) deed {
	was := r.election.state
	next, deeds := r.election.on(ev, r.terms(), now)
	r.election = next
	if deeds&claim != 0 {
		r.claims++
	}
	if next.state != was {
		r.reason = why
		if next.state == Active {
			r.transitions++
		}
	}
	return deeds
}

// wants says whether we shall take part, and may whether we can as well.
func (r *router) wants() bool { return r.group.Ready && !r.leaving }
func (r *router) may() bool   { return r.wants() && r.line != nil }

// begin takes part, or ceases to, as it may.
func (r *router) begin(now time.Time) deed {
	switch {
	case r.may() && r.election.state == Initialize:
		return r.on(event{what: startup}, "ready", now)
	case !r.may() && r.election.state != Initialize:
		why := "not ready"
		if r.wants() {
			why = r.problem
		}
		return r.on(event{what: shutdown}, why, now)
	}
	return 0
}

// hear takes what came in.
func (r *router) hear(a *arrival, now time.Time) (deeds deed) {
	m, how, fault := parse(a.bytes, a.from, a.to)
	switch {
	case a.hops != hopLimit:
		fault = Far
	case a.to != groupOf(r.group.v4()):
		fault = NotMulticast
	case r.line != nil && a.from == r.line.local():
		fault = OwnAddress
	}
	if fault != None {
		r.drops[fault]++
		return 0
	}
	if m.id != r.group.ID {
		return 0 // another virtual router's
	}
	r.packets[1]++
	r.note(&m, a.from, how, now)
	why := fmt.Sprintf("%s has priority %d", a.from, m.priority)
	return r.on(event{heard, m.priority, m.interval, a.from}, why, now)
}

// note remembers who speaks.
func (r *router) note(m *advert, from netip.Addr, how Checksum, now time.Time) {
	o := Other{Address: from, Priority: m.priority, Interval: m.interval, Addresses: m.addresses, Checksum: how, Last: now, Count: 1}
	for i := range r.others {
		if before := &r.others[i]; before.Address == from {
			if now.Sub(before.Last) <= 3*before.Interval {
				o.Count += before.Count
			}
			r.others = slices.Delete(r.others, i, i+1)
			break
		}
	}
	if m.priority == release {
		o.Count = 0
	}
	if len(r.others) == mostOthers {
		r.others = r.others[:mostOthers-1]
	}
	r.others = slices.Insert(r.others, 0, o)
}

// elapse looks at the time.
func (r *router) elapse(now time.Time) deed {
	why := "nobody else was heard in time"
	if len(r.others) > 0 && r.others[0].Priority == release {
		why = r.others[0].Address.String() + " has resigned"
	}
	return r.on(event{what: tick}, why, now)
}

// change takes over what the operator wants. A virtual router that is active
// stays so, and says at once what is new.
func (r *router) change(now time.Time) deed {
	if r.wanted == nil {
		return 0
	}
	before := r.group
	r.group, r.wanted = *r.wanted, nil
	if before.Source != r.group.Source {
		r.hangUp() // to be opened again from there
		r.next = time.Time{}
	}
	if before.equal(&r.group) {
		return 0
	}
	return r.on(event{what: changed}, "", now)
}

func (r *router) hangUp() {
	if r.line != nil {
		r.line.close()
		r.line = nil
	}
}

// message is what the others are to be told.
func (r *router) message(priority uint8) advert {
	g := &r.group
	return advert{id: g.ID, priority: priority, interval: g.Interval, addresses: g.Addresses}
}

// lately is how long another router is remembered that says nothing more.
const lately = time.Minute

func (r *router) status(now time.Time) Status {
	g := &r.group
	s := Status{
		Name: g.Name, Interface: g.Interface, ID: g.ID, Priority: g.Priority, Interval: g.Interval, Addresses: g.Addresses, Own: *g,
		State: r.election.state, Since: r.election.since, Claims: r.claims, Transitions: r.transitions, Reason: r.reason, Problem: r.problem,
		Sent: r.packets[0], Received: r.packets[1], Drops: map[string]uint64{},
	}
	if r.line != nil {
		s.Address = r.line.local()
	}
	if s.State == Backup {
		s.Interval = r.election.interval
	}
	for _, o := range r.others {
		if now.Sub(o.Last) < lately {
			s.Others = append(s.Others, o)
		}
	}
	for f := None + 1; f < numFaults; f++ {
		if n := r.drops[f]; n > 0 {
			s.Drops[f.String()] = n
		}
	}
	return s
}
