package vrrp

import (
	"net/netip"
	"time"
)

// State is that of a virtual router as this host sees it (RFC 9568 §6.4).
type State uint8

const (
	Initialize State = iota // takes no part
	Backup                  // another holds the addresses, or soon somebody will
	Active                  // this host holds them
)

func (s State) String() string { return [...]string{"init", "backup", "active"}[s] }

// terms are what the operator says of our part in an election.
type terms struct {
	priority uint8
	interval time.Duration
	preempt  bool
	delay    time.Duration // as backup, before preempting
	address  netip.Addr    // that we speak from; greater wins a tie
}

// An election is how far we are in one. It is a value: what happens makes
// another of it.
type election struct {
	state    State
	since    time.Time     // of state
	timer    time.Time     // Active: Adver_Timer; Backup: Active_Down_Timer; zero: none
	interval time.Duration // Backup: Active_Adver_Interval, as the active router says it
	asserted time.Time     // when somebody of less priority was last contradicted
}

// What can happen.
type happening uint8

const (
	startup  happening = iota // we may take part
	shutdown                  // we may no longer
	tick                      // time has passed
	heard                     // an advertisement came
	changed                   // the operator wants other terms
)

// An event is what happens; the rest belongs to an advertisement.
type event struct {
	what     happening
	priority uint8
	interval time.Duration
	from     netip.Addr
}

// A deed is what has to be done about it.
type deed uint8

const (
	advertise deed = 1 << iota // with our priority
	resign                     // with priority 0
	claim                      // tell the stations where the addresses are
)

// on is RFC 9568 §6.4. It knows no clock but now.
func (e election) on(ev event, t *terms, now time.Time) (election, deed) {
	switch e.state {
	case Backup:
		return e.asBackup(ev, t, now)
	case Active:
		return e.asActive(ev, t, now)
	}
	switch {
	case ev.what != startup:
		return e, 0
	case t.priority == owner:
		return e.takeOver(t, now)
	}
	return e.follow(t.interval, t, now), 0
}

// asBackup is §6.4.2.
func (e election) asBackup(ev event, t *terms, now time.Time) (election, deed) {
	switch ev.what {
	case shutdown:
		return election{since: now}, 0
	case tick:
		if !now.Before(e.timer) {
			return e.takeOver(t, now)
		}
	case heard:
		preempts := t.preempt && !now.Before(e.since.Add(t.delay))
		switch {
		case ev.priority == release:
			e.timer = now.Add(skew(t.priority, e.interval))
		case !preempts || ev.priority >= t.priority:
			return e.follow(ev.interval, t, now), 0
		}
	}
	return e, 0
}

// asActive is §6.4.3.
func (e election) asActive(ev event, t *terms, now time.Time) (election, deed) {
	switch ev.what {
	case shutdown:
		return election{since: now}, resign
	case tick:
		if !now.Before(e.timer) {
			return e.again(t, now), advertise
		}
	case changed:
		return e.again(t, now), advertise
	case heard:
		switch {
		case t.priority == owner: // hears nobody (§7.1)
		case ev.priority == release:
			return e.again(t, now), advertise
		case ev.priority > t.priority || ev.priority == t.priority && ev.from.Compare(t.address) > 0:
			return e.follow(ev.interval, t, now), 0
		case now.Sub(e.asserted) >= t.interval:
			// Another is active with less right. It is contradicted at once, and so
			// that a flood of such is not answered with one, once an interval. The
			// stations may have believed it meanwhile.
			e.asserted = now
			return e.again(t, now), advertise | claim
		}
	}
	return e, 0
}

// takeOver is from now on active.
func (e election) takeOver(t *terms, now time.Time) (election, deed) {
	return election{state: Active, since: now}.again(t, now), advertise | claim
}

// again sets the Adver_Timer.
func (e election) again(t *terms, now time.Time) election {
	e.timer = now.Add(t.interval)
	return e
}

// follow is backup to an active router that advertises so often.
func (e election) follow(interval time.Duration, t *terms, now time.Time) election {
	if e.state != Backup {
		e = election{state: Backup, since: now}
	}
	e.interval = interval
	e.timer = now.Add(down(t.priority, interval))
	return e
}

// skew is Skew_Time (§6.1): who has more priority is quicker.
func skew(priority uint8, interval time.Duration) time.Duration {
	return time.Duration(256-int(priority)) * interval / 256
}

// down is Active_Down_Interval: the silence that tells that nobody is active.
func down(priority uint8, interval time.Duration) time.Duration {
	return 3*interval + skew(priority, interval)
}
