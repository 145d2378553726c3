package replica

import (
	"context"
	"iter"
	"net/netip"
	"sync"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A plane is a dataplane of one worker without packets: a session table, by the
// rules of package fullnat.
type plane struct {
	mu     sync.Mutex
	start  time.Time
	self   session.Owner
	engine *Engine
	table  *session.Table
	path   session.PathID
	keeps  [session.Slots]bool
	fenced bool
	marks  [session.Slots]session.Digest
	found  map[packet.Tuple]*session.Record

	expired, touched [64]*session.Session
}

const tick = 100 * time.Millisecond

// theService is the only one there is. All its sessions go to one server, so that
// local ports are few.
var theService = session.PathKey{
	VIP: addr("203.0.113.53"), VIPPort: 53, Server: addr("10.3.0.11"), ServerPort: 5353,
	Protocol: packet.UDP, Mode: session.FULLNAT,
}

// patience is when a session of theService expires.
const patienceTicks = session.Tick(1200)

func newPlane(start time.Time, self session.Owner, sessions int, lo, hi uint16) *plane {
	p := &plane{start: start, self: self, fenced: true, found: map[packet.Tuple]*session.Record{}}
	p.table = session.NewTable(session.Config{Sessions: sessions, Replicas: 4 * sessions, Slots: [2]int{0, session.Slots}})
	p.table.SetTimeouts(0, session.Timeouts{session.OneWay: patienceTicks, session.TwoWay: patienceTicks})
	p.table.SetSelf(self, p.now())
	p.table.SetLocals([]packet.Addr{packet.AddrFrom(block(self.ID).Addr().Next())}, lo, hi)
	p.path = p.table.Bind(theService)
	p.table.Path(p.path).Live = true
	return p
}

func (p *plane) now() session.Tick { return session.Tick(time.Since(p.start)/tick) + 1 }

func (p *plane) Apply(from session.Owner, solicited bool, records []session.Record) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range records {
		r := &records[i]
		home := r.Home.ID == from.ID
		switch {
		case r.Kind == session.Mark && home:
			if p.keeps[r.Slot] && !p.fenced && p.table.Digest(r.Home.ID, r.Slot) != r.Digest {
				p.engine.Differs(r.Home.ID, r.Slot)
			}
		case r.Kind == session.Gone && home:
			p.table.Remove(r)
		case r.Kind == session.Update && ((home || solicited) && (p.keeps[r.ClientSlot()] || r.Home.ID == p.self.ID) || p.table.Held(r) != nil):
			p.table.Install(r, p.now())
		}
	}
	return true
}

func (p *plane) Found(t packet.Tuple, r *session.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r != nil {
		p.table.Install(r, p.now())
	}
	p.found[t] = r
}

func (p *plane) Lookup(tuples []packet.Tuple, reply func([]session.Record)) {
	reply(func() (found []session.Record) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for i := range tuples {
			if s, _ := p.table.Find(&tuples[i]); s != nil && !p.fenced {
				if !s.Shared() {
					p.table.Share(s, p.now())
					p.tell(s)
				}
				found = append(found, session.Record{})
				p.table.Record(s, p.now(), &found[len(found)-1])
			}
		}
		return found
	}())
}

func (p *plane) Export(ctx context.Context, q session.Query) iter.Seq2[[]session.Record, error] {
	return func(yield func([]session.Record, error) bool) {
		var records []session.Record
		for from, done := session.Cursor(0), false; !done; {
			records = records[:0]
			p.mu.Lock()
			from = p.table.Each(from, 256, func(s *session.Session) {
				if slot := session.Slot(theService.Protocol, s.Client, s.ClientPort); s.Shared() && q.Matches(p.table.HomeOf(s).ID, slot) {
					records = append(records, session.Record{})
					p.table.Record(s, p.now(), &records[len(records)-1])
				}
			})
			p.mu.Unlock()
			done = from == 0
			if len(records) > 0 && !yield(records, nil) {
				return
			}
		}
	}
}

func (p *plane) Digests(context.Context) (map[session.NodeID]*[session.Slots]session.Digest, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[session.NodeID]*[session.Slots]session.Digest{}
	for _, home := range p.table.Homes() {
		all[home] = new([session.Slots]session.Digest)
		for slot := range all[home] {
			all[home][slot] = p.table.Digest(home, uint8(slot))
		}
	}
	return all, nil
}

// tell lets the others know how s is. mu is held.
func (p *plane) tell(s *session.Session) {
	var r [1]session.Record
	p.table.Tell(s, p.now(), &r[0])
	p.engine.Tell(0, r[:])
}

// carry is a packet of these ends and says what became of it.
func (p *plane) carry(t packet.Tuple) fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, d := p.table.Find(&t)
	if s == nil {
		if r, answered := p.found[t]; answered {
			delete(p.found, t)
			if r == nil {
				return unknown
			}
		}
		p.engine.Ask(0, []packet.Tuple{t})
		return asking
	}
	delete(p.found, t)
	if s.Role() == session.Replica {
		p.table.Adopt(s, p.now())
	}
	p.table.Track(s, d, &packet.Packet{Frame: make([]byte, 60)}, p.now())
	if s.News() {
		p.tell(s)
	}
	return carried
}

type fate int

const (
	carried fate = iota
	asking
	unknown // nobody has its session
)

// open opens a session and returns its local port, 0 if there is none.
func (p *plane) open(t packet.Tuple) uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, _ := p.table.Open(t.Src, t.SrcPort, p.path, p.now())
	if s == nil {
		return 0
	}
	p.table.Track(s, session.Inbound, &packet.Packet{Frame: make([]byte, 60)}, p.now())
	p.table.Track(s, session.Outbound, &packet.Packet{Frame: make([]byte, 60)}, p.now())
	p.tell(s)
	return s.LocalPort
}

// turn is what a worker does once a tick.
func (p *plane) turn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.fenced {
		return
	}
	for {
		e, t := p.table.Expire(now, p.expired[:], p.touched[:])
		for _, s := range p.expired[:e] {
			p.close(s)
		}
		for _, s := range p.touched[:t] {
			if s.Role() != session.Replica {
				p.tell(s)
			}
		}
		if !p.table.Behind(now) {
			break
		}
	}
	for slot := int(now % 10); slot < session.Slots; slot += 10 {
		if d := p.table.Digest(p.self.ID, uint8(slot)); d != p.marks[slot] {
			p.marks[slot] = d
			p.engine.Tell(0, []session.Record{{Kind: session.Mark, Home: p.self, Slot: uint8(slot), Digest: d}})
		}
	}
}

func (p *plane) close(s *session.Session) {
	if s.Shared() && s.Role() == session.Home {
		var r [1]session.Record
		p.table.Record(s, p.now(), &r[0])
		r[0].Kind = session.Gone
		p.engine.Tell(0, r[:])
	}
	p.table.Close(s)
}

// join is for a new view of the fleet.
func (p *plane) join() {
	keeps := p.engine.Keeps()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keeps = keeps
	for i := range p.marks {
		p.marks[i] = session.Digest{Count: ^uint32(0)}
	}
	p.table.Each(0, 1<<30, func(s *session.Session) {
		if s.Role() == session.Replica && !p.keeps[session.Slot(theService.Protocol, s.Client, s.ClientPort)] {
			p.close(s)
		}
	})
}

func (p *plane) fence(up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fenced = up
}

// client returns the n-th client's packets.
func client(n int) packet.Tuple {
	return packet.Tuple{
		Src: packet.AddrFrom(netip.AddrFrom4([4]byte{198, 18, byte(n >> 16), byte(n >> 8)})), SrcPort: 1024 + uint16(n&0xff),
		Dst: theService.VIP, DstPort: theService.VIPPort, Protocol: packet.UDP,
	}
}
