package session

import (
	"testing"

	"fleetlb/fullnat/packet"
)

var (
	tcpStates = []State{None, SynSent, SynRecv, Established, FinWait, CloseWait, LastAck, TimeWait, Close}
	udpStates = []State{None, OneWay, TwoWay}
)

func TestJoinIsALattice(t *testing.T) {
	for _, states := range [][]State{tcpStates, udpStates} {
		for _, a := range states {
			if join(a, a) != a || join(None, a) != a {
				t.Errorf("%v with itself or none is %v, %v", a, join(a, a), join(None, a))
			}
			for _, b := range states {
				if join(a, b) != join(b, a) {
					t.Errorf("%v and %v are %v, the other way round %v", a, b, join(a, b), join(b, a))
				}
				if ab := join(a, b); join(ab, a) != ab || join(ab, b) != ab {
					t.Errorf("%v and %v are %v, which knows less than one of them", a, b, ab)
				}
				for _, c := range states {
					if x, y := join(join(a, b), c), join(a, join(b, c)); x != y {
						t.Errorf("%v, %v and %v are %v or %v", a, b, c, x, y)
					}
				}
			}
		}
	}
}

// What is known to be finished stays so, and what only two know together is
// known.
func TestJoins(t *testing.T) {
	for _, tt := range []struct {
		a, b, want State
		why        string
	}{
		{SynRecv, Established, Established, "one saw the handshake complete"},
		{FinWait, Established, FinWait, "one saw the server's FIN"},
		{CloseWait, Established, CloseWait, "one saw the client's FIN"},
		{FinWait, CloseWait, TimeWait, "both FINs, and nobody knows which was first: the port waits"},
		{LastAck, CloseWait, LastAck, "who saw the client's FIN come first knows"},
		{LastAck, FinWait, TimeWait, "who saw the server's alone may have seen it first"},
		{TimeWait, Close, Close, "a reset"},
		{OneWay, TwoWay, TwoWay, "the server has answered"},
	} {
		if got := join(tt.a, tt.b); got != tt.want {
			t.Errorf("%v and %v: %v, want %v: %s", tt.a, tt.b, got, tt.want, tt.why)
		}
	}
}

// A session goes up in the lattice, or is born anew: a late record of what it was
// before the way back must not count.
func TestWayBackIsBirth(t *testing.T) {
	segments := []*packet.Packet{
		tcpPacket(packet.FlagSYN, 1, 0, 0), tcpPacket(packet.FlagSYN|packet.FlagACK, 1, 2, 0), tcpPacket(packet.FlagACK, 2, 2, 0),
		tcpPacket(packet.FlagFIN|packet.FlagACK, 2, 2, 0), tcpPacket(packet.FlagRST, 2, 0, 0),
	}
	ways := 0
	for _, mode := range []Mode{FULLNAT, DR} {
		for _, from := range tcpStates {
			for _, d := range []Direction{Inbound, Outbound} {
				for _, p := range segments {
					for _, flags := range []sessionFlags{0, 0x3f} {
						table := fleetTable(10, "lb1")
						key := pathTo(addr("10.0.0.11"))
						key.Mode = mode
						s, _ := table.Open(addr("198.51.100.7"), 4711, table.Bind(key), 1)
						table.enter(s, from, 1)
						s.flags, s.expects = flags, [2]uint32{2, 2}
						born := table.bornOf(s)
						table.Track(s, d, p, 1)
						back := join(from, s.State) != s.State
						if back != born.before(table.bornOf(s)) {
							t.Errorf("mode %d: %v to %v by %#x: born %x, then %x", mode, from, s.State, p.Flags, born, table.bornOf(s))
						}
						if back {
							ways++
						}
					}
				}
			}
		}
	}
	if ways == 0 {
		t.Error("no way back was tried")
	}
}
