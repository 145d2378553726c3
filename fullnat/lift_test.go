package fullnat

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/link/linktest"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/offload"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
	"fleetlb/session"
)

// A pair of benches goes through the same conversations. The sessions of one are
// lifted, and its frames meet the program first; the other has the worker alone.
// Whatever comes must leave both alike.
type pair struct {
	testing.TB
	*driver
	lifted, plain *bench
}

// pairServices are what a pair serves.
var pairServices = []string{
	"vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1",
	"udp 203.0.113.53:53 → 10.0.0.11:5353",
	"vip 192.0.2.80:443 → 10.0.0.12:8443",
	"vip [2001:db8::80]:443 → [fd00::11]:8443 via 2001:db8:9::1",
	"udp [2001:db8::53]:53 → [fd00::12]:5353",
	"vip 203.0.113.81:443 → nat 10.0.0.13:8443",
	"vip 203.0.113.82:443 → dr 10.0.0.14:443",
	"udp [2001:db8::54]:53 → dr [fd00::14]:53",
	"vip 203.0.113.83:443 → tun 10.0.0.12:443",
	"vip [2001:db8::83]:443 → tun [fd00::13]:443",
	"udp 203.0.113.84:53 → gue0 10.0.0.12:53",
	"vip [2001:db8::84]:443 → gue1 10.0.0.12:443",
	"udp [2001:db8::85]:53 → gue1 [fd00::12]:53", // with a checksum over all: the worker's
}

// The conversations that a pair has going, which are lifted.
var pairConversations = []string{
	"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000",
	"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 SA ttl 64 seq 5000 ack 1001",
	"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
	"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 9",
	"eth1 udp 10.0.0.11:5353 > 10.9.0.1:5238 ttl 64 len 9",
	"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64 seq 1000",
	"eth1 tcp [fd00::11]:8443 > [2001:db8:9::1]:5154 SA ttl 64 seq 5000 ack 1001",
	"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 A ttl 64 seq 1001 ack 5001",
	"udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 9",
	"eth1 udp [fd00::12]:5353 > [2001:db8:9::1]:5257 ttl 64 len 9",
	"tcp 198.51.100.7:4711 > 203.0.113.81:443 S ttl 64 seq 1000",
	"eth1 tcp 10.0.0.13:8443 > 198.51.100.7:4711 SA ttl 64 seq 5000 ack 1001",
	"tcp 198.51.100.7:4711 > 203.0.113.81:443 A ttl 64 seq 1001 ack 5001",
	"tcp 198.51.100.7:4711 > 203.0.113.82:443 S ttl 64 seq 1000",
	"tcp 198.51.100.7:4711 > 203.0.113.82:443 A ttl 64 seq 1001 ack 5001",
	"udp [2001:db8:7::7]:4711 > [2001:db8::54]:53 ttl 64 len 9",
	"tcp 198.51.100.7:4711 > 203.0.113.83:443 S ttl 64 df seq 1000",
	"tcp 198.51.100.7:4711 > 203.0.113.83:443 A ttl 64 df seq 1001 ack 5001",
	"tcp [2001:db8:7::7]:4711 > [2001:db8::83]:443 S ttl 64 seq 1000",
	"tcp [2001:db8:7::7]:4711 > [2001:db8::83]:443 A ttl 64 seq 1001 ack 5001",
	"udp 198.51.100.7:4711 > 203.0.113.84:53 ttl 64 len 9",
	"tcp [2001:db8:7::7]:4711 > [2001:db8::84]:443 S ttl 64 seq 1000",
	"tcp [2001:db8:7::7]:4711 > [2001:db8::84]:443 A ttl 64 seq 1001 ack 5001",
	"udp [2001:db8:7::7]:4711 > [2001:db8::85]:53 ttl 64 len 9",
}

// pairLifted is how many sessions that makes.
const pairLifted = 11

// pairFlows is more than the flows that a pair may come to have.
const pairFlows = 64

// A driver is the table and the programs of a pair.
type driver struct {
	table    *offload.Table
	programs [2]*offload.Program // by port
	next     uint32              // the flow number that the next pair begins at
}

// newDriver makes one whose programs treat checksums that may be owed so, with
// room for the flows of so many pairs at once.
func newDriver(t testing.TB, owed offload.Owed, pairs int) *driver {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs BPF: run as root")
	}
	d := &driver{}
	var err error
	if d.table, err = offload.NewTable(offload.Capacity{Flows: pairs * pairFlows, Hops: nexthop.MaxHops + wayShare}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.table.Close)
	for i, port := range testNetwork().Ports {
		if d.programs[i], err = d.table.Load(uint8(i), port.MAC, owed, true); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.programs[i].Close() })
		if err := d.table.SetPort(uint8(i), 1); err != nil { // the loopback interface: nothing is sent there
			t.Fatal(err)
		}
	}
	return d
}

func newPair(t testing.TB, owed offload.Owed) *pair {
	t.Helper()
	return newDriver(t, owed, 1).pair(t)
}

// pair begins the conversations of a new pair.
func (d *driver) pair(t testing.TB) *pair {
	t.Helper()
	p := &pair{TB: t, driver: d, lifted: newTestWorker(t, pairServices...), plain: newTestWorker(t, pairServices...)}
	p.lifted.workers[0].lift.flows = newFlowNumbers(1+d.next, pairFlows)
	d.next = (d.next + pairFlows) % uint32(d.table.Cap())
	p.lifted.Lift(p.table)
	p.renew()
	for _, line := range pairConversations {
		for range 2 {
			p.both(line)
		}
	}
	for range 2 {
		for _, i := range []int{2, 3, 4, 7, 8, 9, 12, 14, 15, 17, 19, 20, 22, 23} {
			for range 5 {
				p.both(pairConversations[i])
			}
		}
	}
	if p.table.Lifted() != pairLifted {
		t.Fatalf("%d sessions are lifted, want all %d", p.table.Lifted(), pairLifted)
	}
	return p
}

// end takes all sessions down.
func (p *pair) end() {
	w := p.lifted.workers[0]
	w.sessions.Each(0, 1<<30, func(s *session.Session) {
		if s.Offload != 0 {
			w.land(s)
		}
	})
}

// pass lets time pass for both; what they announce meanwhile is nobody's.
func (p *pair) pass(d time.Duration) {
	for _, b := range []*bench{p.lifted, p.plain} {
		b.pass(d)
		b.frames()
	}
	p.renew()
}

func (p *pair) renew() { p.table.Renew(uint32(p.lifted.now), time.Hour) }

// both gives both workers a packet.
func (p *pair) both(line string) {
	p.Helper()
	for _, b := range []*bench{p.lifted, p.plain} {
		b.inject(line)
		b.settle()
		b.frames()
	}
}

// meet lets a frame come to both and compares what leaves. It returns whether
// the program carried it.
func (p *pair) meet(in linktest.Frame) (carried bool) {
	p.Helper()
	verdict, out, err := p.programs[in.Port].Run(in.Bytes)
	if err != nil {
		p.Fatal(err)
	}
	p.plain.queues[0].InjectFrame(in)
	p.plain.settle()
	want := p.plain.frames()

	var got []linktest.Frame
	switch carried = true; verdict {
	case offload.Back:
		got = []linktest.Frame{{Port: in.Port, Bytes: out}}
	case offload.Across:
		got = []linktest.Frame{{Port: 1 - in.Port, Bytes: out}}
		for i := range want { // what is owed is not left to the kernel
			want[i] = completed(want[i])
		}
	case offload.Up:
		carried = false
		if !bytes.Equal(in.Bytes, out) {
			p.Errorf("it goes up changed: %x became %x", in.Bytes, out)
		}
		p.lifted.queues[0].InjectFrame(in)
		p.lifted.settle()
		got = p.lifted.frames()
	default:
		p.Fatalf("verdict %d", verdict)
	}
	for _, frames := range [][]linktest.Frame{got, want} {
		for i := range frames {
			frames[i].Bytes = unnumbered(frames[i].Bytes)
		}
	}
	if !slices.EqualFunc(got, want, func(a, b linktest.Frame) bool { return a.Port == b.Port && bytes.Equal(a.Bytes, b.Bytes) }) {
		p.Errorf("%s\nleaves with the offload as  %s\nand with the worker alone as %s", packettest.Print(in.Bytes), printAll(got), printAll(want))
	}
	if l, w := p.lifted.told(), p.plain.told(); !slices.Equal(l, w) {
		p.Errorf("%s\nsessions with the offload  %q\nand with the worker alone %q", packettest.Print(in.Bytes), l, w)
	}
	return carried
}

// unnumbered is a frame without the identification of an outer packet that may be
// cut: any number will do.
func unnumbered(f []byte) []byte {
	if len(f) < 34 || f[12] != 8 || f[20]&0x40 != 0 || f[23] != packet.IPv4InIP && f[23] != packet.IPv6InIP && !bytes.Equal(f[36:38], []byte{0x17, 0xc0}) {
		return f
	}
	f = slices.Clone(f)
	f[18], f[19] = 0, 0
	mendIPv4(f)
	return f
}

func printAll(frames []linktest.Frame) (s string) {
	for _, f := range frames {
		s += fmt.Sprintf("eth%d %s %.60x; ", f.Port, packettest.Print(f.Bytes), f.Bytes)
	}
	return s
}

// completed is a frame as it is on the wire.
func completed(f linktest.Frame) linktest.Frame {
	var p packet.Packet
	if packet.Parse(f.Bytes, f.Offload.NeedsChecksum(), &p) == packet.None {
		p.CompleteChecksum()
	}
	f.Offload = link.Offload{}
	return f
}

// told is all that is known of every session, and of every path.
func (b *bench) told() (all []string) {
	w := b.workers[0]
	w.sessions.Each(0, 1<<30, func(s *session.Session) {
		w.credit(s)
		in, _ := s.Expects(session.Inbound)
		out, _ := s.Expects(session.Outbound)
		all = append(all, fmt.Sprintf("%+v expects %d %d", w.info(s, b.now), in, out))
	})
	for _, path := range w.sessions.Paths() {
		all = append(all, fmt.Sprintf("%v %+v", path.Server, path.Traffic))
	}
	return all
}

// frameTo is the frame of a line, to the interface it comes in by.
func (p *pair) frameTo(line string) linktest.Frame {
	p.Helper()
	f := frameOf(p, line)
	mac := p.lifted.network.Ports[f.Port].MAC
	copy(f.Bytes, mac[:])
	return f
}

// liftCases are packets of a pair's conversations: those that are carried and
// those that go up.
var liftCases = []struct {
	name, line string
	carried    bool
	change     func(frame []byte) []byte
}{
	{"data", "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1001 ack 5001 len 99", true, nil},
	{"data back", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 PA ttl 64 tos 184 id 99 df seq 5001 ack 1100 len 1460", true, nil},
	{"an odd length", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 A ttl 2 seq 6461 ack 1100 len 1", true, nil},
	{"TCP options", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1100 ack 6462 ts 1/2", true, nil},
	{"urgent, congested", "tcp 198.51.100.7:4711 > 203.0.113.80:443 AUEC ttl 255 seq 1100 ack 6462 len 3", true, nil},
	{"a wrong checksum stays as wrong", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1103 ack 6462 len 9 bad-sum", true, nil},
	{"padding stays here", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1103 ack 6462", true, padded},
	{"a datagram", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 100", true, nil},
	{"an empty one", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 0", true, padded},
	{"a datagram back", "eth1 udp 10.0.0.11:5353 > 10.9.0.1:5238 ttl 64 len 1472", true, nil},
	{"no checksum stays none", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 9 no-sum", true, nil},
	{"IPv6", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 PA ttl 64 seq 1001 ack 5001 len 1440", true, nil},
	{"IPv6 back", "eth1 tcp [fd00::11]:8443 > [2001:db8:9::1]:5154 A ttl 64 seq 5001 ack 2441 len 77", true, nil},
	{"IPv6 datagram", "udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 9", true, nil},
	{"IPv6 datagram back", "eth1 udp [fd00::12]:5353 > [2001:db8:9::1]:5257 ttl 64 len 9", true, nil},
	{"IPv6, no checksum", "udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 9 no-sum", true, nil},
	{"IPv6, padding", "udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 1", true, padded},

	{"NAT", "tcp 198.51.100.7:4711 > 203.0.113.81:443 PA ttl 64 seq 1001 ack 5001 len 99", true, nil},
	{"NAT, back", "eth1 tcp 10.0.0.13:8443 > 198.51.100.7:4711 PA ttl 64 seq 5001 ack 1100 len 1460", true, nil},
	{"NAT, the server's own connection", "eth1 tcp 10.0.0.13:4711 > 198.51.100.7:443 A ttl 64", false, nil},
	{"DR", "tcp 198.51.100.7:4711 > 203.0.113.82:443 PA ttl 64 seq 1001 ack 5001 len 99", true, nil},
	{"DR, a wrong checksum", "tcp 198.51.100.7:4711 > 203.0.113.82:443 PA ttl 64 seq 1100 ack 5001 len 9 bad-sum", true, nil},
	{"DR, from the server it would go to", "tcp 198.51.100.7:4711 > 203.0.113.82:443 A ttl 64 seq 1001 ack 5001 eth 02:00:00:00:01:0e > 02:00:00:00:00:01", false, nil},
	{"DR, IPv6", "udp [2001:db8:7::7]:4711 > [2001:db8::54]:53 ttl 64 len 1452", true, nil},
	{"DR, padding", "tcp 198.51.100.7:4711 > 203.0.113.82:443 A ttl 64 seq 1109 ack 5001", true, padded},

	{"TUN", "tcp 198.51.100.7:4711 > 203.0.113.83:443 PA ttl 64 tos 187 df seq 1001 ack 5001 len 99", true, nil},
	{"TUN, padding", "tcp 198.51.100.7:4711 > 203.0.113.83:443 A ttl 64 df seq 1100 ack 5001", true, padded},
	{"TUN, as long as it may be", "tcp 198.51.100.7:4711 > 203.0.113.83:443 A ttl 64 df seq 1100 ack 5001 len 1440", true, nil},
	{"TUN, too long", "tcp 198.51.100.7:4711 > 203.0.113.83:443 A ttl 64 df seq 2540 ack 5001 len 1441", false, nil},
	{"TUN, where it may be cut", "tcp 198.51.100.7:4711 > 203.0.113.83:443 A ttl 64 seq 2540 ack 5001 len 9", true, nil},
	{"GUE, where it may be cut", "udp 198.51.100.7:4711 > 203.0.113.84:53 ttl 64 tos 4 len 33", true, nil},
	{"GUE, as long as it may be", "udp 198.51.100.7:4711 > 203.0.113.84:53 ttl 64 df len 1440", true, nil},
	{"GUE, too long", "udp 198.51.100.7:4711 > 203.0.113.84:53 ttl 64 df len 1441", false, nil},
	{"GUE, variant 1, short", "tcp [2001:db8:7::7]:4711 > [2001:db8::84]:443 A ttl 64 seq 1001 ack 5001 len 7", true, nil},
	{"GUE, variant 1, long", "tcp [2001:db8:7::7]:4711 > [2001:db8::84]:443 A ttl 64 seq 1008 ack 5001 len 1400", true, nil},
	{"GUE over IPv6", "udp [2001:db8:7::7]:4711 > [2001:db8::85]:53 ttl 64 len 33", false, nil},
	{"TUN, IPv6", "tcp [2001:db8:7::7]:4711 > [2001:db8::83]:443 PA ttl 64 tos 187 seq 1001 ack 5001 len 99", true, nil},
	{"TUN, the last hop", "tcp 198.51.100.7:4711 > 203.0.113.83:443 A ttl 1 df seq 2540 ack 5001", false, nil},

	{"the last hop", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 1 seq 1103 ack 6462", false, nil},
	{"no hop left", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 0 len 9", false, nil},
	{"the last hop, IPv6", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 A ttl 1 seq 2441 ack 5078", false, nil},
	{"too big", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 A ttl 64 df seq 6462 ack 1103 len 1461", false, nil},
	{"to be cut", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 2000", false, nil},
	{"too big, IPv6", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 A ttl 64 seq 2441 ack 5078 len 1441", false, nil},
	{"IP options", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 ipopt 94040000 seq 1103 ack 6462", false, nil},
	{"a fragment", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 7 of 40 len 8", false, nil},
	{"a later fragment", "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 7 off 16 len 24", false, nil},
	{"extension headers", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 A ttl 64 ext 60 seq 2441 ack 5078", false, nil},
	{"a wrong header checksum", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1103 ack 6462 bad-ip-sum", false, nil},
	{"no ACK", "tcp 198.51.100.7:4711 > 203.0.113.80:443 P ttl 64 seq 1103 len 3", false, nil},
	{"a SYN", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1103", false, nil},
	{"a SYN and ACK", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 SA ttl 64 seq 5000 ack 1001", false, nil},
	{"a reset with the wrong number", "tcp 198.51.100.7:4711 > 203.0.113.80:443 R ttl 64 seq 901103", false, nil},
	{"an impossible offset", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1103 ack 6462", false, set(14+20+12, 0xf0)},
	{"an impossible UDP length", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 9", false, set(14+20+5, 200)},
	{"cut short", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1103 ack 6462 len 20", false, func(f []byte) []byte { return f[:len(f)-1] }},
	{"another client", "tcp 198.51.100.8:4711 > 203.0.113.80:443 A ttl 64 seq 1103 ack 6462", false, nil},
	{"another VIP", "tcp 198.51.100.7:4711 > 192.0.2.80:443 A ttl 64 seq 1103 ack 6462", false, nil},
	{"another port", "tcp 198.51.100.7:4711 > 203.0.113.80:444 A ttl 64 seq 1103 ack 6462", false, nil},
	{"a new connection", "tcp 198.51.100.9:4711 > 203.0.113.80:443 S ttl 64 seq 1", false, nil},
	{"an error", "icmp 198.51.100.1 > 203.0.113.80 too-big ttl 60 mtu 1400 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 df seq 5001 ack 1001 len 1460 cut 8 )", false, nil},
	{"ping", "icmp 198.51.100.7 > 203.0.113.80 echo ttl 64 ident 7 seq 1 len 56", false, nil},
	{"ARP", "arp who-has 192.0.2.80 tell 192.0.2.7", false, nil},

	{"data goes on", "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1103 ack 6462 len 70000", false, func(f []byte) []byte { return f[:100] }},
	{"after all that, data", "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1103 ack 6462 len 300", true, nil},
	{"a reset with the right number, which only the offload has seen", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 RA ttl 64 seq 6462 ack 1403", false, nil},
	{"nothing after it", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1403 ack 6462", false, nil},
	{"IPv6, the client's last", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 FA ttl 64 seq 2441 ack 5078", false, nil},
	{"the server goes on, by the worker", "eth1 tcp [fd00::11]:8443 > [2001:db8:9::1]:5154 A ttl 64 seq 5078 ack 2442 len 7", false, nil},
}

// padded makes a frame as long as Ethernet wants it, and a bit.
func padded(f []byte) []byte { return append(f, make([]byte, 80)...) }

func set(at int, value byte) func([]byte) []byte {
	return func(f []byte) []byte { f[at] = value; return f }
}

func TestLifted(t *testing.T) {
	p := newPair(t, offload.Never)
	for _, c := range liftCases {
		f := p.frameTo(c.line)
		if c.change != nil {
			f.Bytes = c.change(f.Bytes)
		}
		p.pass(time.Second)
		if carried := p.meet(f); carried != c.carried {
			t.Errorf("%s: carried by the program: %v", c.name, carried)
		}
		if t.Failed() {
			t.Fatalf("that was %q", c.name)
		}
	}
}

// A checksum that is owed is completed, for nobody else would, or the frame is
// left to the worker, which knows whether it is; one that merely looks like it
// becomes what it would have become.
func TestLiftedOwed(t *testing.T) {
	lines := []string{
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1001 ack 5001 len 0 partial",
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1001 ack 5001 len 99 partial",
		"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 PA ttl 64 seq 5001 ack 1100 len 1460 partial",
		"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 PA ttl 64 seq 5001 ack 1100 len 511 partial",
	}
	for n := range 40 {
		lines = append(lines, fmt.Sprintf("eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 PA ttl 64 seq 5001 ack 1100 len %d partial", 37*n))
	}
	for owed, carried := range map[offload.Owed]bool{offload.Finish: true, offload.Leave: false} {
		p := newPair(t, owed)
		for _, line := range lines {
			if got := p.meet(p.frameTo(line)); got != carried {
				t.Errorf("%s: carried by the program: %v", line, got)
			}
		}
		for _, c := range liftCases[:38] {
			f := p.frameTo(c.line)
			if c.change != nil {
				f.Bytes = c.change(f.Bytes)
			}
			if got := p.meet(f); got != c.carried {
				t.Errorf("%s: carried by the program: %v", c.name, got)
			}
		}
	}
}

// What happens to a server, a service or a next hop is felt by the very next
// packet of a lifted session.
func TestLiftedFollows(t *testing.T) {
	data := "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001 len 9"
	back := "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 A ttl 64 seq 5001 ack 1001 len 9"
	change := func(p *pair, how func(b *bench)) {
		for _, b := range []*bench{p.lifted, p.plain} {
			how(b)
			b.publish()
			b.settle()
			b.frames()
		}
	}
	for _, c := range []struct {
		name          string
		how           func(b *bench)
		line          string
		carried, then bool // the next packet, and the one after
	}{
		{"the server has another MAC address", func(b *bench) {
			b.network.Neighbors[1][b.network.Wanted[0].Unmap()] = [6]byte{2, 0, 0, 0, 9, 9}
		}, data, true, true},
		{"the router has another MAC address", func(b *bench) {
			for a := range b.network.Neighbors[0] {
				b.network.Neighbors[0][a] = [6]byte{2, 0, 0, 0, 9, 9}
			}
		}, back, true, true},
		{"the server does not answer", func(b *bench) { clear(b.network.Neighbors[1]) }, data, false, false},
		{"the server is down", func(b *bench) { b.specs[0].Servers[0].Up = false }, data, false, false},
		{"the server drains", func(b *bench) { b.specs[0].Servers[0].Drain = true }, data, true, true},
		{"the service is gone", func(b *bench) { b.specs = b.specs[1:] }, data, false, false},
		{"the service is gone, outbound", func(b *bench) { b.specs = b.specs[1:] }, back, true, true},
		{"the link has a smaller MTU", func(b *bench) { b.network.Ports[1].MTU = 600 }, data + "99", false, false},
		{"there is no route", func(b *bench) { b.network.Routes = b.network.Routes[1:] }, back, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, offload.Never)
			change(p, c.how)
			for _, want := range []bool{c.carried, c.then} {
				if got := p.meet(p.frameTo(c.line)); got != want {
					t.Errorf("carried by the program: %v", got)
				}
			}
		})
	}
}

// A lifted session that is used does not expire, and one that is not does.
func TestLiftedAges(t *testing.T) {
	p := newPair(t, offload.Never)
	datagram := p.frameTo("udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 9")
	for range 4 { // the timeout is 300 s
		p.pass(100 * time.Second)
		if !p.meet(datagram) {
			t.Fatal("not carried")
		}
	}
	if n := p.table.Lifted(); n != pairLifted-3 { // the other UDP sessions are over
		t.Errorf("%d flows, want %d", n, pairLifted-3)
	}
	p.pass(301 * time.Second)
	if n := p.table.Lifted(); n != pairLifted-4 {
		t.Errorf("%d flows, want those of TCP", n)
	}
	if p.meet(datagram) {
		t.Error("carried though its session is over")
	}
	if got := p.lifted.told(); !slices.Equal(got, p.plain.told()) {
		t.Errorf("sessions %q, want %q", got, p.plain.told())
	}
}

// Without a sign of life nothing is carried.
func TestLiftedDies(t *testing.T) {
	p := newPair(t, offload.Never)
	f := p.frameTo("tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001 len 9")
	if !p.meet(f) {
		t.Error("not carried")
	}
	p.table.Renew(0, 0)
	time.Sleep(20 * time.Millisecond) // the coarse clock's step
	if p.meet(f) {
		t.Error("carried by the program of a director that is dead")
	}
}

// FuzzLifted gives a pair any frame. If the program carries it, then the worker
// alone would have sent that very frame; and it never touches one that goes up.
func FuzzLifted(f *testing.F) {
	d := newDriver(f, offload.Never, 4096) // a grace period is shorter than so many
	for _, c := range liftCases {
		seed := frameOf(f, c.line)
		if c.change != nil {
			seed.Bytes = c.change(seed.Bytes)
		}
		f.Add(seed.Bytes, seed.Port == 1, true)
	}
	f.Fuzz(func(t *testing.T, frame []byte, byPort1, mend bool) {
		if len(frame) < 14 || len(frame) > 3000 {
			return // what the kernel takes for a test
		}
		p := d.pair(t)
		defer p.end()
		if mend {
			mendIPv4(frame)
		}
		in := linktest.Frame{Bytes: frame}
		if byPort1 {
			in.Port = 1
		}
		mac := p.lifted.network.Ports[in.Port].MAC
		copy(in.Bytes, mac[:])
		for range 2 {
			p.meet(in)
		}
	})
}

// Neither lifting nor carrying what comes of lifted sessions allocates, nor does
// taking them down.
func TestLiftedAllocations(t *testing.T) {
	const n = 2000
	d := newDriver(t, offload.Never, 1+n/pairFlows)
	w, q, in, out := crowd(t, n, 0)
	w.Lift(d.table)
	worker := w.workers[0]
	worker.lift.known = make([]way, 256) // made once
	q.load(in)
	for range 4 {
		w.round(q)
	}
	q.load(out)
	turn := func() { worker.turn(w.now) }
	if allocations := testing.AllocsPerRun(4*n/batchSize, turn); allocations != 0 {
		t.Errorf("lifting allocates %v times a turn, want 0", allocations)
	}
	if lifted := d.table.Lifted(); lifted < n-n/100 {
		t.Fatalf("%d of %d sessions are lifted", lifted, n)
	}
	for name, do := range map[string]func(){
		"packets of lifted sessions": turn,
		"a round over all":           func() { worker.lift.round.start(); turn() },
	} {
		if allocations := testing.AllocsPerRun(100, do); allocations != 0 {
			t.Errorf("%s: allocates %v times a turn, want 0", name, allocations)
		}
	}
	var all []*session.Session
	worker.sessions.Each(0, 1<<30, func(s *session.Session) {
		if s.Offload != 0 {
			all = append(all, s)
		}
	})
	if allocations := testing.AllocsPerRun(len(all)/2, func() { worker.land(all[0]); all = all[1:] }); allocations != 0 {
		t.Errorf("taking a session down allocates %v times, want 0", allocations)
	}
}
