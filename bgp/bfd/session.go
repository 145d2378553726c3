package bfd

import (
	"math/rand/v2"
	"time"
)

// A session is our end of one, and what the peer says of its own. It knows no
// clock but the times it is given, and is owned by the speaker.
type session struct {
	peer Peer      // full
	line line      // nil: not open
	next time.Time // not to be opened before; see dial

	state   State
	diag    Diag
	since   time.Time
	mine    uint32 // our discriminator
	yours   uint32 // the peer's; 0: nothing heard
	remote  State
	because Diag // remote
	demand  bool // the peer wants no periodic packets while both ends are up

	timing timing
	heard  time.Time // last
	sent   time.Time // last; zero: never
	share  float64   // of the interval to wait after sent
	urgent bool      // something new to say, rather than at its time
	over   time.Time // of a session that ends: when it is given up; zero: it does not end

	problem     string
	packets     [2]uint64 // sent, received
	failures    uint64
	lastFailure Diag
}

func newSession(p Peer, mine uint32, now time.Time) *session {
	s := &session{peer: p, state: Down, since: now, mine: mine, remote: Down}
	s.timing.remoteRequired = unheard
	s.retime()
	return s
}

// newDiscriminator is unique among the taken, and nobody can guess it.
func newDiscriminator(taken func(uint32) bool) uint32 {
	for {
		if d := rand.Uint32(); d != 0 && !taken(d) {
			return d
		}
	}
}

// retime says what the configuration and the state ask for.
func (s *session) retime() {
	desired := s.peer.Interval
	if s.state != Up {
		desired = max(desired, slow)
	}
	before := s.timing.polling
	s.timing.set(desired, s.peer.Interval, s.state == Up)
	s.urgent = s.urgent || s.timing.polling && !before
}

// change takes over other parameters of the same peer, and a session that was
// ending goes on.
func (s *session) change(p Peer, now time.Time) {
	s.peer = p
	if s.state == AdminDown {
		s.over = time.Time{}
		s.enter(Down, NoDiag, now)
	}
	s.retime()
}

// end takes leave: the peer is told, and then nothing is sent any more once it
// has said that it knows, or after the time in which it would have noticed.
func (s *session) end(now time.Time) {
	if s.state == AdminDown {
		return
	}
	s.over = now.Add(s.farewell())
	s.enter(AdminDown, ByOperator, now)
}

// farewell is how long the peer waits for a packet of ours, at most: nothing if
// it has never heard one.
func (s *session) farewell() time.Duration {
	if s.yours == 0 || s.remote <= Down {
		return 0
	}
	return time.Duration(s.peer.Multiplier) * s.timing.interval()
}

// done says whether a session that was ended is over.
func (s *session) done(now time.Time) bool {
	said := s.line == nil || !s.urgent
	return s.state == AdminDown && said && (s.remote <= Down || !now.Before(s.over))
}

// receive takes a packet from the peer (RFC 5880 §6.8.6) and says whether it
// wants an answer at once.
func (s *session) receive(p *packet, now time.Time) (answer bool) {
	s.packets[1]++
	s.heard = now
	s.yours, s.remote, s.because, s.demand = p.mine, p.state, p.diag, p.demand
	s.timing.remoteDesired, s.timing.remoteRequired = p.desired, p.required
	s.timing.remoteMultiplier = p.multiplier
	if p.final && s.timing.polling {
		s.timing.answered()
	}
	if next := transitions[s.state][p.state]; next != s.state {
		why := NoDiag
		if next == Down {
			why = Signaled
		}
		if s.state == Up && p.state != AdminDown {
			s.failed(why)
		}
		s.enter(next, why, now)
	}
	return p.poll
}

func (s *session) failed(why Diag) {
	s.failures++
	s.lastFailure = why
}

// enter changes the state, which the peer is told at once.
func (s *session) enter(next State, why Diag, now time.Time) {
	if next == Up {
		why = NoDiag
	} else if why == NoDiag {
		why = s.diag // on the way up: what it was last down for
	}
	s.state, s.diag, s.since, s.urgent = next, why, now, true
	s.retime()
}

// lapse gives the peer up if it has been silent for too long.
func (s *session) lapse(now time.Time) {
	if s.yours == 0 || now.Before(s.heard.Add(s.timing.detect())) {
		return
	}
	s.yours, s.remote, s.because, s.demand = 0, Down, NoDiag, false
	s.timing.remoteDesired, s.timing.remoteRequired, s.timing.remoteMultiplier = 0, unheard, 0
	if s.state == Init || s.state == Up {
		if s.state == Up {
			s.failed(Expired)
		}
		s.enter(Down, Expired, now)
	}
}

var longAgo = time.Unix(0, 0)

// due is when to send; the zero time is never.
func (s *session) due() time.Time {
	interval := s.timing.interval()
	switch {
	case s.urgent || s.sent.IsZero():
		return longAgo
	case interval == 0 && !s.timing.polling:
		return time.Time{}
	case s.demand && s.state == Up && s.remote == Up && !s.timing.polling:
		return time.Time{} // RFC 5880 §6.8.7
	case interval == 0:
		interval = slow
	}
	return s.sent.Add(time.Duration(s.share * float64(interval)))
}

// wakeAt is when the session wants to be looked at again.
func (s *session) wakeAt() time.Time {
	at := s.due()
	if s.line == nil {
		at = s.next
	}
	if s.yours != 0 {
		at = earlier(at, s.heard.Add(s.timing.detect()))
	}
	return earlier(at, s.over)
}

// earlier of two times, where the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// packet is what the peer is to be told. An answer to a poll is not a poll.
func (s *session) packet(answer bool) packet {
	return packet{
		diag: s.diag, state: s.state,
		poll: s.timing.polling && !answer, final: answer,
		multiplier: uint8(s.peer.Multiplier),
		mine:       s.mine, yours: s.yours,
		desired: s.timing.desired, required: s.timing.required,
	}
}

// told notes that a packet was sent, or at least tried.
func (s *session) told(now time.Time, ok bool) {
	if ok {
		s.packets[0]++
	}
	s.sent, s.urgent, s.share = now, false, jitter(s.peer.Multiplier)
}

// is says whether a packet is this session's: by our discriminator or, from a
// peer that has not heard it yet, by the addresses alone.
func (s *session) is(p *packet, a *arrival) bool {
	return (p.yours == s.mine || p.yours == 0 && s.over.IsZero()) && s.line != nil &&
		a.from == s.peer.Address && a.to == s.line.local() && a.multihop == s.peer.Multihop
}

func (s *session) status() Status {
	st := Status{
		Address: s.peer.Address, State: s.state, Since: s.since, Diag: s.diag, Problem: s.problem,
		RemoteState: s.remote, RemoteDiag: s.because,
		Interval: s.timing.interval(), Sent: s.packets[0], Received: s.packets[1], Failures: s.failures, LastFailure: s.lastFailure,
	}
	if s.line != nil {
		st.Local = s.line.local()
	}
	if s.yours != 0 {
		st.Detect = s.timing.detect()
	}
	return st
}
