package fullnat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A talk is a conversation of one client with one server, of any protocol and
// family, as each end sees it.
type talk struct {
	name                       string
	protocol                   string
	client, vip, local, server string // local is that of lb1
}

var talks = []talk{
	{"TCP", "tcp", "198.51.100.7:4711", "203.0.113.80:443", "10.9.1.1:5235", "10.0.0.11:8443"},
	{"UDP", "udp", "198.51.100.7:4711", "203.0.113.53:53", "10.9.1.1:5238", "10.0.0.11:5353"},
	{"TCP over IPv6", "tcp", "[2001:db8:7::7]:4711", "[2001:db8::80]:443", "[2001:db8:9:1::1]:5154", "[fd00::11]:8443"},
	{"UDP over IPv6", "udp", "[2001:db8:7::7]:4711", "[2001:db8::53]:53", "[2001:db8:9:1::1]:5257", "[fd00::11]:5353"},
}

// talkServices are theirs.
var talkServices = []string{
	"vip 203.0.113.80:443 → 10.0.0.11:8443",
	"udp 203.0.113.53:53 → 10.0.0.11:5353",
	"vip [2001:db8::80]:443 → [fd00::11]:8443",
	"udp [2001:db8::53]:53 → [fd00::11]:5353",
}

// inbound is a leg of the client's packet, outbound one of the server's. rest is
// what follows the TTL: of TCP the numbers, of both the length.
func (k *talk) inbound(name string, at int, flags, rest string) leg {
	return leg{name, at,
		fmt.Sprintf("%s %s > %s%s ttl 64%s", k.protocol, k.client, k.vip, k.only(flags), k.only(rest)),
		fmt.Sprintf("%s %s > %s%s ttl 63%s", k.protocol, k.local, k.server, k.only(flags), k.only(rest)), "forwarded"}
}

func (k *talk) outbound(name string, at int, flags, rest string) leg {
	return leg{name, at,
		fmt.Sprintf("eth1 %s %s > %s%s ttl 64%s", k.protocol, k.server, k.local, k.only(flags), k.only(rest)),
		fmt.Sprintf("%s %s > %s%s ttl 63%s", k.protocol, k.vip, k.client, k.only(flags), k.only(rest)), "forwarded"}
}

// only is what TCP has and UDP has not.
func (k *talk) only(s string) string {
	switch {
	case s == "":
		return ""
	case k.protocol == "udp":
		return ""
	}
	return " " + s
}

// begin has the talk established by lb1.
func (r *rig) begin(k *talk) {
	r.Helper()
	r.converse(k.opening())
}

func (k *talk) opening() []leg {
	return []leg{
		k.inbound("SYN", 0, "S", "seq 1000"),
		k.outbound("SYN-ACK", 0, "SA", "seq 5000 ack 1001"),
		k.inbound("ACK", 0, "A", "seq 1001 ack 5001"),
	}
}

// Connections move between directors in every way, with their home alive or gone.
func TestMoves(t *testing.T) {
	for _, k := range talks {
		for _, alive := range []bool{true, false} {
			for _, way := range []string{"inbound", "outbound", "both"} {
				t.Run(fmt.Sprintf("%s/%s/home alive %v", k.name, way, alive), func(t *testing.T) {
					r := newRig(t, 3, talkServices...)
					r.begin(&k)
					in, out := 0, 0
					switch {
					case way == "inbound":
						in, out = 1, 0
					case way == "outbound":
						in, out = 0, 1
					default:
						in, out = 1, 2
					}
					if !alive {
						r.kill(0)
						in, out = max(in, 1), max(out, 1)
					}
					for i := range 3 {
						r.converse([]leg{
							k.inbound("a request", in, "PA", fmt.Sprintf("seq %d ack %d len 99", 1001+99*i, 5001+500*i)),
							k.outbound("its answer", out, "PA", fmt.Sprintf("seq %d ack %d len 500", 5001+500*i, 1100+99*i)),
						})
					}
					r.converse([]leg{
						k.outbound("or the other way about", in, "A", "seq 6501 ack 1298"),
						k.inbound("it makes no difference", out, "A", "seq 1298 ack 6501"),
					})
				})
			}
		}
	}
}

// Whoever carries a packet of another's session has adopted it, says so, and is a
// replica's keeper again when no more come.
func TestRoles(t *testing.T) {
	r := newRig(t, 3, talkServices...)
	k := &talks[0]
	r.begin(k)
	const client = "198.51.100.7:4711"
	r.expectRoles("established", client+" established home lb1", client+" established replica lb1", client+" established replica lb1")
	r.converse([]leg{k.inbound("moved", 1, "A", "seq 1001 ack 5001")})
	r.expectRoles("moved", client+" established home lb1", client+" established adopted lb1", client+" established replica lb1")
	for range 40 {
		r.pass(time.Minute)
		r.converse([]leg{k.inbound("in use at lb2 alone", 1, "A", "seq 1001 ack 5001")})
	}
	r.expectRoles("after 40 minutes", client+" established home lb1", client+" established adopted lb1", client+" established replica lb1")
	r.converse([]leg{k.inbound("moved again", 2, "A", "seq 1001 ack 5001")})
	r.pass(11 * time.Minute)
	r.expectRoles("not used any more", client+" established home lb1", client+" established replica lb1", client+" established replica lb1")
	r.pass(5 * time.Minute)
	r.all[0].expect("its home ends it", lines(
		"tcp 10.9.1.1:5235 > 10.0.0.11:8443 RA ttl 64 df seq 1001 ack 5001",
		"tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df seq 5001 ack 1001"), "originated×2")
	r.all[1].expect("lb2 does not", "", "")
	r.expectRoles("over", "", "", "")
	r.free()
}

// free checks that no director has a port in use.
func (r *rig) free() {
	r.Helper()
	for i, b := range r.all {
		for _, w := range b.workers {
			for u := range w.sessions.PortUse() {
				r.Errorf("lb%d has ports in use: %+v", i+1, u)
			}
		}
	}
}

// Each of two directors sees one direction. Both ends say their last; the ports
// come back, once.
func TestHalfViews(t *testing.T) {
	type step struct {
		outbound bool
		flags    string
		rest     string
	}
	in := func(flags, rest string) step { return step{false, flags, rest} }
	out := func(flags, rest string) step { return step{true, flags, rest} }
	for _, tt := range []struct {
		name  string
		steps []step
		state string
	}{
		{"the client first", []step{in("FA", "seq 1001 ack 5001"), out("FA", "seq 5001 ack 1002"), in("A", "seq 1002 ack 5002")}, "close"},
		{"the server first", []step{out("FA", "seq 5001 ack 1001"), in("FA", "seq 1001 ack 5002"), out("A", "seq 5002 ack 1002")}, "time_wait"},
		{"the client resets", []step{in("R", "seq 1001")}, "close"},
		{"the server resets", []step{out("RA", "seq 5001 ack 1001")}, "close"},
	} {
		for _, split := range [][2]int{{0, 1}, {1, 0}, {1, 1}, {1, 2}} {
			t.Run(fmt.Sprintf("%s/inbound at lb%d, outbound at lb%d", tt.name, split[0]+1, split[1]+1), func(t *testing.T) {
				r := newRig(t, 3, talkServices...)
				k := &talks[0]
				r.begin(k)
				r.converse([]leg{
					k.inbound("data", split[0], "PA", "seq 1001 ack 5001"),
					k.outbound("data", split[1], "PA", "seq 5001 ack 1001"),
				})
				for _, s := range tt.steps {
					if s.outbound {
						r.converse([]leg{k.outbound(s.flags, split[1], s.flags, s.rest)})
					} else {
						r.converse([]leg{k.inbound(s.flags, split[0], s.flags, s.rest)})
					}
				}
				for i := range r.all {
					if got := r.roles(i); len(got) != 1 || strings.Fields(got[0])[1] != tt.state {
						t.Errorf("lb%d has %q, want %s", i+1, got, tt.state)
					}
				}
				r.pass(2*time.Minute + time.Second)
				r.expectRoles("over", "", "", "")
				r.forgetNone()
				r.free()
			})
		}
	}
}

// forgetNone checks that nothing was sent that nobody looked at.
func (r *rig) forgetNone() {
	r.Helper()
	for i, b := range r.all {
		b.expect(fmt.Sprintf("lb%d", i+1), "", "")
	}
}

// A client opens another connection from the same port while directors remember
// the old one in TIME-WAIT, wherever its packets go by now.
func TestSucceeds(t *testing.T) {
	for _, alive := range []bool{true, false} {
		t.Run(fmt.Sprintf("home alive %v", alive), func(t *testing.T) {
			r := newRig(t, 3, talkServices...)
			k := &talks[0]
			r.begin(k)
			r.converse([]leg{
				k.outbound("FIN", 1, "FA", "seq 5001 ack 1001"),
				k.inbound("FIN", 1, "FA", "seq 1001 ack 5002"),
				k.outbound("ACK", 1, "A", "seq 5002 ack 1002"),
			})
			const client = "198.51.100.7:4711"
			r.expectRoles("over", client+" time_wait home lb1", client+" time_wait adopted lb1", client+" time_wait replica lb1")
			if !alive {
				r.kill(0)
			}
			r.pass(10 * time.Second)
			again := *k
			again.local = "10.9.2.1:5235" // lb2's own
			r.converse([]leg{
				again.inbound("SYN", 1, "S", "seq 90000"),
			})
			if got, want := strings.Join(r.roles(1), ", "), client+" syn_recv home lb2, "+client+" time_wait adopted lb1"; got != want {
				t.Errorf("lb2 has %q, want %q", got, want)
			}
			r.converse([]leg{
				again.outbound("SYN-ACK", 1, "SA", "seq 70000 ack 90001"),
				again.inbound("ACK", 1, "A", "seq 90001 ack 70001"),
				again.inbound("data, by lb3", 2, "PA", "seq 90001 ack 70001 len 99"),
				again.outbound("answer, by lb3", 2, "PA", "seq 70001 ack 90100 len 99"),
				k.outbound("the old server end's last word", 2, "FA", "seq 5001 ack 1002"),
			})
			if alive {
				r.converse([]leg{
					again.inbound("data, by the old one's home", 0, "PA", "seq 90100 ack 70100 len 99"),
					again.outbound("answer", 0, "PA", "seq 70100 ack 90199 len 99"),
				})
			}
			r.pass(4 * time.Minute)
			for i := range r.all {
				if got := r.roles(i); !r.dead[i] && (len(got) != 1 || !strings.HasPrefix(got[0], client+" established") || !strings.HasSuffix(got[0], "lb2")) {
					t.Errorf("lb%d has %q in the end", i+1, got)
				}
			}
			if len(r.said) != 0 {
				t.Errorf("they differ: %v", r.said)
			}
		})
	}
}

// A connection moves while its ends still shake hands.
func TestMovesEarly(t *testing.T) {
	for _, in := range []int{0, 1} {
		for _, out := range []int{0, 1, 2} {
			t.Run(fmt.Sprintf("inbound to lb%d, outbound to lb%d", in+1, out+1), func(t *testing.T) {
				r := newRig(t, 3, talkServices...)
				k := &talks[0]
				r.converse([]leg{k.inbound("SYN", 0, "S", "seq 1000")})
				for _, l := range []leg{
					k.outbound("SYN-ACK", out, "SA", "seq 5000 ack 1001"),
					k.inbound("ACK", in, "A", "seq 1001 ack 5001"),
					k.inbound("data", in, "PA", "seq 1001 ack 5001 len 99"),
					k.outbound("answer", out, "PA", "seq 5001 ack 1100 len 99"),
				} {
					r.all[l.at].inject(l.in)
					r.settle()
					if got := r.all[l.at].sent(); got != l.out {
						t.Errorf("%s:\nsent %s\nwant %s", l.name, got, l.out)
					}
				}
				for i := range r.all {
					if got := r.roles(i); len(got) != 1 || !strings.Contains(got[0], " established ") {
						t.Errorf("lb%d has %q", i+1, got)
					}
				}
			})
		}
	}
}

// Its server is down: the home tells both ends, or who serves the session if the
// home is gone; nobody else does.
func TestDeadServerOfFleet(t *testing.T) {
	down := append([]string{"vip 203.0.113.80:443 → !10.0.0.11:8443"}, talkServices[1:]...)
	for _, alive := range []bool{true, false} {
		r := newRig(t, 3, talkServices...)
		k := &talks[0]
		r.begin(k)
		r.converse([]leg{k.inbound("moved", 1, "A", "seq 1001 ack 5001")})
		if !alive {
			r.kill(0)
		}
		for i, b := range r.all {
			if !r.dead[i] {
				b.services(down...)
			}
		}
		r.settle()
		sent := 0
		for i, b := range r.all {
			if s := b.sent(); s != "" {
				sent++
				if want := map[bool]int{true: 0, false: 1}[alive]; i != want {
					t.Errorf("home alive %v: lb%d sent %s", alive, i+1, s)
				}
			}
		}
		if sent != 1 {
			t.Errorf("home alive %v: %d directors told the ends", alive, sent)
		}
	}
}

// A director carries on what another began with a server, or for a service, that
// it does not have.
func TestAdoptsForeignServer(t *testing.T) {
	for _, services := range [][]string{
		{"vip 203.0.113.80:443 → 10.0.0.12:8443", "vip [2001:db8::80]:443 → [fd00::12]:8443"},
		{"vip 203.0.113.80:444 → 10.0.0.12:8443", "vip [2001:db8::80]:444 → [fd00::12]:8443"},
	} {
		r := newRig(t, 2, talkServices...)
		r.all[1].services(services...)
		r.settle()
		r.forget()
		for _, k := range []*talk{&talks[0], &talks[2]} {
			r.begin(k)
			r.converse([]leg{
				k.inbound("request", 1, "PA", "seq 1001 ack 5001 len 99"),
				k.outbound("answer", 1, "PA", "seq 5001 ack 1100 len 99"),
			})
		}
		r.kill(0)
		r.converse([]leg{talks[0].inbound("its home gone", 1, "A", "seq 1100 ack 5100")})
		r.pass(45 * time.Minute)
		r.expectRoles("nothing stays", "", "")
		for range r.all[1].workers[0].sessions.Paths() {
			r.all[1].workers[0].sessions.Sweep()
		}
		n := 0
		for range r.all[1].workers[0].sessions.Paths() {
			n++
		}
		if n != 2 {
			t.Errorf("%d paths stay, want those of the two services", n)
		}
	}
}
