package fullnat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlb/fullnat/link/linktest"
	"fleetlb/fullnat/packet"
)

// ask puts every question a plane can be asked and returns the errors.
func ask(ctx context.Context, p *Plane) (errs []error) {
	add := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	_, err := p.Counters(ctx)
	add(err)
	for _, err := range p.Sessions(ctx) {
		add(err)
	}
	_, err = p.Established(ctx)
	add(err)
	_, err = p.Pools(ctx)
	add(err)
	_, err = p.Explain(ctx, packet.Tuple{Src: addr("198.51.100.7"), SrcPort: 4711, Dst: addr("203.0.113.80"), DstPort: 443, Protocol: packet.TCP})
	add(err)
	return errs
}

const questions = 5

// TestAskBeforeAndAfter asks a plane that does not run yet, runs, and has ended.
func TestAskBeforeAndAfter(t *testing.T) {
	w := newTestWorkers(t, 2, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	p := New(testPorts{w}, Options{Sessions: 100})
	if errs := ask(t.Context(), p); errs != nil {
		t.Errorf("before the first snapshot: %v", errs)
	}
	s := w.snapshot
	if err := p.Publish(&s); err != nil {
		t.Fatal(err)
	}
	if errs := ask(t.Context(), p); errs != nil {
		t.Errorf("before Run: %v", errs)
	}
	if c, _ := p.Counters(t.Context()); len(c.Servers) != 1 || len(c.Workers) != 2 || c.Workers[0].Busy != 0 {
		t.Errorf("counters before Run: %+v", c)
	}

	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	for range 100 {
		if errs := ask(ctx, p); errs != nil {
			t.Fatalf("running: %v", errs)
		}
	}
	end()
	running.Wait()
	errs := ask(t.Context(), p)
	if len(errs) != questions {
		t.Errorf("ended: %v", errs)
	}
	for _, err := range errs {
		if !errors.Is(err, ErrStopped) {
			t.Errorf("ended: %v, want %v", err, ErrStopped)
		}
	}
}

// TestAskWhileEnding asks a plane that ends meanwhile; nobody waits for ever.
func TestAskWhileEnding(t *testing.T) {
	for range 20 {
		w := newTestWorkers(t, 2)
		p := New(testPorts{w}, Options{Sessions: 100})
		ctx, end := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { p.Run(ctx) })
		for range 4 {
			all.Go(func() {
				for len(ask(context.Background(), p)) == 0 {
				}
			})
		}
		time.Sleep(time.Millisecond)
		end()
		all.Wait()
	}
}

// TestAskGivesUp does not wait longer than it may for a worker that hangs.
func TestAskGivesUp(t *testing.T) {
	w := newTestWorkers(t, 1)
	w.Plane.running = true // and never comes round
	reason := errors.New("no patience")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, reason)
	defer cancel()
	for _, err := range ask(ctx, w.Plane)[:2] {
		if !errors.Is(err, reason) {
			t.Errorf("%v, want %v", err, reason)
		}
	}
}

// TestAskPanics: a question that goes wrong costs its answer.
func TestAskPanics(t *testing.T) {
	w := newTestWorkers(t, 1)
	_, err := inquire(t.Context(), w.Plane, w.workers[0], func() int { panic("no idea") })
	if err == nil || err.Error() != "dataplane: worker 0: panic: no idea" {
		t.Errorf("error %v", err)
	}
}

func TestHeartbeat(t *testing.T) {
	w := newTestWorkers(t, 2)
	p := w.Plane
	p.start = time.Now().Add(-time.Minute)
	if got := p.Heartbeat(); got < time.Minute || got > time.Minute+10*time.Second {
		t.Errorf("never run: %v", got)
	}
	for _, worker := range p.workers {
		worker.beat.Store(int64(p.tick()))
	}
	if got := p.Heartbeat(); got > 10*time.Second {
		t.Errorf("just come round: %v", got)
	}
	p.workers[0].beat.Store(int64(p.tick()) + 1)
	p.workers[1].beat.Store(int64(p.tick()) + 1)
	if got := p.Heartbeat(); got > 10*time.Second {
		t.Errorf("come round after the clock was read: %v", got)
	}
	p.workers[1].beat.Store(int64(p.tick()) - 300)
	if got := p.Heartbeat(); got < 30*time.Second || got > 40*time.Second {
		t.Errorf("one has hung for half a minute: %v", got)
	}
}

// TestListings asks a plane for what it has.
func TestListings(t *testing.T) {
	w := newTestWorkers(t, 2,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1",
		"udp 203.0.113.53:53 → 10.0.0.11:5353 via 10.9.0.2")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	for i := range 3 * walkChunk / 4 {
		w.inject(fmt.Sprintf("udp 198.51.100.7:%d > 203.0.113.53:53 ttl 64 len 5", 1+i))
		w.settle()
	}
	const udp = 3 * walkChunk / 4
	n := map[string]int{}
	for s, err := range w.Sessions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n[s.Service+" "+s.State]++
		if s.Protocol == packet.TCP {
			want := SessionInfo{
				Protocol: packet.TCP, State: "established", Service: "service0",
				Client: netip.MustParseAddrPort("198.51.100.7:4711"), VIP: netip.MustParseAddrPort("203.0.113.80:443"),
				Mode: "fullnat", Local: netip.MustParseAddrPort("10.9.0.1:5235"), Server: netip.MustParseAddrPort("10.0.0.11:8443"),
				Slot: 115, Worker: 0, Expires: 15 * time.Minute,
				PacketsIn: 2, BytesIn: 80, PacketsOut: 1, BytesOut: 40,
			}
			if s != want {
				t.Errorf("session %+v\nwant %+v", s, want)
			}
		}
	}
	opened := n["service1 one_way"]
	if n["service0 established"] != 1 || opened < 256 || opened > udp {
		t.Errorf("sessions: %v", n)
	}
	if e, err := w.Established(t.Context()); err != nil || e != opened+1 {
		t.Errorf("%d established, %v, want %d", e, err, opened+1)
	}
	c, err := w.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Servers[IDOf(w.snapshot.Services.Servers[0])], (Traffic{Connections: 1, PacketsIn: 2, PacketsOut: 1, BytesIn: 80, BytesOut: 40}); got != want {
		t.Errorf("traffic %+v, want %+v", got, want)
	}
	if got := c.Servers[IDOf(w.snapshot.Services.Servers[1])]; got.Connections != uint64(opened)+c.Displaced || got.PacketsIn != got.Connections || got.BytesIn != 33*got.PacketsIn {
		t.Errorf("traffic %+v, %d displaced", got, c.Displaced)
	}
	if c.Sessions != opened+1 || c.Verdicts[Forwarded] < 256 || len(c.Workers) != 2 {
		t.Errorf("counters %+v", c)
	}
	pools, err := w.Pools(t.Context())
	if err != nil || len(pools) != 2 {
		t.Fatalf("pools %+v, %v", pools, err)
	}
	if p := pools[0]; p.Local != netip.MustParseAddr("10.9.0.1") || p.Ports != 256 || p.Sessions+pools[1].Sessions != opened+1 || p.BusiestServer != netip.MustParseAddrPort("10.0.0.11:5353") {
		t.Errorf("pools %+v", pools)
	}
	for range w.Sessions(t.Context()) {
		break // and asks for no more
	}
}

func TestExplain(t *testing.T) {
	w := newTestWorkers(t, 2,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1",
		"vip 203.0.113.81:443 → 10.0.0.11:8443 10.0.0.12:8443 !10.0.0.13:8443",
		"vip 203.0.113.82:443 → ~10.0.0.11:8443",
		"vip 203.0.113.83:443 → 10.0.0.20:8443")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	tuple := func(src, dst string) packet.Tuple {
		s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
		return packet.Tuple{
			Src: packet.AddrFrom(s.Addr()), SrcPort: s.Port(), Dst: packet.AddrFrom(d.Addr()), DstPort: d.Port(), Protocol: packet.TCP,
		}
	}
	for _, tt := range []struct{ name, src, dst, want, why string }{
		{"a session, inbound", "198.51.100.7:4711", "203.0.113.80:443", "inbound forwarded 10.0.0.11:8443", "sent on as 10.9.0.1:5235 → 10.0.0.11:8443"},
		{"a session, outbound", "10.0.0.11:8443", "10.9.0.1:5235", "outbound forwarded 10.0.0.11:8443", "next hop 192.0.2.254 at 02:00:00:00:00:fe"},
		{"a new one, one server", "198.51.100.9:1", "203.0.113.80:443", "inbound forwarded 10.0.0.11:8443", "next hop 10.0.0.11 at 02:00:00:00:01:0b"},
		{"a new one, two servers", "198.51.100.9:1", "203.0.113.81:443", "inbound forwarded invalid AddrPort", "server 10.0.0.13:8443: not eligible: down, weight 1"},
		{"no server", "198.51.100.9:1", "203.0.113.82:443", "inbound no_server invalid AddrPort", "refused at once"},
		{"a server that nobody has asked for", "198.51.100.9:1", "203.0.113.83:443", "inbound parked 10.0.0.20:8443", "is being resolved"},
		{"from a VIP", "203.0.113.82:443", "203.0.113.80:443", "inbound spoofed invalid AddrPort", "spoofed: "},
		{"no service", "198.51.100.9:1", "203.0.113.80:80", "none no_service invalid AddrPort", "no_service: no service listens"},
		{"a server's stray packet", "10.0.0.11:8443", "10.9.0.1:6000", "none no_session invalid AddrPort", "slot 112"},
		{"somebody else", "198.51.100.9:1", "203.0.113.99:443", "none not_ours invalid AddrPort", "neither a VIP nor"},
	} {
		e, err := w.Explain(t.Context(), tuple(tt.src, tt.dst))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := fmt.Sprintf("%s %s %v", e.Direction, e.Verdict.Name(), e.Server); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if why := strings.Join(e.Why, "\n"); !strings.Contains(why, tt.why) {
			t.Errorf("%s: %s\nwant %s", tt.name, why, tt.why)
		}
	}
	w.services("vip 203.0.113.80:443 → !10.0.0.11:8443")
	if e, _ := w.Explain(t.Context(), tuple("198.51.100.7:4711", "203.0.113.80:443")); e.Verdict != DropDeadServer {
		t.Errorf("its server is down: %s", e.Verdict.Name())
	}
	w.services("vip 203.0.113.80:443 → 10.0.0.12:8443")
	if e, _ := w.Explain(t.Context(), tuple("10.0.0.11:8443", "10.9.0.1:5235")); !strings.Contains(strings.Join(e.Why, "\n"), "no longer configured") {
		t.Errorf("its server is removed: %+v", e)
	}
	if s := w.sent(); s != "" && !strings.Contains(s, " RA ") {
		t.Errorf("asking sent %s", s)
	}
}

// TestRun lets workers run while everything else happens at the same time: for
// the race detector.
func TestRun(t *testing.T) {
	const workers = 3
	w := newTestWorkers(t, workers, "vip 203.0.113.80:443 → 10.0.0.11:8443 10.0.0.12:8443 via 10.9.0.1 wlc", "udp 203.0.113.53:53 → 10.0.0.11:5353 mh")
	w.snapshot.Ports = [2]uint16{1024, 65535}
	p := New(testPorts{w}, Options{Sessions: 400})
	w.Plane = p
	ctx, end := context.WithCancel(t.Context())
	var running, busy sync.WaitGroup
	w.publish()
	running.Go(func() { p.Run(ctx) })

	until := time.Now().Add(500 * time.Millisecond)
	busily := func(do func(i int)) {
		busy.Go(func() {
			for i := 0; time.Now().Before(until); i++ {
				do(i)
			}
		})
	}
	for id, q := range w.queues {
		frames := traffic(t, id)
		busily(func(i int) {
			for range 32 {
				q.InjectFrame(frames[i%len(frames)])
			}
			time.Sleep(100 * time.Microsecond)
			q.Sent()
		})
	}
	busily(func(i int) {
		w.specs[0].Servers[0].Up = i%3 != 0
		w.specs[0].Servers[1].Weight = 1 + i%5
		w.network.Ports[1].MTU = 1400 + i%2*100
		w.publish()
		time.Sleep(time.Millisecond)
	})
	for range 2 {
		busily(func(int) {
			if errs := ask(ctx, p); errs != nil {
				t.Errorf("running: %v", errs)
			}
			if p.Heartbeat() > 10*time.Second {
				t.Errorf("heartbeat %v", p.Heartbeat())
			}
		})
	}
	busy.Wait()
	c, err := p.Counters(ctx)
	if err != nil || c.Verdicts[Forwarded] == 0 || c.Verdicts[HandedOver] == 0 || c.Verdicts[DropDefect] != 0 || c.Workers[0].Busy == 0 {
		t.Errorf("counters %+v, %v", c, err)
	}
	end()
	running.Wait()
}

// traffic is packets of all kinds from a client of its own.
func traffic(t *testing.T, id int) (all []linktest.Frame) {
	for i := range 100 {
		client := fmt.Sprintf("198.51.100.%d:%d", 7+id, 1+i)
		for _, line := range []string{
			"tcp " + client + " > 203.0.113.80:443 S ttl 64 seq 1000",
			"tcp " + client + " > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001 len 50",
			fmt.Sprintf("eth1 tcp 10.0.0.11:8443 > 10.9.0.1:%d SA ttl 64 seq 5000 ack 1001", 1024+i),
			"udp " + client + " > 203.0.113.53:53 ttl 64 len 1450",
			fmt.Sprintf("frag 198.51.100.%d > 203.0.113.53 ttl 64 id %d off 16 len 24", 7+id, i),
			fmt.Sprintf("udp %s > 203.0.113.53:53 ttl 64 id %d of 40 len 8", client, i),
			fmt.Sprintf("icmp 198.51.100.1 > 203.0.113.80 no-host ttl 60 ( tcp 203.0.113.80:443 > %s A ttl 55 cut 8 )", client),
			fmt.Sprintf("icmp 198.51.100.%d > 203.0.113.80 echo ttl 64", 7+id),
			"arp who-has 192.0.2.80 tell 192.0.2.7",
		} {
			all = append(all, frameOf(t, line))
		}
	}
	return all
}
