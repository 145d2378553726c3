package session

import (
	"strings"
	"testing"
)

// Each line is a segment as one of two directors sees it, a, who is the session's
// home, or b, who adopts it, and the state it leaves the session in there; or ~,
// when what they have told each other arrives, and the state both are in then.
var halfViews = []struct{ name, lines string }{
	{"the client's packets move, and it closes first", `
		a> S  100             syn_recv
		a< SA 500 101         syn_recv
		a> A  101 501         established
		~                     established
		b> A  101 501 +300    established
		a< A  501 401 +1000   established
		b> FA 401 1501        close_wait
		~                     close_wait
		a< FA 1501 402        last_ack
		~                     last_ack
		b> A  402 1502        close
		~                     close
	`},
	{"the server closes first", `
		a> A  101 501         established
		~                     established
		b> A  101 501 +300    established
		a< FA 501 401         fin_wait
		~                     fin_wait
		b> FA 401 502         time_wait
		~                     time_wait
		a< A  502 402         time_wait
	`},
	{"each sees one FIN before it hears of the other: the port waits", `
		a> A  101 501         established
		~                     established
		b> FA 101 501         close_wait
		a< FA 501 101         fin_wait
		~                     time_wait
		b> A  102 502         time_wait
		a< A  502 102         time_wait
		~                     time_wait
	`},
	{"the handshake moves in its middle", `
		a> S  100             syn_recv
		a< SA 500 101         syn_recv
		!                     syn_recv
		~                     syn_recv
		b> A  101 501         established
		~                     established
	`},
	{"the client resets where it is seen", `
		a> A  101 501         established
		~                     established
		b> A  101 501 +300    established
		b> R  401             close
		~                     close
	`},
	{"a reset is believed with the numbers that were told", `
		a> S  100             syn_recv
		a< SA 500 101         syn_recv
		a> A  101 501         established
		a> A  101 501 +300    established
		a< A  501 401         established
		~                     established
		b> R  70000           established
		b> R  401             close
		~                     close
	`},
	{"and with the sender's own count from there on, however far it has come", `
		a> S  100             syn_recv
		a< SA 500 101         syn_recv
		a> A  101 501         established
		~                     established
		b> A  101 501 +30000    established
		b> A  30101 501 +30000  established
		b> A  60101 501 +30000  established
		b> A  90101 501 +30000  established
		b> A  990101 501 +10    established
		b> R  990111            established
		b> R  120101            close
	`},
	{"a forger who cannot know the numbers does not set them either", `
		a> S  100             syn_recv
		a< SA 500 101         syn_recv
		a> A  101 501         established
		~                     established
		b> A  101 501         established
		b> A  900000 501 +10  established
		b> R  900010          established
	`},
	{"a forged reset that was believed is undone everywhere", `
		a> S  100             syn_recv
		a< SA 500 101         syn_recv
		a> A  101 501         established
		~                     established
		b> A  101 501         established
		b> R  101             close
		~                     close
		b> A  101 501 +10     established
		~                     established
		a< A  501 111         established
		~                     established
		a< A  501 111 +30000    established
		a< A  30501 111 +30000  established
		a< A  60501 111 +30000  established
		a< R  90501           close
	`},
	{"the home follows the server's own count, for it does not see what the client acknowledges", `
		a> S  100             syn_recv
		a< SA 500 101         syn_recv
		a> A  101 501         established
		~                     established
		b> A  101 501         established
		~                     established
		a< A  501 101 +40000    established
		a< A  40501 101 +40000  established
		a< R  80501           close
		~                     close
	`},
	{"a reset may lag behind the sender's own count: it was asked for by an ACK", `
		a> S  100             syn_recv
		a< SA 500 101         syn_recv
		a> A  101 501         established
		~                     established
		b> A  101 501 +30000  established
		b> R  101             close
		~                     close
	`},
	{"so is one in the server's name", `
		a> S  100             syn_recv
		a< SA 500 101         syn_recv
		a> A  101 501         established
		~                     established
		b> A  101 501         established
		a< R  501             close
		~                     close
		b> A  101 501 +10     close
		a< A  501 111         established
		~                     established
	`},
	{"the server's packets move too: the home is dead", `
		a> S  100             syn_recv
		a< SA 500 101         syn_recv
		a> A  101 501         established
		~                     established
		b> A  101 501 +100    established
		b< A  501 201 +100    established
		b> A  201 601         established
		b< FA 601 201         fin_wait
		b> FA 201 602         time_wait
		~                     time_wait
	`},
}

func TestHalfViews(t *testing.T) {
	for _, tt := range halfViews {
		t.Run(tt.name, func(t *testing.T) {
			home, adopter := fleetTable(1, "lb1"), fleetTable(1, "lb2")
			tables := map[byte]*Table{'a': home, 'b': adopter}
			at := map[byte]*Session{}
			at['a'], _ = home.Open(addr("198.51.100.7"), 4711, home.Bind(pathTo(addr("10.0.0.11"))), 0)
			var mail []Record
			to := []byte{}
			tell := func(who byte) {
				if s := at[who]; s.News() {
					mail = append(mail, Record{})
					tables[who].Tell(s, 0, &mail[len(mail)-1])
					to = append(to, who^'a'^'b')
				}
			}
			for line := range strings.Lines(strings.TrimSpace(tt.lines)) {
				line = strings.TrimSpace(line)
				switch who := line[0]; who {
				case '!': // the home leaves
					home.Share(at['a'], 0)
					tell('a')
				case '~':
					for len(mail) > 0 {
						r, who := mail[0], to[0]
						mail, to = mail[1:], to[1:]
						at[who], _ = tables[who].Install(&r, 0)
						tell(who)
					}
					for who, s := range at {
						if got, want := s.State.String(), line[1:]; got != strings.TrimSpace(want) {
							t.Fatalf("%s\n%c: %s", line, who, got)
						}
					}
					if a, b := home.Digest(home.self.ID, home.slotOf(at['a'])), adopter.Digest(home.self.ID, home.slotOf(at['a'])); a != b {
						t.Fatalf("%s\ndigests %v, %v", line, a, b)
					}
				default:
					d, p, want := parseSegment(t, line[1:])
					tables[who].Adopt(at[who], 0)
					tables[who].Track(at[who], d, p, 0)
					tell(who)
					if got := at[who].State.String(); got != want {
						t.Fatalf("%s\nnow %s", line, got)
					}
				}
			}
		})
	}
}
