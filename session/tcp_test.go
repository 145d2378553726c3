package session

import (
	"strconv"
	"strings"
	"testing"

	"fleetlb/fullnat/packet"
)

// Each line is one segment: > from the client or < from the server, its flags,
// sequence number, acknowledgement number if it has one, +bytes of data, and the
// state it leaves the session in.
var conversations = []struct {
	name  string
	mode  Mode
	lines string
}{
	{"the client opens and closes", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		> A  101 501 +300    established
		< A  501 401 +1000   established
		> FA 401 1501        close_wait
		< A  1501 402        close_wait
		< A  1501 402 +500   close_wait
		< FA 2001 402        last_ack
		> A  402 2002        close
	`},
	{"the server closes first and keeps its port in TIME-WAIT", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		< FA 501 101         fin_wait
		> A  101 502         fin_wait
		> FA 101 502         time_wait
		< A  502 102         time_wait
	`},
	{"both close at once", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		> FA 101 501         close_wait
		< FA 501 101         last_ack
		> A  102 502         close
	`},
	{"segments repeated and late change nothing", FULLNAT, `
		> S  100             syn_recv
		> S  100             syn_recv
		< SA 500 101         syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		< SA 500 101         established
		> S  100             established
		> FA 101 501         close_wait
		> FA 101 501         close_wait
		< FA 501 102         last_ack
		< FA 501 102         last_ack
		> FA 101 501         last_ack
		> A  102 502         close
		> A  102 502         close
	`},
	{"a segment without any flag says nothing", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> .  101 501         syn_recv
		> A  101 501         established
	`},
	{"a FIN completes the handshake too", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> FA 101 501 +10     close_wait
	`},
	{"the server's data completes the handshake where the client's ACK took another way", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		< A  501 151 +1000   established
	`},

	{"the server refuses", FULLNAT, `
		> S  100             syn_recv
		< RA 0 101           close
	`},
	{"a refusal must acknowledge the SYN", FULLNAT, `
		> S  100             syn_recv
		< RA 0 70000000      syn_recv
		< RA 0 101           close
	`},
	{"the client thinks better of it", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> R  101             close
	`},
	{"the client resets", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		> R  101             close
	`},
	{"the server resets", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		< RA 501 101         close
	`},
	{"a reset may run ahead of the acknowledgements by the data in flight", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		< A  501 101 +30000  established
		< R  30501           close
	`},
	{"a forged reset kills nothing", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		> R  100             established
		> R  65637           established
		> R  4000000000      established
		> RA 2000000000 501  established
		< R  500             established
	`},
	{"a forger's own ACKs do not make his reset right", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		> A  900000 12345    established
		> R  900000          established
	`},
	{"one that speaks after its reset did not send it", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		> R  101             close
		< A  501 101 +100    close
		> A  101 601         established
		> FA 101 601         close_wait
	`},
	{"a reset that was undone does not help to undo another", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		> R  101             close
		> A  101 501         established
		< R  501             close
		> A  101 501 +100    close
	`},
	{"nor does it unlearn what a forger must know", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		> R  101             close
		> A  900000 501      established
		> R  900000          established
	`},
	{"the other end's last words do not undo a reset", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		> R  101             close
		< A  501 101 +100    close
		< FA 601 101         close
	`},
	{"resets in TIME-WAIT are ignored: RFC 1337", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		< FA 501 101         fin_wait
		> FA 101 502         time_wait
		> R  102             time_wait
		< R  502             time_wait
	`},

	{"a SYN in TIME-WAIT opens again", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		< FA 501 101         fin_wait
		> FA 101 502         time_wait
		> S  70000           syn_recv
		< SA 90000 70001     syn_recv
		> A  70001 90001     established
	`},
	{"a SYN after a reset opens again", FULLNAT, `
		> S  100             syn_recv
		< RA 0 101           close
		> S  900             syn_recv
		< SA 500 901         syn_recv
		> A  901 501         established
	`},
	{"a forged SYN disturbs no half-closed connection", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		> FA 101 501         close_wait
		> S  777             close_wait
		< A  501 102 +100    close_wait
		< FA 601 102         last_ack
		> S  777             last_ack
		> A  102 602         close
	`},
	{"a client that comes back is asked, answers with a reset, and opens again", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		< FA 501 101         fin_wait
		> S  7000            fin_wait
		< A  502 101         fin_wait
		> R  101             close
		> S  7000            syn_recv
	`},
	{"where the server has forgotten, its SYN-ACK opens again", FULLNAT, `
		> S  100             syn_recv
		< SA 500 101         syn_recv
		> A  101 501         established
		< FA 501 101         fin_wait
		> S  7000            fin_wait
		< SA 9000 7001       syn_recv
		> A  7001 9001       established
	`},

	{"SYN and ACK from a forged address do not make a connection", FULLNAT, `
		> S  100             syn_recv
		> A  101 12345       syn_recv
		> A  101 0           syn_recv
		> A  101 4294967290  syn_recv
		< SA 500 101         syn_recv
		> A  101 12345       syn_recv
		> FA 101 99999999    syn_recv
		> A  101 501         established
	`},
	{"data with the SYN-ACK: TCP fast open", FULLNAT, `
		> S  100 +50         syn_recv
		< SA 500 151         syn_recv
		< A  501 151 +3000   established
		> A  151 3501        established
	`},
	{"sequence numbers wrap around", FULLNAT, `
		> S  4294967295      syn_recv
		< SA 4294967290 0    syn_recv
		> A  0 4294967291    established
		< A  4294967291 0 +8 established
		> R  3               close
	`},

	{"only the client is seen", DR, `
		> S  100             syn_recv
		> A  101 501         established
		> A  101 9501 +700   established
		> FA 801 9501        fin_wait
		> A  802 9999        fin_wait
		> S  5000            syn_recv
	`},
	{"only the client is seen: its own count is all there is to judge a reset by", TUN, `
		> S  100             syn_recv
		> A  101 501         established
		> A  101 501 +700    established
		> R  100             established
		> R  801             close
	`},
	{"only the server is seen: the client is served by another director", FULLNAT, `
		< A  501 101 +100    established
		< A  601 901 +100    established
		< FA 701 901         fin_wait
		< R  702             close
	`},
	{"the first packet is in the middle", FULLNAT, `
		> A  101 501         established
	`},
	{"the server asks for the connection", NAT, `
		< S  100             syn_sent
		> SA 500 101         established
	`},
}

func TestConversations(t *testing.T) {
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			table := newTestTable(1)
			key := pathTo(addr("10.0.0.11"))
			key.Mode = tt.mode
			path := table.Path(table.Bind(key))
			s, _ := table.Open(addr("198.51.100.7"), 4711, table.Bind(key), 0)
			for line := range strings.Lines(strings.TrimSpace(tt.lines)) {
				line = strings.TrimSpace(line)
				d, p, want := parseSegment(t, line)
				table.Track(s, d, p, 0)
				if got := s.State.String(); got != want {
					t.Fatalf("%s\nnow %s", line, got)
				}
				if path.Sessions() != 1 || path.Active == 1 != active[s.State] {
					t.Fatalf("%s\nactive %d, inactive %d", line, path.Active, path.Inactive)
				}
			}
		})
	}
}

// parseSegment reads one line of a conversation.
func parseSegment(t *testing.T, line string) (d Direction, p *packet.Packet, state string) {
	words := strings.Fields(line)
	if words[0] == "<" {
		d = Outbound
	}
	letters := map[rune]uint8{
		'S': packet.FlagSYN, 'A': packet.FlagACK, 'F': packet.FlagFIN, 'R': packet.FlagRST, '.': 0,
	}
	var flags uint8
	for _, c := range words[1] {
		flags |= letters[c]
	}
	var numbers [2]uint32
	data, n := 0, 0
	for _, w := range words[2 : len(words)-1] {
		v, err := strconv.ParseUint(strings.TrimPrefix(w, "+"), 10, 32)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if w[0] == '+' {
			data = int(v)
		} else {
			numbers[n] = uint32(v)
			n++
		}
	}
	return d, tcpPacket(flags, numbers[0], numbers[1], data), words[len(words)-1]
}

// A reset built at idle expiry must carry the number its receiver expects, or
// it is not believed (RFC 5961 §3.2).
func TestExpects(t *testing.T) {
	const unknown = -1
	tests := []struct {
		name             string
		lines            []string
		client, toClient int64 // what the server expects of the client, and the client of the server
	}{
		{"nothing yet", nil, unknown, unknown},
		{"a SYN tells its own end's number", []string{"> S 100 x"}, 101, unknown},
		{"a SYN-ACK tells both", []string{"> S 100 x", "< SA 500 101 x"}, 101, 501},
		{"then each end's ACK tells the other's", []string{
			"> S 100 x", "< SA 500 101 x", "> A 101 501 x",
			"> A 101 501 +300 x", "< A 501 401 +1000 x", "> A 401 1501 x",
		}, 401, 1501},
		{"what is not acknowledged is not expected to be over", []string{
			"> S 100 x", "< SA 500 101 x", "> A 101 501 x", "> A 101 501 +300 x",
		}, 101, 501},
		{"of one end only, its count has to do", []string{"> A 101 501 +300 x"}, 401, 501},
		{"a FIN counts", []string{"> A 101 501 x", "< FA 501 101 x", "> A 101 502 x"}, 101, 502},
		{"a reset teaches nothing", []string{"> A 101 501 x", "< RA 502 77 x"}, 101, 501},
		{"a new connection starts afresh", []string{"> A 101 501 x", "< R 501 x", "> S 9000 x"}, 9001, unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := newTestTable(1)
			s, _ := table.Open(addr("198.51.100.7"), 4711, table.Bind(pathTo(addr("10.0.0.11"))), 0)
			for _, line := range tt.lines {
				d, p, _ := parseSegment(t, line)
				table.Track(s, d, p, 0)
			}
			for d, want := range map[Direction]int64{Inbound: tt.client, Outbound: tt.toClient} {
				got := int64(unknown)
				if seq, known := s.Expects(d); known {
					got = int64(seq)
				}
				if got != want {
					t.Errorf("direction %d: expects %d, want %d", d, got, want)
				}
			}
		})
	}
}

// The literal table must stay true to what is said above it.
func TestTransitions(t *testing.T) {
	for v := range numViews {
		for e := range numEvents {
			for from := None; from <= LastAck; from++ {
				to := transitions[v][e][from]
				switch {
				case to == None:
					t.Errorf("view %d, event %d: %v leads back to none", v, e, from)
				case e == onReset && from != TimeWait && to != Close:
					t.Errorf("view %d: a reset in %v leads to %v", v, from, to)
				case from == TimeWait && to != TimeWait && e != onSYN:
					t.Errorf("view %d, event %d: leaves time_wait for %v", v, e, to)
				case from == Established && to != Established && e > onReset && e != onFIN:
					t.Errorf("view %d, event %d: leaves established for %v", v, e, to)
				}
			}
		}
	}
}

func TestEventPriority(t *testing.T) {
	const r, s, f, a = packet.FlagRST, packet.FlagSYN, packet.FlagFIN, packet.FlagACK
	for flags, want := range map[uint8]event{
		r | s | f | a: onReset, s | f | a: onSYN, f | a: onFIN, a: onACK, packet.FlagPSH: nothing, 0: nothing,
	} {
		if got := eventOf(flags); got != want {
			t.Errorf("flags %#x: event %d, want %d", flags, got, want)
		}
	}
}

func FuzzTrack(f *testing.F) {
	f.Add([]byte{0x02, 0, 0x92, 1, 0x10, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		table := newTestTable(1)
		id := table.Bind(pathTo(addr("10.0.0.11")))
		path := table.Path(id)
		s, _ := table.Open(addr("198.51.100.7"), 4711, id, 0)
		for i := 0; i+1 < len(script); i += 2 {
			d := Direction(script[i] >> 7)
			table.Track(s, d, tcpPacket(script[i]&0x3f, uint32(script[i+1])<<12, uint32(script[i+1])<<13, 0), Tick(i))
			if path.Sessions() != 1 || (path.Active == 1) != active[s.State] || s.State > LastAck {
				t.Fatalf("after %d: state %v, active %d, inactive %d", i, s.State, path.Active, path.Inactive)
			}
		}
		if c := table.cold[table.number(s)]; table.Expires(s).before(c.due) {
			t.Fatalf("the wheel comes at %d, the session expires at %d", c.due, table.Expires(s))
		}
	})
}
