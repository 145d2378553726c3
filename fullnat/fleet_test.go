package fullnat

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A rig is a fleet of benches in one test, their clocks one. Director n has the
// local addresses 10.9.n.0/28 and 2001:db8:9:n::/64. What they tell each other
// goes through the rig's post, which may be slow and may lose.
type rig struct {
	testing.TB
	now  session.Tick
	all  []*bench
	self []session.Owner
	dead []bool
	keep func(slot uint8, director int) bool // nil: everyone keeps everything

	post  []parcel
	delay session.Tick                         // how long a parcel takes
	lost  func(from, to int, what string) bool // nil: nothing is
	said  []string                             // questions that were asked and slots that differed
	asked int
}

// A parcel is something on its way to a director.
type parcel struct {
	due  session.Tick
	to   int
	open func(*bench)
}

// line is what a director says through its Peers.
type line struct {
	*rig
	from int
}

func (l line) Tell(_ int, records []session.Record) {
	for i := range records {
		r := records[i]
		for to := range l.all {
			b := l.all[to]
			if to == l.from || !r.Wide && r.Home.ID != l.self[to].ID && !l.keeps(r.ClientSlot(), to) {
				continue
			}
			l.send(to, "tell", func(b *bench) { b.Apply(l.self[l.from], false, []session.Record{r}) })
			_ = b
		}
	}
}

func (l line) Ask(_ int, tuples []packet.Tuple) {
	for _, t := range tuples {
		l.asked++
		waiting, found := 0, false
		for to := range l.all {
			if to != l.from && !l.dead[to] {
				waiting++
			}
		}
		answer := func(records []session.Record) {
			l.send(l.from, "answer", func(b *bench) {
				waiting--
				if len(records) > 0 && !found {
					found = true
					b.Found(t, &records[0])
				} else if waiting == 0 && !found {
					b.Found(t, nil)
				}
			})
		}
		for to := range l.all {
			if to != l.from {
				l.send(to, "ask", func(b *bench) { b.Lookup([]packet.Tuple{t}, answer) })
			}
		}
	}
}

func (l line) Differs(home session.NodeID, slot uint8) {
	l.said = append(l.said, fmt.Sprintf("lb%d: slot %d of lb%d", l.from+1, slot, l.number(home)+1))
}

func (r *rig) number(id session.NodeID) int {
	return slices.IndexFunc(r.self, func(o session.Owner) bool { return o.ID == id })
}

func (r *rig) keeps(slot uint8, director int) bool { return r.keep == nil || r.keep(slot, director) }

func (r *rig) send(to int, what string, open func(*bench)) {
	if r.lost == nil || !r.lost(0, to, what) {
		r.post = append(r.post, parcel{r.now + r.delay, to, open})
	}
}

// newRig makes a fleet of n directors of one worker each, with the same services.
func newRig(t testing.TB, n int, services ...string) *rig {
	t.Helper()
	return newRigOf(t, n, 1, services...)
}

func newRigOf(t testing.TB, n, workers int, services ...string) *rig {
	t.Helper()
	r := &rig{TB: t, now: 100, dead: make([]bool, n)}
	for i := range n {
		r.self = append(r.self, session.Owner{ID: session.NodeIDOf(fmt.Sprintf("lb%d", i+1)), Epoch: uint64(1_763_000_000+i) * 1e9})
	}
	for i := range n {
		r.all = append(r.all, r.newDirector(i, workers, services...))
	}
	r.publish()
	r.settle()
	r.forget()
	return r
}

func (r *rig) newDirector(i, workers int, services ...string) *bench {
	return r.newDirectorOf(i, workers, Options{Sessions: benchSessions, Replicas: benchSessions}, services...)
}

func (r *rig) newDirectorOf(i, workers int, o Options, services ...string) *bench {
	o.Peers = line{r, i}
	b := newBenchOf(r.TB, workers, o, services...)
	b.snapshot.Locals = blocksOf(i)
	b.now = r.now
	for _, w := range b.workers {
		w.ticked = 0 // it has not slept: the clock was another's
	}
	return b
}

func blocksOf(i int) []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.9.%d.1/32", i+1)), netip.MustParsePrefix(fmt.Sprintf("2001:db8:9:%d::1/128", i+1))}
}

// fleet is what director i is told of the others.
func (r *rig) fleet(i int) *Fleet {
	f := &Fleet{Self: r.self[i]}
	for j := range r.self {
		if j != i {
			f.Members = append(f.Members, Member{ID: r.self[j].ID, Blocks: blocksOf(j), Alive: !r.dead[j]})
		}
	}
	for slot := range f.Keeps {
		f.Keeps[slot] = r.keeps(uint8(slot), i)
	}
	return f
}

// publish tells all directors of the fleet as it is now.
func (r *rig) publish() {
	r.Helper()
	for i, b := range r.all {
		b.snapshot.Fleet = r.fleet(i)
		b.publish()
	}
}

// kill ends a director. What it had sent arrives.
func (r *rig) kill(i int) {
	r.Helper()
	r.dead[i] = true
	r.publish()
	r.settle()
}

// settle lets everybody work, and the post be carried, until nothing happens.
func (r *rig) settle() {
	for again := true; again; {
		for i, b := range r.all {
			b.now = r.now
			if !r.dead[i] {
				b.settle()
			}
		}
		again = r.carryPost()
	}
}

// carryPost delivers what is due.
func (r *rig) carryPost() (any bool) {
	post := r.post
	r.post = nil
	for _, p := range post {
		switch {
		case int32(r.now-p.due) < 0:
			r.post = append(r.post, p)
		case !r.dead[p.to]:
			p.open(r.all[p.to])
			any = true
		}
	}
	return any
}

func (r *rig) pass(d time.Duration) {
	for range ticks(d) {
		r.now++
		r.settle()
	}
}

// forget lets go of what was sent and counted.
func (r *rig) forget() {
	for _, b := range r.all {
		b.frames()
		b.verdictsSince()
	}
	r.said, r.asked = nil, 0
}

// A leg is one step of a conversation with a fleet: at which director the packet
// comes in. It has to leave there.
type leg struct {
	name string
	at   int
	in   string
	out  string
	want string
}

func (r *rig) converse(legs []leg) {
	r.Helper()
	for _, l := range legs {
		if l.in != "" {
			r.all[l.at].inject(strings.Split(l.in, "\n")...)
		}
		r.settle()
		for i, b := range r.all {
			switch {
			case i == l.at && l.want == "*": // whatever else comes along
				if got := b.sent(); !strings.Contains(got, l.out) {
					r.Errorf("%s:\nsent %s\nwant %s", l.name, cmpLine(got), cmpLine(l.out))
				}
				b.verdictsSince()
			case i == l.at:
				b.expect(l.name, l.out, l.want)
			case !r.dead[i]:
				b.expect(fmt.Sprintf("%s: lb%d", l.name, i+1), "", "")
			}
		}
	}
}

// roles says what each director knows: for each session its client, state, role
// and home.
func (r *rig) roles(i int) []string {
	var all []string
	for _, w := range r.all[i].workers {
		w.sessions.Each(0, 1<<30, func(s *session.Session) {
			info := w.info(s, r.now)
			all = append(all, fmt.Sprintf("%v %s %v lb%d", info.Client, info.State, info.Role, r.number(info.Home)+1))
		})
	}
	slices.Sort(all)
	return all
}

func (r *rig) expectRoles(name string, want ...string) {
	r.Helper()
	for i, w := range want {
		if r.dead[i] {
			continue
		}
		if got := strings.Join(r.roles(i), ", "); got != w {
			r.Errorf("%s: lb%d has %q, want %q", name, i+1, got, w)
		}
	}
}

func hostPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// export returns all shared sessions of a director.
func (r *rig) export(b *bench) (all [][]session.Record) {
	r.Helper()
	q := session.Query{}
	for slot := range q.Slots {
		q.Slots[slot] = true
	}
	for records, err := range b.Export(r.Context(), q) {
		if err != nil {
			r.Fatal(err)
		}
		all = append(all, slices.Clone(records))
	}
	return all
}

// Frames for the other directors' addresses come to us, yet nobody on a link is
// told that they are here. Of an address that two claim we believe ourselves.
func TestBlocks(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	var want []netip.Prefix
	for i := range 2 {
		want = append(want, blocksOf(i)...)
	}
	if got := r.all[0].steered.Locals; !slices.Equal(got, want) {
		t.Errorf("steered %v, want %v", got, want)
	}
	f := r.fleet(0)
	f.Members[0].Blocks = []netip.Prefix{netip.MustParsePrefix("192.0.2.64/29"), netip.MustParsePrefix("192.0.2.76/30"), netip.MustParsePrefix("2001:db8:2::/120")}
	b := r.all[0]
	b.snapshot.Fleet = f
	b.snapshot.Locals = append(blocksOf(0), netip.MustParsePrefix("192.0.2.78/32"))
	b.publish()
	r.settle()
	if got := b.sent(); !strings.HasPrefix(got, "arp announce 192.0.2.78") && strings.Contains(got, "192.0.2.65") {
		t.Errorf("announced %s", got)
	}
	b.verdictsSince()
	r.converse([]leg{
		{"another's", 0, "arp who-has 192.0.2.65 tell 192.0.2.7", "", "not_ours"},
		{"another's, IPv6", 0, "nd who-has 2001:db8:2::65 tell 2001:db8:2::7", "", "not_ours"},
		{"in between", 0, "icmp 198.51.100.7 > 192.0.2.70 echo ttl 64", "", "protocol"},
		{"claimed by both", 0, "arp who-has 192.0.2.78 tell 192.0.2.7", "arp 192.0.2.78 is-at 02:00:00:00:00:01 tell 192.0.2.7", "answered"},
		{"beyond", 0, "icmp 198.51.100.7 > 192.0.2.80 echo ttl 64", "", "not_ours"},
	})
}

// What would become of a packet is told with the fleet in mind.
func TestExplainFleet(t *testing.T) {
	r := newRig(t, 2, talkServices...)
	r.begin(&talks[0])
	explain := func(name, src, dst, want string) {
		t.Helper()
		e, err := r.all[1].Explain(t.Context(), tupleOf(src, dst))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(e.Why, "\n"); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwant %s", name, got, want)
		}
	}
	k := &talks[0]
	explain("a replica", k.client, k.vip, "it is kept here")
	explain("a server's packet for it", k.server, k.local, "it is kept here")
	explain("unknown", "198.51.100.9:99", k.vip, "the other directors are asked")
	r.converse([]leg{k.inbound("adopted", 1, "A", "seq 1001 ack 5001")})
	explain("adopted", k.client, k.vip, "its packets come here")
	f := r.fleet(1)
	f.Fenced = true
	r.all[1].snapshot.Fleet = f
	r.all[1].publish()
	r.settle()
	explain("fenced", "198.51.100.9:99", k.vip, "fenced: ")
}
