package bfd

import (
	"net/netip"
	"testing"
	"time"
)

var peer = Peer{Address: netip.MustParseAddr("10.1.0.1")}.full()

// TestTransitions is the diagram of RFC 5880 §6.2, arrow by arrow.
func TestTransitions(t *testing.T) {
	tests := []struct {
		ours, theirs, want State
		diag               Diag
	}{
		{Down, Down, Init, Expired},
		{Down, Init, Up, NoDiag},
		{Down, Up, Down, Expired}, // it has not noticed yet that we were gone
		{Down, AdminDown, Down, Expired},
		{Init, Down, Init, Expired},
		{Init, Init, Up, NoDiag},
		{Init, Up, Up, NoDiag},
		{Init, AdminDown, Down, Signaled},
		{Up, Init, Up, NoDiag},
		{Up, Up, Up, NoDiag},
		{Up, Down, Down, Signaled},
		{Up, AdminDown, Down, Signaled},
		{AdminDown, Down, AdminDown, ByOperator},
		{AdminDown, Init, AdminDown, ByOperator},
		{AdminDown, Up, AdminDown, ByOperator},
		{AdminDown, AdminDown, AdminDown, ByOperator},
	}
	for _, tt := range tests {
		now := time.Unix(1, 0)
		s := newSession(peer, 1, now)
		s.state = tt.ours
		s.diag = map[State]Diag{Down: Expired, Init: Expired, AdminDown: ByOperator}[tt.ours]
		s.receive(&packet{state: tt.theirs, mine: 2, yours: 1, multiplier: 3}, now)
		if s.state != tt.want || s.diag != tt.diag {
			t.Errorf("%v hears %v: %v (%v), want %v (%v)", tt.ours, tt.theirs, s.state, s.diag, tt.want, tt.diag)
		}
		failed := tt.ours == Up && tt.theirs == Down
		if (s.failures == 1) != failed {
			t.Errorf("%v hears %v: %d failures", tt.ours, tt.theirs, s.failures)
		}
	}
}

// rise brings a session up with a peer that says it sends and wants to be sent
// to at an interval.
func rise(s *session, interval time.Duration, now time.Time) {
	s.receive(&packet{state: Down, mine: 2, multiplier: 3, desired: time.Second, required: time.Second}, now)
	for range 2 { // of which the second answers the poll
		s.receive(&packet{state: Up, mine: 2, yours: s.mine, multiplier: 3, desired: interval, required: interval, final: true}, now)
	}
}

// TestTiming is a conversation: each row goes on where the one before ended.
func TestTiming(t *testing.T) {
	const ms = time.Millisecond
	now := time.Unix(1, 0)
	s := newSession(peer, 1, now)
	says := func(desired, required time.Duration, final bool) {
		s.receive(&packet{state: Up, mine: 2, yours: 1, multiplier: 5, desired: desired, required: required, final: final}, now)
	}
	to := func(interval time.Duration) {
		p := peer
		p.Interval = interval
		s.change(p, now)
	}
	tests := []struct {
		name             string
		do               func()
		interval, detect time.Duration
		desired          time.Duration // as said
		poll             bool
	}{
		{"nobody is hammered who is not there", func() {}, time.Second, 0, time.Second, false},
		{"the peer comes", func() {
			s.receive(&packet{state: Down, mine: 2, multiplier: 3, desired: time.Second, required: time.Second}, now)
		}, time.Second, 3 * time.Second, time.Second, false},
		{"it is up: faster, and asks the peer to know", func() {
			s.receive(&packet{state: Up, mine: 2, yours: 1, multiplier: 3, desired: time.Second, required: time.Second}, now)
		}, time.Second, 3 * time.Second, 300 * ms, true},
		{"the peer gets faster too", func() { says(300*ms, 300*ms, true) }, 300 * ms, 1500 * ms, 300 * ms, false},
		{"the peer is faster than we are", func() { says(50*ms, 50*ms, false) }, 300 * ms, 1500 * ms, 300 * ms, false},
		{"the peer is slower", func() { says(400*ms, 700*ms, false) }, 700 * ms, 2 * time.Second, 300 * ms, false},
		{"and faster again", func() { says(50*ms, 50*ms, false) }, 300 * ms, 1500 * ms, 300 * ms, false},
		{"we want to be slower: not before the peer knows", func() { to(time.Second) }, 300 * ms, 5 * time.Second, time.Second, true},
		{"not an answer", func() { says(50*ms, 50*ms, false) }, 300 * ms, 5 * time.Second, time.Second, true},
		{"the peer knows", func() { says(50*ms, 50*ms, true) }, time.Second, 5 * time.Second, time.Second, false},
		{"we want to be faster: no faster is expected before the peer knows", func() { to(100 * ms) }, 100 * ms, 5 * time.Second, 100 * ms, true},
		{"the peer knows that too", func() { says(50*ms, 50*ms, true) }, 100 * ms, 500 * ms, 100 * ms, false},
		{"the peer wants no packets", func() { says(50*ms, 0, false) }, 0, 500 * ms, 100 * ms, false},
		{"it wants them again", func() { says(50*ms, 50*ms, false) }, 100 * ms, 500 * ms, 100 * ms, false},
		{"changed and down before the peer knows", func() { to(2 * time.Second); s.enter(Down, Expired, now) }, 2 * time.Second, 10 * time.Second, 2 * time.Second, false},
	}
	for _, tt := range tests {
		tt.do()
		detect := s.status().Detect
		p := s.packet(false)
		if got := s.timing.interval(); got != tt.interval || detect != tt.detect || p.desired != tt.desired || p.poll != tt.poll {
			t.Errorf("%s: sends every %v, waits %v, says %v, polls %v; want %v, %v, %v, %v",
				tt.name, got, detect, p.desired, p.poll, tt.interval, tt.detect, tt.desired, tt.poll)
		}
	}
}

func TestSpokenToOnlyWhenPolled(t *testing.T) {
	now := time.Unix(1, 0)
	s := newSession(peer, 1, now)
	rise(s, 300*time.Millisecond, now)
	s.told(now, true)
	if s.due().IsZero() {
		t.Error("nothing is due of a session that is up")
	}
	s.receive(&packet{state: Up, mine: 2, yours: 1, multiplier: 3, demand: true, desired: time.Second, required: time.Second}, now)
	if !s.due().IsZero() {
		t.Error("a peer in demand mode is sent to")
	}
	if !s.receive(&packet{state: Up, mine: 2, yours: 1, multiplier: 3, demand: true, poll: true}, now) {
		t.Error("a poll is not answered")
	}
	if p := s.packet(true); !p.final || p.poll {
		t.Errorf("the answer is %+v, want final and no poll", p)
	}
	if s.lapse(now.Add(time.Hour)); s.state != Down || s.due().IsZero() {
		t.Error("a silent peer in demand mode is never given up")
	}
}

func TestJitter(t *testing.T) {
	for _, tt := range []struct {
		multiplier int
		lo, hi     float64
	}{{1, 0.75, 0.90}, {2, 0.75, 1}, {3, 0.75, 1}} {
		least, most := 1.0, 0.0
		for range 10_000 {
			j := jitter(tt.multiplier)
			least, most = min(least, j), max(most, j)
		}
		if least < tt.lo || least > tt.lo+0.01 || most > tt.hi || most < tt.hi-0.01 {
			t.Errorf("multiplier %d: %.3f to %.3f, want %.2f to %.2f", tt.multiplier, least, most, tt.lo, tt.hi)
		}
	}
}

func TestDiscriminator(t *testing.T) {
	seen := map[uint32]bool{0: true}
	tries := 0
	d := newDiscriminator(func(uint32) bool { tries++; return tries < 10 })
	if seen[d] || tries < 10 {
		t.Errorf("%d after %d tries", d, tries)
	}
}

func TestCheck(t *testing.T) {
	ip := netip.MustParseAddr
	tests := []struct {
		peers []Peer
		want  string
	}{
		{nil, ""},
		{[]Peer{{Address: ip("10.1.0.1")}, {Address: ip("2001:db8::1"), Interval: MinInterval, Multiplier: 255}}, ""},
		{[]Peer{{}}, "bfd: peer invalid IP: not the address of a host"},
		{[]Peer{{Address: ip("fe80::1%eth0")}}, "bfd: peer fe80::1%eth0: not the address of a host"},
		{[]Peer{{Address: ip("10.1.0.1")}, {Address: ip("10.1.0.1"), Multihop: true}}, "bfd: peer 10.1.0.1: given twice"},
		{[]Peer{{Address: ip("10.1.0.1"), Local: ip("::1")}}, "bfd: peer 10.1.0.1: local address ::1 is not one to reach it from"},
		{[]Peer{{Address: ip("10.1.0.1"), Interval: 49 * time.Millisecond}}, "bfd: peer 10.1.0.1: interval 49ms is not between 50ms and 10s"},
		{[]Peer{{Address: ip("10.1.0.1"), Interval: time.Second + 1}}, "bfd: peer 10.1.0.1: interval 1.000000001s is not in whole microseconds"},
		{[]Peer{{Address: ip("10.1.0.1"), Multiplier: 256}}, "bfd: peer 10.1.0.1: multiplier 256 is not between 1 and 255"},
	}
	for _, tt := range tests {
		got := ""
		if err := Check(tt.peers); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.peers, got, tt.want)
		}
	}
}
