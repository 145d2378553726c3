package replica

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A site is a whole fleet with its clients and its routers: directors with real
// session tables and engines, on a network and a clock that are not real.
//
// Clients send a datagram every few seconds; the routers give it to any director
// that serves, and the answer to the director whose local address it came from,
// or to one that stands in for it. A client whose session nobody knows any more
// is broken: it gets another local port. Two clients that use the same local port
// at the same time are what must never be.
type site struct {
	*network
	t      *testing.T
	random *rand.Rand
	start  time.Time
	all    []*node // by number; nil while it is dead
	salt   uint64  // of the routers' hash
	flows  []*flow
	ports  map[port]*flow // who was last given a local port
	want   int            // flows
	nextID int
	lo, hi uint16

	opened, broken int
}

// A node is a director.
type node struct {
	*plane
	e      *Engine
	stop   context.CancelFunc
	ended  chan struct{}
	frozen bool
	serves bool
	look   time.Time // when it next learns who the others are; zero: it knows
}

type port struct {
	home session.NodeID
	port uint16
}

// A flow is what one client does.
type flow struct {
	tuple packet.Tuple
	port  port
	used  time.Time // when it last got through
	next  time.Time
	until time.Time
	out   bool // its next packet is an answer
}

func newSite(t *testing.T, seed uint64, directors, flows int) *site {
	s := &site{
		network: newNetwork(seed), t: t, random: rand.New(rand.NewPCG(seed, 1)), start: time.Now(),
		all: make([]*node, directors), ports: map[port]*flow{}, want: flows, lo: 1024, hi: 1024 + 4*256 - 1,
	}
	for i := range s.all {
		s.boot(i)
	}
	s.run(10 * time.Second)
	return s
}

func (s *site) id(i int) session.NodeID { return session.NodeID(i + 1) }

// boot starts a director that remembers nothing. It serves when it has fetched
// what there is.
func (s *site) boot(i int) {
	self := session.Owner{ID: s.id(i), Epoch: uint64(time.Now().UnixNano())}
	n := &node{plane: newPlane(s.start, self, 20000, s.lo, s.hi), ended: make(chan struct{})}
	n.e = New(self, wire{s.network, self.ID}, n.plane, Options{Blocks: []netip.Prefix{block(self.ID)}, Log: slog.New(slog.DiscardHandler)})
	n.plane.engine = n.e
	ctx, cancel := context.WithCancel(s.t.Context())
	n.stop = cancel
	go func() {
		defer close(n.ended)
		n.e.Run(ctx)
	}()
	s.set(func() { s.engines[self.ID], s.owners[self.ID] = n.e, self })
	s.all[i] = n
	n.view(s)
	s.changed()
	s.enter(ctx, n)
}

// enter has a director fetch what there is, and serve.
func (s *site) enter(ctx context.Context, n *node) {
	go func() {
		if n.e.Sync(ctx, nil) == nil {
			s.set(func() {
				n.fence(false)
				n.serves = true
				s.changedLocked()
			})
		}
	}()
}

// changed lets every director look around soon, each at its own time.
func (s *site) changed() { s.set(s.changedLocked) }

func (s *site) changedLocked() {
	for _, n := range s.all {
		if n != nil {
			n.look = time.Now().Add(500*time.Millisecond + time.Duration(s.network.random.Int64N(int64(2500*time.Millisecond))))
		}
	}
}

// view tells a director who it can reach.
func (n *node) view(s *site) {
	var members []Member
	s.set(func() {
		for _, o := range s.all {
			if o != nil && o != n && !o.frozen && (s.cut == nil || !s.cut(n.self.ID, o.self.ID)) {
				m := member(o.self)
				m.Serving = o.serves
				members = append(members, m)
			}
		}
	})
	n.e.SetMembers(members)
	n.join()
}

// kill ends a director and forgets what it knew.
func (s *site) kill(i int) {
	n := s.all[i]
	s.set(func() { delete(s.engines, s.id(i)) })
	n.stop()
	<-n.ended
	s.all[i] = nil
	s.changed()
}

// freeze stops a director; it comes back in another life.
func (s *site) freeze(i int) {
	n := s.all[i]
	s.set(func() { s.frozen[s.id(i)], n.frozen, n.serves = true, true, false })
	s.changed()
}

func (s *site) thaw(i int) {
	n := s.all[i]
	self := session.Owner{ID: s.id(i), Epoch: uint64(time.Now().UnixNano())}
	n.fence(true)
	var late []func()
	s.set(func() {
		s.frozen[s.id(i)], n.frozen = false, false
		s.owners[s.id(i)] = self
		late, s.late[s.id(i)] = s.late[s.id(i)], nil
	})
	for _, f := range late {
		f()
	}
	n.plane.mu.Lock()
	n.self = self
	n.table.SetSelf(self, n.now())
	n.plane.mu.Unlock()
	n.e.SetSelf(self)
	n.view(s)
	s.changed()
	s.enter(s.t.Context(), n)
}

// run lets time go by.
func (s *site) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(tick) {
		now := time.Now()
		for _, n := range s.all {
			if n == nil || n.frozen {
				continue
			}
			s.mu.Lock()
			look := n.look
			if due := !look.IsZero() && !now.Before(look); due {
				n.look = time.Time{}
			}
			s.mu.Unlock()
			if !look.IsZero() && !now.Before(look) {
				n.view(s)
			}
			n.turn()
		}
		for len(s.flows) < s.want {
			f := &flow{tuple: client(s.nextID), until: now.Add(time.Duration(30+s.random.IntN(600)) * time.Second)}
			f.next = now.Add(time.Duration(s.random.Int64N(int64(5 * time.Second))))
			s.nextID++
			s.flows = append(s.flows, f)
		}
		s.flows = slices.DeleteFunc(s.flows, func(f *flow) bool {
			if !now.Before(f.next) {
				s.send(f, now)
			}
			return now.After(f.until)
		})
	}
}

// send is a client's datagram or the answer to one.
func (s *site) send(f *flow, now time.Time) {
	f.next = now.Add(time.Duration(2+s.random.IntN(6)) * time.Second)
	if f.port.port == 0 {
		s.open(f, now)
		return
	}
	var n *node
	t := f.tuple
	if f.out = !f.out; f.out {
		n = s.successor(f.port.home)
		t = packet.Tuple{
			Src: theService.Server, SrcPort: theService.ServerPort, Dst: packet.AddrFrom(block(f.port.home).Addr().Next()),
			DstPort: f.port.port, Protocol: packet.UDP,
		}
	} else {
		n = s.route(f)
	}
	if n == nil {
		return
	}
	switch n.carry(t) {
	case carried:
		f.used = now
	case asking:
		f.next = now.Add(tick * 3)
		f.out = !f.out
	case unknown:
		if !f.out {
			s.broken++
			s.open(f, now)
		}
	}
}

// open is the first datagram of a session.
func (s *site) open(f *flow, now time.Time) {
	n := s.route(f)
	if n == nil {
		return
	}
	number := n.open(f.tuple)
	if number == 0 {
		f.until = now
		return
	}
	s.opened++
	f.port, f.used = port{n.self.ID, number}, now
	// A director that dies takes along what it has not told of its last third of
	// the timeout.
	if o := s.ports[f.port]; o != nil && o != f && o.port == f.port && now.Sub(o.used) < time.Duration(patienceTicks)*tick*2/3 {
		s.t.Errorf("%v after the start, port %d of director %v is given out again, %v after the client that has it was last heard",
			now.Sub(s.start), number, n.self.ID, now.Sub(o.used))
	}
	s.ports[f.port] = f
}

// route returns where the routers send what a client sends: by a hash over those
// that announce, which moves most clients whenever those change.
func (s *site) route(f *flow) *node {
	up := s.serving()
	if len(up) == 0 {
		return nil
	}
	return up[maphash.Comparable(seed, [2]uint64{s.salt, uint64(f.tuple.SrcPort)<<32 | uint64(f.tuple.Src[13])<<8 | uint64(f.tuple.Src[14])})%uint64(len(up))]
}

// successor returns where the routers send what goes to a director's block.
func (s *site) successor(home session.NodeID) *node {
	up := s.serving()
	var ids []session.NodeID
	for _, n := range up {
		if n.self.ID == home {
			return n
		}
		ids = append(ids, n.self.ID)
	}
	if len(up) == 0 {
		return nil
	}
	return up[slices.Index(ids, Rank(BlockKey(block(home)), ids)[0])]
}

func (s *site) serving() (up []*node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.all {
		if n != nil && n.serves {
			up = append(up, n)
		}
	}
	return up
}

// agree says in what keepers differ from the homes.
func (s *site) agree() error {
	for _, home := range s.all {
		for _, keeper := range s.all {
			if home == nil || keeper == nil || home == keeper || home.frozen || keeper.frozen {
				continue
			}
			kept := keeper.e.roster.Load().kept(home.self.ID)
			ours, _ := home.Digests(context.Background())
			theirs, _ := keeper.Digests(context.Background())
			for slot := range kept.all() {
				var a, b session.Digest
				if d := ours[home.self.ID]; d != nil {
					a = d[slot]
				}
				if d := theirs[home.self.ID]; d != nil {
					b = d[slot]
				}
				if a != b {
					return fmt.Errorf("slot %d of director %v: it has %d sessions, its keeper %v has %d, or others", slot, home.self.ID, a.Count, keeper.self.ID, b.Count)
				}
			}
		}
	}
	return nil
}

func (s *site) end() {
	for i, n := range s.all {
		if n != nil {
			s.kill(i)
		}
	}
}

// seeds are those of the run: SEED, or a few and one that nobody has seen.
func seeds(t *testing.T) []uint64 {
	if v := os.Getenv("SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("SEED: %v", err)
		}
		return []uint64{n}
	}
	if testing.Short() {
		return []uint64{1}
	}
	return []uint64{1, 2, 3, rand.Uint64() >> 32}
}

// TestFaults has one fault after the other, each with time to recover: no client
// notices, no local port is in use twice, and in the end all keepers agree. SEED
// runs a seed that failed again.
func TestFaults(t *testing.T) {
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rounds := 12
				if testing.Short() {
					rounds = 5
				}
				s := newSite(t, seed, 3+int(seed%4), 400)
				defer s.end()
				s.run(30 * time.Second)
				for range rounds {
					what := s.fault()
					broken := s.broken
					s.run(60 * time.Second)
					if s.broken > broken {
						t.Errorf("%v after the start: %d clients are broken after: %s", time.Since(s.start), s.broken-broken, what)
					}
				}
				s.want = 0
				s.run(5 * time.Second)
				if err := s.agree(); err != nil {
					t.Error(err)
				}
				datagrams, _ := s.traffic()
				t.Logf("%d directors, %v: %d sessions opened, %d broken, %d datagrams", len(s.all), time.Since(s.start), s.opened, s.broken, datagrams)
			})
		})
	}
}

// fault does something bad, and undoes it, and says what it was.
func (s *site) fault() string {
	i := s.random.IntN(len(s.all))
	long := time.Duration(1+s.random.IntN(40)) * time.Second
	broken := s.broken
	what := ""
	switch s.random.IntN(5) {
	case 0:
		what = fmt.Sprintf("director %d is killed for %v", i+1, long)
		s.kill(i)
		s.run(long)
		s.boot(i)
	case 1:
		what = fmt.Sprintf("director %d is killed and starts again at once", i+1)
		s.kill(i)
		s.run(200 * time.Millisecond)
		s.boot(i)
	case 2:
		what = fmt.Sprintf("director %d is frozen for %v", i+1, long)
		s.freeze(i)
		s.run(long)
		s.thaw(i)
	case 3:
		what = fmt.Sprintf("director %d is cut off for %v", i+1, long/2)
		s.set(func() {
			s.cut = func(from, to session.NodeID) bool { return (from == s.id(i)) != (to == s.id(i)) }
		})
		s.changed()
		s.run(long / 2)
		s.set(func() { s.cut = nil })
		s.changed()
	case 4:
		what = "the routers rehash, and a tenth of the datagrams is lost"
		s.salt++
		s.set(func() { s.loss, s.jitter = 0.1, 5*time.Millisecond })
		s.run(long)
		s.set(func() { s.loss, s.jitter = 0, 0 })
	}
	if s.broken > broken {
		s.t.Errorf("%v after the start: %d clients are broken while %s", time.Since(s.start), s.broken-broken, what)
	}
	return what
}
