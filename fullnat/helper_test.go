package fullnat

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/link/linktest"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// A bench is a plane between two networks that are all in memory, its clock in
// the test's hand. Clients are behind port 0, by a router; servers are on the
// link of port 1.
//
//	router 192.0.2.254, 2001:db8:2::fe — port 0: 192.0.2.1/24, 2001:db8:2::1/64
//	servers 10.0.0.11–14, fd00::11–14  — port 1: 10.0.0.1/24,  fd00::1/64
//
// A slot has one local port towards each server, 5120 + slot, so that a test can
// say which port a session gets.
type bench struct {
	testing.TB
	*Plane
	queues []*linktest.Queue
	now    session.Tick

	network  nexthop.Network
	specs    []service.Spec
	snapshot Snapshot
	routes   uint32        // the newest generation
	wanted   []packet.Addr // next hops that the workers have asked for
	steered  link.Ours
	counted  [numVerdicts]uint64
}

// newTestWorker makes a bench of one worker and as many services as there are
// lines; see service.
func newTestWorker(t testing.TB, services ...string) *bench {
	return newTestWorkers(t, 1, services...)
}

const (
	benchFrames   = 1024
	benchSessions = 1024
)

func newTestWorkers(t testing.TB, workers int, services ...string) *bench {
	t.Helper()
	return newBench(t, workers, benchSessions, services...)
}

func newBench(t testing.TB, workers, sessions int, services ...string) *bench {
	t.Helper()
	return newBenchOf(t, workers, Options{Sessions: sessions}, services...)
}

func newBenchOf(t testing.TB, workers int, o Options, services ...string) *bench {
	t.Helper()
	b := &bench{TB: t, now: 100, network: testNetwork()}
	for range workers {
		q := linktest.New(benchFrames)
		b.queues = append(b.queues, q)
		t.Cleanup(func() { q.Close() })
	}
	o.Want = func(a packet.Addr) { b.wanted = append(b.wanted, a) }
	b.Plane = New(testPorts{b}, o)
	for _, w := range b.workers {
		w.clock = func() session.Tick { return b.now }
	}
	b.snapshot = Snapshot{Ports: [2]uint16{5120, 5120 + session.Slots - 1}, Ping: true}
	for _, line := range services {
		b.service(line)
	}
	b.publish()
	b.settle()
	b.sent() // announcements
	b.verdictsSince()
	return b
}

// testPorts is the bench as the plane's way in and out.
type testPorts struct{ *bench }

func (p testPorts) Queues() (all []link.Queue) {
	for _, q := range p.queues {
		all = append(all, q)
	}
	return all
}

func (p testPorts) Steer(o link.Ours) error {
	p.steered = o
	return nil
}

func testNetwork() nexthop.Network {
	prefixes := func(s ...string) (all []netip.Prefix) {
		for _, p := range s {
			all = append(all, netip.MustParsePrefix(p))
		}
		return all
	}
	port := func(n byte) nexthop.Port {
		return nexthop.Port{Interface: nexthop.Interface{Name: fmt.Sprintf("eth%d", n), MAC: [6]byte{2, 0, 0, 0, n, 1}, MTU: 1500}, Up: true}
	}
	n := nexthop.Network{
		Ports:     []nexthop.Port{port(0), port(1)},
		Addresses: [][]netip.Prefix{prefixes("192.0.2.1/24", "2001:db8:2::1/64"), prefixes("10.0.0.1/24", "fd00::1/64")},
		Routes: []nexthop.Route{
			{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.254")},
			{Prefix: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("2001:db8:2::fe")},
		},
		Neighbors: []map[netip.Addr][6]byte{
			{netip.MustParseAddr("192.0.2.254"): {2, 0, 0, 0, 0, 0xfe}, netip.MustParseAddr("2001:db8:2::fe"): {2, 0, 0, 0, 0, 0xfe}},
			{},
		},
	}
	for i := byte(11); i <= 14; i++ {
		for _, a := range []string{fmt.Sprintf("10.0.0.%d", i), fmt.Sprintf("fd00::%d", i)} {
			server := netip.MustParseAddr(a)
			n.Neighbors[1][server] = [6]byte{2, 0, 0, 0, 1, i}
			n.Wanted = append(n.Wanted, server)
		}
	}
	return n
}

// service adds what a line says, for TCP unless it begins with udp:
//
//	vip 203.0.113.80:443 → 10.0.0.11:8443 !10.0.0.12:8443 via 10.9.0.1
//
// A server marked ! is down, one marked ~ is draining. via adds to the block of
// local addresses. nat, dr, tun, gue0 and gue1 are the mode of the servers behind
// them, of all if they come before the first. Of the other words keep, silent and
// mss N are options, sorry A the sorry server, and a scheduler's name is the
// scheduler, else rr. The VIP may have ports, 203.0.113.80:8000-8999. See option
// and serverSpec for the rest.
func (b *bench) service(line string) {
	b.Helper()
	s := service.Spec{
		Name: fmt.Sprintf("service%d", len(b.specs)), Protocol: packet.TCP, Mode: service.FULLNAT, Scheduler: "rr",
		Options: service.Options{ResetOnExpiry: true},
	}
	var mode service.Mode
	var tunnel service.Tunnel
	words := strings.Fields(line)
	if words[0] == "udp" {
		s.Protocol = packet.UDP
	}
	s.VIP, s.Last = portsOf(b, words[1])
	for i := 3; i < len(words); i++ {
		switch word := words[i]; word {
		case "via":
			i++
			p, err := netip.ParsePrefix(words[i])
			if err != nil {
				a := netip.MustParseAddr(words[i])
				p = netip.PrefixFrom(a, a.BitLen())
			}
			if !slices.Contains(b.snapshot.Locals, p) {
				b.snapshot.Locals = append(b.snapshot.Locals, p)
			}
		case "fullnat", "nat", "dr", "tun", "gue0", "gue1":
			mode, tunnel = modeOf(word)
			if len(s.Servers) == 0 {
				s.Mode, s.Tunnel, mode = mode, tunnel, 0
			}
		case "keep":
			s.DeadServer = service.Keep
		case "silent":
			s.ResetOnExpiry = false
		case "mss":
			i++
			fmt.Sscan(words[i], &s.MSS)
		case "sorry":
			i++
			s.Sorry = netip.MustParseAddrPort(words[i])
		case "rr", "wlc", "mh":
			s.Scheduler = word
		default:
			if !b.option(&s, word) {
				v := b.serverSpec(word)
				v.Mode, v.Tunnel = mode, tunnel
				s.Servers = append(s.Servers, v)
			}
		}
	}
	b.specs = append(b.specs, s)
}

// portsOf reads "203.0.113.80:8000-8999".
func portsOf(b *bench, word string) (netip.AddrPort, uint16) {
	b.Helper()
	first, last, ranged := strings.Cut(word, "-")
	n := 0
	if ranged {
		if _, err := fmt.Sscan(last, &n); err != nil {
			b.Fatal(err)
		}
	}
	return netip.MustParseAddrPort(first), uint16(n)
}

// option reads what a service may be told: dead=F and removed=F, +tcp/A for
// another listener, persist=D, prefix4=N, prefix6=N and leave for persistence,
// once for one-packet scheduling.
func (b *bench) option(s *service.Spec, word string) bool {
	b.Helper()
	check := func(_ int, err error) {
		if err != nil {
			b.Fatalf("%q: %v", word, err)
		}
	}
	fate := func(name string) service.Fate {
		f, err := service.ParseFate(name)
		check(0, err)
		return f
	}
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "dead":
		s.DeadServer = fate(value)
	case "removed":
		s.RemovedServer = fate(value)
	case "persist":
		d, err := time.ParseDuration(value)
		check(0, err)
		s.Persistence.Timeout = d
	case "prefix4":
		check(fmt.Sscan(value, &s.Persistence.Prefix4))
	case "prefix6":
		check(fmt.Sscan(value, &s.Persistence.Prefix6))
	case "once":
		s.OnePacket = true
	case "leave":
		s.Persistence.LeaveQuiescent = true
	default:
		if word[0] != '+' {
			return false
		}
		protocol, at, _ := strings.Cut(word[1:], "/")
		l := service.Listener{Protocol: packet.TCP}
		if protocol == "udp" {
			l.Protocol = packet.UDP
		}
		l.VIP, l.Last = portsOf(b, at)
		s.Beside = append(s.Beside, l)
	}
	return true
}

// serverSpec reads a server: its address, and after commas w and its weight, u
// and l and its thresholds.
func (b *bench) serverSpec(word string) service.ServerSpec {
	b.Helper()
	words := strings.Split(strings.TrimLeft(word, "!~"), ",")
	s := service.ServerSpec{Address: netip.MustParseAddrPort(words[0]), Weight: 1, Up: word[0] != '!', Drain: word[0] == '~'}
	for _, w := range words[1:] {
		var err error
		switch w[0] {
		case 'w':
			_, err = fmt.Sscan(w[1:], &s.Weight)
		case 'u':
			_, err = fmt.Sscan(w[1:], &s.Upper)
		case 'l':
			_, err = fmt.Sscan(w[1:], &s.Lower)
		default:
			b.Fatalf("server %q: what is %q?", word, w)
		}
		if err != nil {
			b.Fatalf("server %q: %v", word, err)
		}
	}
	return s
}

// modeOf is what a word of a service's line says of its servers.
func modeOf(word string) (service.Mode, service.Tunnel) {
	if variant, gue := strings.CutPrefix(word, "gue"); gue {
		return service.TUN, service.Tunnel{Port: 6080, Variant: variant[0] - '0'}
	}
	mode, _ := service.ParseMode(word)
	return mode, service.Tunnel{}
}

// services replaces all services by those of the lines, and publishes.
func (b *bench) services(lines ...string) {
	b.Helper()
	b.specs = nil
	for _, line := range lines {
		b.service(line)
	}
	b.publish()
}

// publish builds a snapshot of what the bench is now.
func (b *bench) publish() {
	b.Helper()
	table, err := service.Build(b.specs, b.snapshot.Services)
	if err != nil {
		b.Fatal(err)
	}
	b.routes++
	b.snapshot.Services, b.snapshot.Hops = table, b.network.Table(b.routes)
	s := b.snapshot
	s.Locals = slices.Clone(s.Locals)
	if err := b.Publish(&s); err != nil {
		b.Fatal(err)
	}
}

// settle lets all workers work until they have nothing to do.
func (b *bench) settle() {
	for idle := false; !idle; {
		idle = true
		for _, w := range b.workers {
			if w.turn(b.now) > 0 || w.busy(b.now) || w.inbox.waiting.Load() {
				idle = false
			}
		}
	}
}

// pass lets time pass, tick by tick.
func (b *bench) pass(d time.Duration) {
	for range ticks(d) {
		b.now++
		b.settle()
	}
}

// inject makes packets arrive, by port 1 if their lines begin with "eth1".
func (b *bench) inject(lines ...string) {
	b.Helper()
	for _, line := range lines {
		b.injectAt(0, line)
	}
}

// injectAt makes a packet arrive at one worker.
func (b *bench) injectAt(worker int, line string) {
	b.Helper()
	b.queues[worker].InjectFrame(frameOf(b, line))
}

// frameOf is the frame of a line. A partial checksum is also its Offload.
func frameOf(t testing.TB, line string) linktest.Frame {
	t.Helper()
	rest, servers := strings.CutPrefix(line, "eth1 ")
	f := linktest.Frame{Bytes: packettest.Frame(t, rest)}
	if servers {
		f.Port = 1
	}
	if strings.Contains(line, "partial") {
		f.Offload = link.Offload{Flags: 1, ChecksumStart: 34, ChecksumOffset: 16}
	}
	return f
}

// sent prints what has left, one line for each packet.
func (b *bench) sent() string {
	var lines []string
	for _, f := range b.frames() {
		lines = append(lines, packettest.Print(f.Bytes))
	}
	return strings.Join(lines, "\n")
}

func (b *bench) frames() (all []linktest.Frame) {
	for _, q := range b.queues {
		all = append(all, q.Sent()...)
	}
	return all
}

// verdictsSince lists the verdicts since it was last called, in their order.
func (b *bench) verdictsSince() string {
	var words []string
	for _, v := range Verdicts() {
		n := uint64(0)
		for _, w := range b.workers {
			n += w.verdicts[v]
		}
		switch d := n - b.counted[v]; d {
		case 0:
		case 1:
			words = append(words, v.Name())
		default:
			words = append(words, fmt.Sprintf("%s×%d", v.Name(), d))
		}
		b.counted[v] = n
	}
	return strings.Join(words, " ")
}

// A row is one step of a conversation: the packet that comes, the packets that
// leave, and the verdicts.
type row struct{ name, in, out, want string }

// converse goes through rows in order.
func (b *bench) converse(rows []row) {
	b.Helper()
	for _, r := range rows {
		if r.in != "" {
			b.inject(strings.Split(r.in, "\n")...)
		}
		b.settle()
		b.expect(r.name, r.out, r.want)
	}
}

// expect compares what has left since it was last called, and the verdicts.
func (b *bench) expect(name, out, want string) {
	b.Helper()
	if got := b.sent(); got != out {
		b.Errorf("%s:\nsent %s\nwant %s", name, cmpLine(got), cmpLine(out))
	}
	if got := b.verdictsSince(); got != want {
		b.Errorf("%s: verdicts %q, want %q", name, got, want)
	}
	b.conserved(name)
}

func cmpLine(s string) string {
	if s == "" {
		return "nothing"
	}
	return strings.ReplaceAll(s, "\n", "\n     ")
}

// conserved checks that the workers hold no other frames than those they parked.
func (b *bench) conserved(name string) {
	b.Helper()
	for i, q := range b.queues {
		w := b.workers[i]
		if held, parked := q.Held(), w.pending.n+w.fragments.held+w.seeking.held; held != parked {
			b.Errorf("%s: worker %d holds %d frames and has parked %d", name, i, held, parked)
		}
	}
}

// sessionsNow lists the sessions as "client state".
func (b *bench) sessionsNow() (all []string) {
	for _, w := range b.workers {
		w.sessions.Each(0, 1<<30, func(s *session.Session) {
			info := w.info(s, b.now)
			all = append(all, info.Client.String()+" "+info.State)
		})
	}
	slices.Sort(all)
	return all
}

// lines joins the lines of a row that has several.
func lines(s ...string) string { return strings.Join(s, "\n") }

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

// nowhere is a route that refuses.
func nowhere(prefix string) nexthop.Route {
	return nexthop.Route{Prefix: netip.MustParsePrefix(prefix), Port: -1}
}
