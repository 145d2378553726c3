package replica

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// nowhere is a wire on which everything is lost.
type nowhere struct{}

func (nowhere) Send(session.NodeID, []byte) error { return nil }
func (nowhere) Open(context.Context, session.NodeID) (net.Conn, error) {
	return nil, net.ErrClosed
}

// sink is Sessions that believe everything and keep nothing.
type sink struct{ *memory }

func (sink) Apply(session.Owner, bool, []session.Record) bool { return true }

// BenchmarkTell is a record on its way out: told by a worker, queued for two
// keepers, sent, acknowledged. What happens on the worker's own time is told
// apart.
func BenchmarkTell(b *testing.B) {
	self := session.Owner{ID: 1, Epoch: 7}
	e := New(self, nowhere{}, sink{newMemory(self)}, Options{})
	e.SetMembers([]Member{member(session.Owner{ID: 2, Epoch: 7}), member(session.Owner{ID: 3, Epoch: 7})})
	records := make([]session.Record, 64)
	for i := range records {
		records[i] = record(self, i)
	}
	var worker time.Duration
	turn := func() {
		start := time.Now()
		e.Tell(0, records)
		worker += time.Since(start)
		now := time.Now().Add(time.Hour) // whatever waits for more need not
		e.step(b.Context(), now)
		for _, p := range e.last.peers {
			o := &p.outgoing
			o.width = window
			e.heard(p, &ackState{stream: o.stream, applied: o.oldest + uint32(o.sent) - 1}, now)
			o.last = time.Time{}
		}
	}
	for range 100 {
		turn()
	}
	worker = 0
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		turn()
		n += len(records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
	b.ReportMetric(float64(worker.Nanoseconds())/float64(n), "ns/record-worker")
}

// BenchmarkReceive is a record on its way in: parsed, judged, given to the
// sessions.
func BenchmarkReceive(b *testing.B) {
	them, me := session.Owner{ID: 1, Epoch: 7}, session.Owner{ID: 2, Epoch: 7}
	e := New(me, nowhere{}, sink{newMemory(me)}, Options{})
	e.SetMembers([]Member{member(them)})
	var body []byte
	n := 0
	for {
		r := record(them, n)
		if next := appendRecord(body, &r, them); len(next) <= maxBody {
			body = next
			n++
			continue
		}
		break
	}
	o := outgoing{stream: 1, oldest: 1}
	var buf []byte
	number := uint32(0)
	turn := func() {
		number++
		o.oldest = number
		buf = o.appendBatch(appendHeader(buf[:0], me.Epoch), &batch{body: body, number: number})
		if number == 1 {
			o.oldest = 1
		}
		e.Receive(them, buf)
	}
	for range 100 {
		turn()
	}
	b.ReportAllocs()
	loops := 0
	for b.Loop() {
		turn()
		loops++
	}
	if got := e.Stats().Applied; got != uint64(n)*uint64(number) {
		b.Fatalf("%d records applied, want %d", got, uint64(n)*uint64(number))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(loops*n), "ns/record")
}

// A loopback is a wire over this machine's UDP and TCP, without seals.
type loopback struct {
	self session.Owner
	udp  *net.UDPConn
	tcp  net.Listener

	peers  map[session.NodeID]*loopback
	engine *Engine
}

func newLoopback(b testing.TB, self session.Owner) *loopback {
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	udp.SetReadBuffer(4 << 20)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { udp.Close(); tcp.Close() })
	return &loopback{self: self, udp: udp, tcp: tcp, peers: map[session.NodeID]*loopback{}}
}

func (l *loopback) Send(to session.NodeID, payload []byte) error {
	_, err := l.udp.WriteToUDPAddrPort(payload, l.peers[to].udp.LocalAddr().(*net.UDPAddr).AddrPort())
	return err
}

func (l *loopback) Open(ctx context.Context, to session.NodeID) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", l.peers[to].tcp.Addr().String())
	if err != nil {
		return nil, err
	}
	_, err = c.Write([]byte{byte(l.self.ID)})
	return c, err
}

// serve gives the engine what comes.
func (l *loopback) serve() {
	go func() {
		by := map[netip.AddrPort]session.Owner{}
		for _, p := range l.peers {
			by[p.udp.LocalAddr().(*net.UDPAddr).AddrPort()] = p.self
		}
		buf := make([]byte, 2048)
		for {
			n, from, err := l.udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			l.engine.Receive(by[from], buf[:n])
		}
	}()
	go func() {
		for {
			c, err := l.tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var who [1]byte
				c.Read(who[:])
				l.engine.Accept(l.peers[session.NodeID(who[0])].self, c)
			}()
		}
	}()
}

// trio is three directors on this machine's loopback, with real tables.
func trio(b testing.TB, sessions int) (all [3]*plane) {
	var wires [3]*loopback
	start := time.Now()
	for i := range all {
		self := session.Owner{ID: session.NodeID(i + 1), Epoch: uint64(start.UnixNano())}
		wires[i] = newLoopback(b, self)
		all[i] = newPlane(start, self, sessions, 1024, 65535)
		all[i].fenced = false
		var locals []packet.Addr
		for a := block(self.ID).Addr().Next(); len(locals) < 64; a = a.Next() {
			locals = append(locals, packet.AddrFrom(a))
		}
		all[i].table.SetLocals(locals, 1024, 65535)
	}
	for i, p := range all {
		for _, w := range wires {
			wires[i].peers[w.self.ID] = w
		}
		p.engine = New(p.self, wires[i], p, Options{Blocks: []netip.Prefix{block(p.self.ID)}})
		wires[i].engine = p.engine
		wires[i].serve()
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.engine.Run(ctx)
		}()
		b.Cleanup(func() { stop(); <-done })
	}
	return all
}

func (p *plane) meet(others ...*plane) {
	var members []Member
	for _, o := range others {
		members = append(members, member(o.self))
	}
	p.engine.SetMembers(members)
	p.join()
}

// BenchmarkLag replicates 20,000 new sessions a second to two keepers, over real
// UDP and into real tables, and tells how long they were at risk. Everything
// shares this machine's processors.
func BenchmarkLag(b *testing.B) {
	all := trio(b, 400_000)
	for i, p := range all {
		p.meet(all[(i+1)%3], all[(i+2)%3])
	}
	time.Sleep(500 * time.Millisecond)
	const rate = 20_000
	opened := 0
	start := time.Now()
	for b.Loop() {
		for due := int(time.Since(start).Seconds() * rate); opened < due; opened++ {
			all[0].open(client(opened))
		}
		time.Sleep(500 * time.Microsecond)
	}
	b.StopTimer()
	time.Sleep(200 * time.Millisecond)
	s := all[0].engine.Stats()
	b.ReportMetric(float64(opened)/b.Elapsed().Seconds(), "sessions/s")
	b.ReportMetric(float64(s.Lag.Quantile(0.5).Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(s.Lag.Quantile(0.99).Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(s.Bytes)/float64(opened), "B/session")
	b.ReportMetric(float64(s.Datagrams)/b.Elapsed().Seconds(), "datagrams/s")
	b.ReportMetric(float64(s.Resent), "resent")
	if s.AtRisk > 0 || s.Overflowed > 0 {
		b.Errorf("%d at risk, %d overflowed", s.AtRisk, s.Overflowed)
	}
}

// BenchmarkBulk is the Sync of a director that keeps a million sessions, half of
// them of each of two others, over TCP.
func BenchmarkBulk(b *testing.B) {
	const sessions = 1_000_000
	all := trio(b, sessions/2)
	for i, p := range all[:2] {
		for n := range sessions / 2 {
			p.open(client(i<<23 | n))
		}
		if p.table.Count() != sessions/2 {
			b.Fatalf("%d sessions", p.table.Count())
		}
	}
	for b.Loop() {
		var before, peak runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i, p := range all {
			p.meet(all[(i+1)%3], all[(i+2)%3])
		}
		start := time.Now()
		var most uint64
		if err := all[2].engine.Sync(b.Context(), func(Progress) {
			if runtime.ReadMemStats(&peak); peak.HeapAlloc > before.HeapAlloc {
				most = max(most, peak.HeapAlloc-before.HeapAlloc)
			}
		}); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		s := all[2].engine.Stats()
		b.ReportMetric(took.Seconds(), "s/sync")
		b.ReportMetric(float64(s.Pulled)/took.Seconds(), "sessions/s")
		b.ReportMetric(float64(s.PulledBytes)/float64(s.Pulled), "B/session")
		b.ReportMetric(float64(most)/(1<<20), "MB-heap")
		if n := all[2].table.Roles()[session.Replica]; n != sessions {
			b.Errorf("%d replicas, want %d", n, sessions)
		}
		all[2].table.Each(0, 1<<30, func(s *session.Session) { all[2].table.Close(s) })
		for _, p := range all {
			p.engine.SetMembers(nil)
		}
	}
}

// TestSizes says what a session costs on the wire in the whole of its life.
func TestSizes(t *testing.T) {
	home, other := session.Owner{ID: 1, Epoch: 7}, session.Owner{ID: 2, Epoch: 7}
	six := record(home, 1)
	six.VIP, six.Server, six.Client, six.Local = addr("2001:db8::10"), addr("2001:db8:3::1"), addr("2001:db8:9::1"), addr("2001:db8:2::1")
	six.LocalPort = six.LocalPort&0xff00 | uint16(six.ClientSlot())
	for name, r := range map[string]session.Record{"IPv4": record(home, 1), "IPv6": six} {
		if err := r.Valid(); err != nil {
			t.Fatal(err)
		}
		r.Ends = [2]session.End{{Expects: 1, Heard: true, Acked: true}, {Expects: 2, Heard: true, Acked: true}}
		update := len(appendRecord(nil, &r, home))
		fin := r
		fin.State = session.CloseWait
		last := r
		last.State = session.LastAck
		gone := r
		gone.Kind = session.Gone
		life := update + len(appendRecord(nil, &fin, home)) + len(appendRecord(nil, &last, home)) + len(appendRecord(nil, &gone, home))
		per := maxBody / update
		overhead := float64(MaxDatagram-maxBody) / float64(per)
		t.Logf("%s: established %d bytes, from another director %d, gone %d; a life of established, two FINs and gone %d; %d to a datagram, whose own %d bytes are %.1f for each",
			name, update, len(appendRecord(nil, &r, other)), len(appendRecord(nil, &gone, home)), life, per, MaxDatagram-maxBody, overhead)
	}
}
