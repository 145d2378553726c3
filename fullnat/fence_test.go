package fullnat

import (
	"fmt"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
)

// A director that slept lets go of what waited for it, opens nothing, ends
// nothing and answers nobody until the control plane has it in another life.
func TestFrozen(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	k := &talks[0]
	r.begin(k)
	var slept []time.Duration
	for _, w := range r.all[0].workers {
		w.froze = func(d time.Duration) { slept = append(slept, d) }
	}
	sleeper := r.all[0]
	asleep := func(d time.Duration) { // the others go on
		r.dead[0] = true
		r.pass(d)
		r.dead[0] = false
	}

	asleep(2 * time.Second)
	r.converse([]leg{k.inbound("two seconds are nothing", 0, "A", "seq 1001 ack 5001")})

	asleep(10 * time.Second)
	for range 200 {
		sleeper.inject(k.inbound("", 0, "A", "seq 1001 ack 5001").in)
	}
	r.settle()
	sleeper.expect("what waited is let go of", "", "stale×200")
	if len(slept) != 1 || slept[0] != 10*time.Second {
		t.Errorf("slept %v", slept)
	}
	syn := "tcp 198.51.100.8:4711 > 203.0.113.80:443 S ttl 64"
	r.converse([]leg{
		k.inbound("what it knows it carries", 0, "A", "seq 1001 ack 5001"),
		{"it opens nothing", 0, syn, "", "fenced"},
		{"not for UDP either", 0, "udp 198.51.100.8:4711 > 203.0.113.53:53 ttl 64", "", "parked fenced"},
	})
	sleeper.services("vip 203.0.113.80:443 → !10.0.0.11:8443")
	r.settle()
	r.forgetNone()
	stray := "tcp 198.51.100.9:99 > 203.0.113.80:443 A ttl 64 seq 1 ack 1"
	r.converse([]leg{
		{"nobody is refused", 0, k.inbound("", 0, "A", "seq 1001 ack 5001").in, "", "dead_server"},
		{"it asks all the same", 0, stray, "", "parked no_session"},
	})
	sleeper.services(talkServices...)
	r.pass(20 * time.Minute)
	r.expectRoles("nothing expires", "198.51.100.7:4711 established home lb1", "")
	r.converse([]leg{{"nobody is answered", 1, k.inbound("", 1, "A", "seq 1001 ack 5001").in, "", "parked no_session"}})

	same := r.fleet(0)
	same.Members[0].Alive = false
	sleeper.snapshot.Fleet = same
	sleeper.publish()
	r.converse([]leg{{"the same life goes on", 0, syn, "", "fenced"}})
	f := r.fleet(0)
	f.Fenced, f.Self.Epoch = true, f.Self.Epoch+1
	r.self[0] = f.Self
	sleeper.snapshot.Fleet = f
	sleeper.publish()
	r.converse([]leg{{"awake, but not told to go on", 0, syn, "", "fenced"}})
	r.publish()
	r.settle()
	sleeper.expect("caught up: what is over ends", lines(
		"tcp 10.9.1.1:5235 > 10.0.0.11:8443 RA ttl 64 df seq 1001 ack 5001",
		"tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df seq 5001 ack 1001"), "originated×2")
	r.converse([]leg{{"and it opens again", 0, syn, "tcp 10.9.1.1:5270 > 10.0.0.11:8443 S ttl 63", "forwarded"}})
}

// A director by itself has nobody who could have served in the meantime.
func TestFrozenAlone(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.now += 600
	w.converse([]row{{"SYN", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64", "tcp 10.9.0.1:5235 > 10.0.0.11:8443 S ttl 63", "forwarded"}})
}

// reboot has a director begin a new life, with an empty memory and fenced.
func (r *rig) reboot(i int, services ...string) {
	r.Helper()
	r.self[i].Epoch += 10e9
	r.dead[i] = false
	r.all[i] = r.newDirector(i, 1, services...)
	for j, b := range r.all {
		b.snapshot.Fleet = r.fleet(j)
		b.snapshot.Fleet.Fenced = i == j
		b.publish()
	}
	r.settle()
}

// sync has a director get what all others hold for it, as a bulk sync would.
func (r *rig) sync(i int) {
	r.Helper()
	for j, b := range r.all {
		if i == j || r.dead[j] {
			continue
		}
		for _, records := range r.export(b) {
			for !r.all[i].Apply(r.self[j], true, records) {
				r.all[i].settle()
			}
		}
	}
	r.settle()
}

// A home that comes back without its memory gets its sessions back, and gives no
// port of theirs to anybody else.
func TestReborn(t *testing.T) {
	for _, moved := range []bool{false, true} {
		r := newRig(t, 3, talkServices...)
		k := &talks[0]
		r.begin(k)
		r.kill(0)
		r.pass(time.Second)
		if moved {
			r.converse([]leg{k.inbound("served by lb2 meanwhile", 1, "PA", "seq 1001 ack 5001 len 99")})
		}
		r.reboot(0, talkServices...)
		const client = "198.51.100.8:8"
		syn := leg{"a client of the same slot", 0, "tcp " + client + " > 203.0.113.80:443 S ttl 64", "", "fenced"}
		r.converse([]leg{syn})
		r.sync(0)
		role := "replica"
		if moved {
			role = "adopted"
		}
		r.expectRoles("recovered", "198.51.100.7:4711 established home lb1", "198.51.100.7:4711 established "+role+" lb1", "198.51.100.7:4711 established replica lb1")
		r.publish()
		r.settle()
		r.forgetNone()
		r.converse([]leg{
			k.outbound("its packets come again", 0, "A", "seq 5001 ack 1001"),
			k.inbound("both ways", 0, "A", "seq 1001 ack 5001"),
		})
		n := 0
		for i := range 4000 { // every port of every slot
			r.all[0].inject(fmt.Sprintf("tcp 198.51.100.7:%d > 203.0.113.80:443 S ttl 64", 1+i))
			r.settle()
			n++
		}
		seen := map[string]int{}
		for _, f := range r.all[0].frames() {
			var p packet.Packet
			packet.Parse(f.Bytes, false, &p)
			seen[ends(p.Tuple.Src, p.Tuple.SrcPort).String()]++
		}
		if seen["10.9.1.1:5235"] != 0 || len(seen) != 255 {
			t.Errorf("after %d SYNs %d ports were given out, that of a living session %d times", n, len(seen), seen["10.9.1.1:5235"])
		}
	}
}
