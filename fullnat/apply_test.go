package fullnat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlb/session"
)

// recordOf is what a director would tell of its only session.
func (r *rig) recordOf(i int) (rec session.Record) {
	r.Helper()
	n := 0
	for _, w := range r.all[i].workers {
		w.sessions.Each(0, 1<<30, func(s *session.Session) {
			w.sessions.Record(s, r.now, &rec)
			n++
		})
	}
	if n != 1 {
		r.Fatalf("lb%d has %d sessions", i+1, n)
	}
	return rec
}

// apply has a director believe records, and says how many it refused.
func (r *rig) apply(to, from int, solicited bool, records ...session.Record) uint64 {
	r.Helper()
	before := r.counters(to).Refused
	if !r.all[to].Apply(r.self[from], solicited, records) {
		r.Fatalf("lb%d has no room for %d records", to+1, len(records))
	}
	r.settle()
	return r.counters(to).Refused - before
}

func (r *rig) counters(i int) FleetCounters {
	r.Helper()
	c, err := r.all[i].Counters(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return c.Fleet
}

// Only its home creates and ends a session, where it is to be kept; others may
// tell of one that is here, and give what they were asked for.
func TestBelief(t *testing.T) {
	r := newRig(t, 3, talkServices...)
	r.keep = keepFirst
	r.publish()
	r.begin(&talks[0])
	rec := r.recordOf(0)
	r.keep = func(_ uint8, director int) bool { return director == 1 }
	r.publish()
	gone, mark := rec, session.Record{Kind: session.Mark, Home: rec.Home, Slot: rec.ClientSlot(), Digest: session.Digest{Count: 7}}
	gone.Kind = session.Gone
	wait := rec
	wait.State, wait.Idle = session.CloseWait, 5
	bad := rec
	bad.Local = bad.Client
	here := "198.51.100.7:4711 established replica lb1"
	for _, tt := range []struct {
		name      string
		to, from  int
		solicited bool
		record    session.Record
		refused   uint64
		roles     string
	}{
		{"another may not create", 1, 2, false, rec, 1, ""},
		{"nor say that it has changed", 1, 2, false, wait, 1, ""},
		{"nor may the home where it is not kept", 2, 0, false, rec, 1, ""},
		{"nor anybody that was asked", 2, 1, true, rec, 1, ""},
		{"what cannot be is refused", 1, 0, false, bad, 1, ""},
		{"the home creates", 1, 0, false, rec, 0, here},
		{"again is nothing new", 1, 0, false, rec, 0, here},
		{"another may not end", 1, 2, false, gone, 1, here},
		{"nor mark", 1, 2, false, mark, 1, here},
		{"but tell", 1, 2, false, wait, 0, "198.51.100.7:4711 close_wait replica lb1"},
		{"the past does not come back", 1, 0, false, rec, 0, "198.51.100.7:4711 close_wait replica lb1"},
		{"the home ends", 1, 0, false, gone, 0, ""},
		{"there is nothing to end", 1, 0, false, gone, 0, ""},
		{"who was asked creates", 1, 2, true, rec, 0, here},
	} {
		if got := r.apply(tt.to, tt.from, tt.solicited, tt.record); got != tt.refused {
			t.Errorf("%s: refused %d, want %d", tt.name, got, tt.refused)
		}
		if got := strings.Join(r.roles(tt.to), ", "); got != tt.roles {
			t.Errorf("%s: lb%d has %q, want %q", tt.name, tt.to+1, got, tt.roles)
		}
	}
	r.forgetNone()
}

// A full inbox takes nothing, and what it took is believed in order.
func TestApplyRoom(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	r.keep = keepFirst
	r.publish()
	r.begin(&talks[0])
	r.keep = nil
	r.publish()
	r.settle()
	rec := r.recordOf(0)
	gone := rec
	gone.Kind = session.Gone
	b := r.all[1]
	batch := slices.Repeat([]session.Record{rec, gone}, MaxApply/2)
	for i := range 2 {
		if !b.Apply(r.self[0], false, batch) {
			t.Fatalf("no room for batch %d", i)
		}
	}
	if b.Apply(r.self[0], false, []session.Record{rec}) {
		t.Error("there is room for one too many")
	}
	turns := 0
	for w := b.workers[0]; w.busy(w.clock()); turns++ {
		w.turn(w.clock())
	}
	if turns != newsSize/applyPerTurn {
		t.Errorf("believed in %d turns: packets must not wait so long", turns)
	}
	r.expectRoles("the last word counts", r.roles(0)[0], "")
	if !b.Apply(r.self[0], false, []session.Record{rec}) {
		t.Error("there is no room in an empty inbox")
	}
	r.settle()
	r.expectRoles("now it is here", r.roles(0)[0], "198.51.100.7:4711 established replica lb1")
}

// Where there is no room for more replicas, our own connections go on being
// opened, and what is missing is not asked for again and again.
func TestCrowded(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	r.all[1] = r.newDirectorOf(1, 1, Options{Sessions: 8, Replicas: 4}, talkServices...)
	for _, b := range r.all {
		b.snapshot.Ports = [2]uint16{1024, 65535}
	}
	r.publish()
	for i := range 10 {
		datagram := fmt.Sprintf("udp 198.51.100.7:%d > 203.0.113.53:53 ttl 64", 100+i)
		r.all[0].inject(datagram, datagram, datagram)
	}
	r.settle()
	r.pass(3 * time.Second)
	c := r.counters(1)
	if c.NoRoom != 6 || c.Roles[session.Replica] != 4 {
		t.Errorf("counters %+v", c)
	}
	if len(r.said) != 0 {
		t.Errorf("differs: %v", r.said)
	}
	r.forget()
	for i := range 8 {
		r.all[1].inject(fmt.Sprintf("udp 198.51.100.8:%d > 203.0.113.53:53 ttl 64", 100+i))
	}
	r.settle()
	r.all[1].frames()
	if got := r.all[1].verdictsSince(); got != "forwarded×8" {
		t.Errorf("our own: %s", got)
	}
}

// Marks tell keepers when they hold something else than the home.
func TestMarks(t *testing.T) {
	r := newRig(t, 3, talkServices...)
	for _, k := range talks {
		r.begin(&k)
	}
	r.pass(2 * time.Second)
	if len(r.said) != 0 {
		t.Errorf("all is told, yet %v", r.said)
	}
	r.lost = func(_, to int, what string) bool { return to == 1 }
	r.converse([]leg{talks[0].inbound("FIN", 0, "FA", "seq 1001 ack 5001")})
	r.lost = nil
	r.pass(time.Second)
	if got, want := strings.Join(r.said, ", "), "lb2: slot 115 of lb1"; got != want {
		t.Errorf("a lost record: %q, want %q", got, want)
	}
	r.forget()
	r.pass(20 * time.Second)
	if len(r.said) != 0 {
		t.Errorf("said again: %v", r.said)
	}
	r.kill(2) // a new fleet hears all marks
	r.pass(time.Second)
	if got, want := strings.Join(r.said, ", "), "lb2: slot 115 of lb1"; got != want {
		t.Errorf("to a new fleet: %q, want %q", got, want)
	}
	r.forget()
	r.apply(1, 0, true, r.pick(0, "close_wait"))
	r.dead[2] = false
	r.publish()
	r.pass(time.Second)
	r.said = slices.DeleteFunc(r.said, func(s string) bool { return strings.HasPrefix(s, "lb3") })
	if len(r.said) != 0 {
		t.Errorf("repaired, yet %v", r.said)
	}
	d0, err := r.all[0].Digests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d1, _ := r.all[1].Digests(t.Context())
	home := r.self[0].ID
	if len(d0) != 1 || d0[home][115].Count != 1 || *d0[home] != *d1[home] {
		for slot := range d0[home] {
			if d0[home][slot] != d1[home][slot] {
				t.Errorf("slot %d: digests %v and %v", slot, d0[home][slot], d1[home][slot])
			}
		}
		t.Errorf("digests of %d homes, slot 115: %v", len(d0), d0[home][115])
	}
}

// pick is the record of a director's session in a state.
func (r *rig) pick(i int, state string) (rec session.Record) {
	for _, records := range r.export(r.all[i]) {
		for _, c := range records {
			if c.State.String() == state {
				rec = c
			}
		}
	}
	return rec
}

// Replicas of slots that are no longer ours go; what packets come for stays as
// long as they come.
func TestStray(t *testing.T) {
	r := newRig(t, 3, talkServices...)
	for _, k := range talks {
		r.begin(&k)
	}
	r.converse([]leg{talks[0].inbound("adopted", 1, "A", "seq 1001 ack 5001")})
	r.keep = func(slot uint8, director int) bool { return director == 0 || director == 2 && slot == 115 }
	r.publish()
	expect := func(name string, want ...int) {
		t.Helper()
		for i, want := range want {
			if got := len(r.roles(i)); got != want {
				t.Errorf("%s: lb%d has %d sessions, want %d: %v", name, i+1, got, want, r.roles(i))
			}
		}
	}
	r.pass(20 * time.Second)
	expect("until others have fetched them", 4, 4, 4)
	r.converse([]leg{talks[0].inbound("in use", 1, "A", "seq 1001 ack 5001")})
	r.pass(20 * time.Second)
	expect("then", 4, 1, 1)
	r.converse([]leg{talks[0].inbound("in use", 1, "A", "seq 1001 ack 5001")})
	for range 4 {
		r.pass(20 * time.Second)
		r.converse([]leg{talks[0].inbound("in use", 1, "A", "seq 1001 ack 5001")})
		if r.asked != 0 {
			t.Fatal("asked for what was here")
		}
	}
	r.pass(45 * time.Second)
	if got := r.roles(1); len(got) != 0 {
		t.Errorf("not used: lb2 has %v", got)
	}
	l := talks[0].inbound("asked for again", 1, "A", "seq 1001 ack 5001")
	l.want = "forwarded parked"
	r.converse([]leg{l})
}

// A slot may be ours to keep for some homes and not for others.
func TestKeptPartly(t *testing.T) {
	r := newRig(t, 3, talkServices...)
	r.begin(&talks[0])
	rec := r.recordOf(0)
	f := r.fleet(2)
	for slot := range f.Partly {
		f.Partly[slot] = true
	}
	f.Members[1].Kept[rec.ClientSlot()] = true // of lb2
	r.all[2].snapshot.Fleet = f
	r.all[2].publish()
	r.pass(40 * time.Second)
	r.expectRoles("not lb1's", r.roles(0)[0], r.roles(1)[0], "")
	if r.apply(2, 0, false, rec) != 1 {
		t.Error("believed what is not kept")
	}
	rec.Home = r.self[1]
	rec.Local = addr("10.9.2.1")
	if r.apply(2, 1, false, rec) != 0 {
		t.Error("did not believe what is kept")
	}
	r.pass(2 * time.Second)
	if len(r.said) != 0 {
		t.Errorf("compared what is not kept: %v", r.said)
	}
}

// A director that leaves shares what it has, however young.
func TestLeaving(t *testing.T) {
	r := newRig(t, 3, talkServices...)
	r.converse([]leg{talks[0].inbound("SYN", 0, "S", "seq 1000")})
	r.expectRoles("not shared", "198.51.100.7:4711 syn_recv home lb1", "", "")
	if got := r.export(r.all[0]); len(got) != 0 {
		t.Errorf("exported %v", got)
	}
	leave := func() {
		f := r.fleet(0)
		f.Leaving = true
		r.all[0].snapshot.Fleet = f
		r.all[0].publish()
		r.settle()
	}
	leave()
	r.expectRoles("shared", "198.51.100.7:4711 syn_recv home lb1", "198.51.100.7:4711 syn_recv replica lb1", "198.51.100.7:4711 syn_recv replica lb1")
	r.converse([]leg{talks[1].inbound("from the first packet on", 0, "", "")})
	if got := len(r.roles(1)); got != 2 {
		t.Errorf("lb2 has %v", r.roles(1))
	}
	r.kill(0)
	k := &talks[0]
	r.converse([]leg{
		k.outbound("the handshake goes on elsewhere", 2, "SA", "seq 5000 ack 1001"),
		k.inbound("in both ways", 1, "A", "seq 1001 ack 5001"),
		k.inbound("data", 1, "PA", "seq 1001 ack 5001 len 99"),
		k.outbound("answer", 2, "PA", "seq 5001 ack 1100 len 500"),
	})
}
