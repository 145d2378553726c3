package fullnat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// keepFirst has lb1 alone keep slots, so that every other director has to ask for
// its sessions.
func keepFirst(_ uint8, director int) bool { return director == 0 }

// Who does not know a session asks, and what waited leaves in order, once.
func TestAsk(t *testing.T) {
	for _, k := range talks {
		t.Run(k.name, func(t *testing.T) {
			r := newRig(t, 3, talkServices...)
			r.keep = keepFirst
			r.publish()
			r.begin(&k)
			r.expectRoles("kept by nobody else", r.roles(0)[0], "", "")
			r.delay = 1
			var in, out []string
			for i := range 5 {
				l := k.inbound("", 1, "A", fmt.Sprintf("seq %d ack 5001", 1001+i))
				in, out = append(in, l.in), append(out, l.out)
			}
			r.converse([]leg{{"at a director that does not know it", 1, lines(in[:3]...), "", "parked×3"}})
			r.now++
			r.converse([]leg{{"two more", 1, lines(in[3:]...), "", "parked×2"}})
			r.now++
			r.settle()
			r.all[1].expect("answered", lines(out...), "forwarded×5")
			if r.asked != 1 {
				t.Errorf("asked %d times, want once", r.asked)
			}
			r.converse([]leg{
				k.inbound("known from now on", 1, "A", "seq 1001 ack 5001"),
				k.outbound("both ways", 1, "A", "seq 5001 ack 1001"),
			})
			if r.asked != 1 {
				t.Errorf("asked again: %d", r.asked)
			}
		})
	}
}

// A server's packet for another director's address is asked for as well, and one
// for an address of ours that we have forgotten.
func TestAskOutbound(t *testing.T) {
	for _, k := range talks {
		t.Run(k.name, func(t *testing.T) {
			r := newRig(t, 3, talkServices...)
			r.keep = func(_ uint8, director int) bool { return director <= 1 }
			r.publish()
			r.begin(&k)
			r.kill(0)
			l := k.outbound("at lb3", 2, "A", "seq 5001 ack 1001")
			l.want = "forwarded parked"
			r.converse([]leg{l, k.outbound("known now", 2, "A", "seq 5001 ack 1001")})
		})
	}
}

// Nobody knows: the packet goes no further, and is not asked for twice.
func TestUnknown(t *testing.T) {
	stray := "tcp 198.51.100.9:99 > 203.0.113.80:443 A ttl 64 seq 1 ack 1"
	r := newRig(t, 2, talkServices...)
	r.converse([]leg{
		{"an ACK of nothing", 1, stray, "", "parked no_session"},
		{"again", 1, stray, "", "no_session"},
		{"from a server", 1, "eth1 tcp 10.0.0.11:8443 > 10.9.1.1:5235 A ttl 64 seq 1 ack 1", "", "parked no_session"},
	})
	if r.asked != 2 {
		t.Errorf("asked %d times, want twice", r.asked)
	}
	r.pass(time.Second)
	r.converse([]leg{{"a second later it may be another", 1, stray, "", "parked no_session"}})
	if r.asked != 3 {
		t.Errorf("asked %d times, want three", r.asked)
	}
	r.converse([]leg{
		{"it opens one", 1, "tcp 198.51.100.9:99 > 203.0.113.80:443 S ttl 64",
			"tcp 10.9.2.1:5373 > 10.0.0.11:8443 S ttl 63", "forwarded"},
		{"which is known at once", 1, stray, "tcp 10.9.2.1:5373 > 10.0.0.11:8443 A ttl 63 seq 1 ack 1", "forwarded"},
		{"nobody asks for a SYN", 0, "eth1 tcp 10.0.0.11:8443 > 10.9.2.1:5555 S ttl 64 seq 1", "", "no_session"},
	})
	if r.asked != 3 {
		t.Errorf("asked %d times, want three", r.asked)
	}
	r.kill(0)
	r.pass(2 * time.Second)
	r.forget()
	r.converse([]leg{{"alone there is nobody to ask", 1, "tcp 198.51.100.9:100 > 203.0.113.80:443 A ttl 64 seq 1 ack 1", "", "no_session"}})
}

// The answer does not come: the packets are let go of after a second.
func TestUnanswered(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	r.lost = func(_, _ int, what string) bool { return what == "ask" }
	r.converse([]leg{{"an ACK", 1, lines(
		"tcp 198.51.100.9:99 > 203.0.113.80:443 A ttl 64 seq 1 ack 1",
		"tcp 198.51.100.9:99 > 203.0.113.80:443 A ttl 64 seq 1 ack 1"), "", "parked×2"}})
	r.pass(900 * time.Millisecond)
	r.all[1].expect("not yet", "", "")
	r.pass(100 * time.Millisecond)
	r.all[1].expect("a second later", "", "unanswered×2")
	c, _ := r.all[1].Counters(t.Context())
	if c.Fleet.Asked != 1 || c.Fleet.Unanswered != 1 || c.Fleet.Sought != 0 {
		t.Errorf("counters %+v", c.Fleet)
	}
	r.all[1].Found(tupleOf("198.51.100.9:99", "203.0.113.80:443"), nil) // too late
	r.settle()
	r.forgetNone()
}

// A datagram that opens nothing by itself: whoever keeps its slot would know, so
// opens; who does not asks first.
func TestAskDatagram(t *testing.T) {
	k := &talks[1]
	r := newRig(t, 3, talkServices...)
	r.converse([]leg{{"a keeper opens at once", 1, "udp " + k.client + " > " + k.vip + " ttl 64", "udp 10.9.2.1:5238 > " + k.server + " ttl 63", "forwarded"}})
	r = newRig(t, 3, talkServices...)
	f := r.fleet(1)
	for slot := range f.Partly {
		f.Partly[slot] = true
	}
	r.all[1].snapshot.Fleet = f
	r.all[1].publish()
	r.converse([]leg{{"one who keeps the slot for some homes does not", 1, "udp " + k.client + " > " + k.vip + " ttl 64", "udp 10.9.2.1:5238 > " + k.server + " ttl 63", "forwarded parked"}})
	r = newRig(t, 3, talkServices...)
	r.keep = keepFirst
	r.publish()
	r.begin(k)
	l := k.inbound("moved", 1, "", "")
	l.want = "forwarded parked"
	r.converse([]leg{
		l,
		k.outbound("its answer", 1, "", ""),
		{"a new one", 1, "udp 198.51.100.7:4712 > " + k.vip + " ttl 64", "udp 10.9.2.1:5366 > " + k.server + " ttl 63", "forwarded parked"},
	})
	for i, w := range []string{"198.51.100.7:4711 two_way home lb1", "198.51.100.7:4711 two_way adopted lb1, 198.51.100.7:4712 one_way home lb2", ""} {
		if got := strings.Join(r.roles(i), ", "); got != w {
			t.Errorf("lb%d has %q, want %q", i+1, got, w)
		}
	}
	r.all[1].workers[0].seeking.left = 0
	r.converse([]leg{{"too many are asked for: most open one", 1, "udp 198.51.100.7:4713 > " + k.vip + " ttl 64", "udp 10.9.2.1:5251 > " + k.server + " ttl 63", "forwarded"}})
}

// tupleOf is that of a TCP packet.
func tupleOf(src, dst string) packet.Tuple {
	s, d := hostPort(src), hostPort(dst)
	return packet.Tuple{Src: packet.AddrFrom(s.Addr()), SrcPort: s.Port(), Dst: packet.AddrFrom(d.Addr()), DstPort: d.Port(), Protocol: packet.TCP}
}

// A flood of ACKs that belong to nothing costs no server a packet, no state, and
// a bounded number of questions.
func TestUnknownFlood(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	r.begin(&talks[0])
	r.delay = 3
	w := r.all[1]
	const ticks, perTick = 20, 4000
	n := 0
	for range ticks {
		for range perTick {
			n++
			w.inject(fmt.Sprintf("tcp 203.0.113.%d:%d > 203.0.113.80:443 A ttl 64 seq 1 ack 1", 1+n>>15&0x3f, 1+n&0x7fff))
			if n%128 == 0 {
				w.settle()
				w.conserved("flood")
				if held := w.workers[0].seeking.held; held > maxSought {
					t.Fatalf("%d packets wait", held)
				}
			}
		}
		r.settle()
		r.now++
	}
	r.converse([]leg{{"a connection moves meanwhile", 1, "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001", "tcp 10.9.1.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001", "*"}})
	if r.asked > ticks*questionsPerTick {
		t.Errorf("%d questions in %d ticks", r.asked, ticks)
	}
	if got := len(w.sessionsNow()); got != 1 {
		t.Errorf("%d sessions", got)
	}
	r.pass(2 * time.Second)
	r.all[1].conserved("after the flood")
	c, _ := w.Counters(t.Context())
	v := c.Verdicts
	if sum := v[DropNoSession] + v[DropUnanswered] + v[DropUnasked] + v[DropSoughtLimit]; sum != uint64(n) || v[DropUnasked] == 0 || c.Fleet.Sought != 0 || v[Forwarded] != 1 {
		t.Errorf("of %d packets %d were dropped for their reason: %v", n, sum, v)
	}
}

// One session's packets do not take the room of all others.
func TestSoughtLimit(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	r.delay = 1
	one := strings.TrimSuffix(strings.Repeat("tcp 198.51.100.9:99 > 203.0.113.80:443 A ttl 64 seq 1 ack 1\n", 100), "\n")
	r.converse([]leg{{"a hundred", 1, one, "", fmt.Sprintf("parked×%d sought_limit×%d", maxSoughtOne, 100-maxSoughtOne)}})
	for i := range maxSought {
		r.all[1].inject(fmt.Sprintf("tcp 198.51.100.10:%d > 203.0.113.80:443 A ttl 64 seq 1 ack 1", 1+i))
	}
	r.settle()
	if held := r.all[1].workers[0].seeking.held; held < maxSought/2 {
		t.Errorf("%d packets wait, there is room for %d", held, maxSought)
	}
	r.all[1].conserved("full")
	r.pass(time.Second)
	r.all[1].conserved("empty")
	if held := r.all[1].queues[0].Held(); held != 0 {
		t.Errorf("%d frames are held in the end", held)
	}
}

// What is told while an answer is awaited lets the packets go at once, before
// those that come later.
func TestToldMeanwhile(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	r.lost = func(_, _ int, what string) bool { return what == "ask" }
	r.delay = 2
	k := &talks[0]
	r.begin(k)
	var legs []leg
	for i := range 3 {
		legs = append(legs, k.inbound("", 1, "A", fmt.Sprintf("seq %d ack 5001", 1001+i)))
	}
	r.converse([]leg{{"before lb2 has heard of it", 1, lines(legs[0].in, legs[1].in), "", "parked×2"}})
	r.now += 2
	r.settle()
	r.all[1].expect("told", lines(legs[0].out, legs[1].out), "forwarded×2")
	r.converse(legs[2:])
}

// ICMP errors and fragments of sessions elsewhere wait as well.
func TestAskOdd(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	r.keep = keepFirst
	r.publish()
	for _, k := range []*talk{&talks[0], &talks[1]} {
		r.begin(k)
	}
	r.converse([]leg{
		{"too big, for the server", 1,
			"icmp 198.51.100.1 > 203.0.113.80 too-big ttl 60 mtu 1400 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 df seq 5001 ack 1001 len 1460 cut 8 )",
			"icmp 10.9.1.1 > 10.0.0.11 too-big ttl 59 mtu 1400 ( tcp 10.0.0.11:8443 > 10.9.1.1:5235 - ttl 55 df seq 5001 len 1460 cut 8 )", "forwarded parked"},
		{"a datagram in two, the end first", 1, "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 7 off 16 len 24", "", "parked"},
		{"its beginning", 1, "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 7 of 40 len 8",
			lines("udp 10.9.1.1:5238 > 10.0.0.11:5353 ttl 63 id 7 of 40 len 8", "frag 10.9.1.1 > 10.0.0.11 ttl 63 id 7 off 16 len 24"), "forwarded×2 parked×2"},
	})
	r.kill(0)
	r.converse([]leg{
		{"adopted: from the server, its home gone", 1,
			"eth1 icmp 10.0.0.11 > 10.9.1.1 no-port ttl 64 ( udp 10.9.1.1:5238 > 10.0.0.11:5353 ttl 63 len 33 )",
			"icmp 203.0.113.53 > 198.51.100.7 no-port ttl 63 ( udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 len 33 )", "forwarded"},
		{"a fragment from the server", 1, "eth1 udp 10.0.0.11:5353 > 10.9.1.1:5238 ttl 64 id 9 of 40 len 8", "udp 203.0.113.53:53 > 198.51.100.7:4711 ttl 63 id 9 of 40 len 8", "forwarded"},
		{"nobody pings in its place", 1, "icmp 198.51.100.7 > 10.9.1.1 echo ttl 64", "", "protocol"},
		{"nor answers for it on a link", 1, "arp who-has 10.9.1.1 tell 192.0.2.7", "", "not_ours"},
	})
}

// Every packet reaches the wrong worker of a director that has to ask.
func TestAskHandedOver(t *testing.T) {
	r := newRigOf(t, 2, 3, talkServices...)
	r.keep = keepFirst
	r.publish()
	for _, k := range talks {
		for _, l := range k.opening() {
			r.all[0].inject(l.in)
			r.settle()
		}
		r.forget()
		for worker := range 3 {
			for _, l := range []leg{k.inbound("in", 1, "A", "seq 1001 ack 5001"), k.outbound("out", 1, "A", "seq 5001 ack 1001")} {
				r.all[1].injectAt(worker, l.in)
				r.settle()
				if got := r.all[1].sent(); got != l.out {
					t.Errorf("%s at worker %d: sent %s, want %s", k.name, worker, got, l.out)
				}
				r.all[1].conserved(k.name)
			}
		}
		if r.asked != 1 {
			t.Errorf("%s: asked %d times, want once", k.name, r.asked)
		}
	}
}

// Answers that do not fit what was asked change nothing.
func TestFoundWrong(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	r.keep = keepFirst
	r.publish()
	r.begin(&talks[0])
	record := func() (rec session.Record) {
		w := r.all[0].workers[0]
		w.sessions.Each(0, 1<<30, func(s *session.Session) { w.sessions.Record(s, r.now, &rec) })
		return rec
	}()
	r.lost = func(_, _ int, what string) bool { return what == "ask" }
	other := "tcp 198.51.100.9:99 > 203.0.113.80:443 A ttl 64 seq 1 ack 1"
	r.converse([]leg{{"asked", 1, other, "", "parked"}})
	p := r.all[1]
	p.Found(tupleOf("198.51.100.9:99", "203.0.113.80:443"), &record)
	bad := record
	bad.LocalPort++
	p.Found(tupleOf("198.51.100.7:4711", "203.0.113.80:443"), &bad)
	p.Found(tupleOf("198.51.100.7:4711", "203.0.113.80:443"), &record) // nobody asked
	r.settle()
	r.expectRoles("nothing of it", r.roles(0)[0], "")
	if c, _ := p.Counters(t.Context()); c.Fleet.Refused != 2 {
		t.Errorf("refused %d, want 2", c.Fleet.Refused)
	}
	p.Found(tupleOf("198.51.100.9:99", "203.0.113.80:443"), nil)
	r.settle()
	p.expect("nobody knows", "", "no_session")
}
