package fullnat

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
)

// TestSnapshots changes the configuration in the middle of a connection, which
// does not notice.
func TestSnapshots(t *testing.T) {
	const (
		vip  = "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1"
		ack  = "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001"
		out  = "tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001"
		syn  = "tcp 198.51.100.8:4711 > 203.0.113.80:443 S ttl 64"
		back = "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 A ttl 64 seq 5001 ack 1001"
	)
	for _, tt := range []struct {
		name   string
		change func(b *bench)
		syn    string // what becomes of another client's SYN
		want   string
	}{
		{"the server is drained", func(b *bench) {
			b.services("vip 203.0.113.80:443 → ~10.0.0.11:8443 10.0.0.12:8443")
		}, "tcp 10.9.0.1:5270 > 10.0.0.12:8443 S ttl 63", "forwarded"},
		{"the last server is drained", func(b *bench) {
			b.services("vip 203.0.113.80:443 → ~10.0.0.11:8443")
		}, "tcp 203.0.113.80:443 > 198.51.100.8:4711 RA ttl 64 df ack 1", "rejected no_server"},
		{"the server is removed", func(b *bench) {
			b.services("vip 203.0.113.80:443 → 10.0.0.12:8443")
		}, "tcp 10.9.0.1:5270 > 10.0.0.12:8443 S ttl 63", "forwarded"},
		{"the service is removed", func(b *bench) {
			b.services("vip 203.0.113.80:80 → 10.0.0.12:8443")
		}, "", "no_service"},
		{"the VIP is removed", func(b *bench) {
			b.services("vip 203.0.113.81:443 → 10.0.0.12:8443")
		}, "", "not_ours"},
		{"the local addresses are others", func(b *bench) {
			b.snapshot.Locals = []netip.Prefix{netip.MustParsePrefix("10.9.1.0/31")}
			b.publish()
		}, "tcp 10.9.1.0:5270 > 10.0.0.11:8443 S ttl 63", "forwarded"},
		{"the local ports are others", func(b *bench) {
			b.snapshot.Ports = [2]uint16{6144, 6399}
			b.publish()
		}, "tcp 10.9.0.1:6294 > 10.0.0.11:8443 S ttl 63", "forwarded"},
		{"services change places", func(b *bench) {
			b.services("udp 203.0.113.53:53 → 10.0.0.11:5353", "vip 203.0.113.80:443 → 10.0.0.11:8443")
		}, "tcp 10.9.0.1:5270 > 10.0.0.11:8443 S ttl 63", "forwarded"},
		{"nothing", func(b *bench) { b.publish() }, "tcp 10.9.0.1:5270 > 10.0.0.11:8443 S ttl 63", "forwarded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTestWorker(t, vip)
			w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
			tt.change(w)
			w.converse([]row{
				{"the client", ack, out, "forwarded"},
				{"the server", back, "tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 63 seq 5001 ack 1001", "forwarded"},
				{"somebody else", syn, tt.syn, tt.want},
			})
			w.pass(14 * time.Minute)
			w.converse([]row{{"the client, a long time after", ack, out, "forwarded"}})
			w.books()
		})
	}
}

// TestRoutesChange sends the next packet where the newest snapshot says.
func TestRoutesChange(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	router, server := netip.MustParseAddr("192.0.2.253"), netip.MustParseAddr("10.0.0.11")
	w.network.Neighbors[0][router] = [6]byte{2, 0, 0, 0, 0, 0xfd}
	w.network.Routes[0].Gateway = router
	w.network.Neighbors[1][server] = [6]byte{2, 0, 0, 0, 1, 0xbb} // another card
	w.publish()
	for in, want := range map[string][6]byte{
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001":      {2, 0, 0, 0, 1, 0xbb},
		"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 A ttl 64 seq 5001 ack 1001":       {2, 0, 0, 0, 0, 0xfd},
		"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 A ttl 64 seq 5001 ack 1001 len 1": {2, 0, 0, 0, 0, 0xfd},
	} {
		w.inject(in)
		w.settle()
		sent := w.frames()
		if len(sent) != 1 || [6]byte(sent[0].Bytes[:6]) != want {
			t.Errorf("%s: sent %+v, want one to %x", in, sent, want)
		}
	}
	w.network.Routes[0] = nowhere("0.0.0.0/0")
	w.publish()
	w.verdictsSince()
	w.converse([]row{{"the way to the client is gone", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 A ttl 64 seq 5001 ack 1001", "", "no_route"}})
}

// TestTimeoutsOutliveTheService: sessions keep the timeouts of a service that is
// gone, also when another has its place in the configuration.
func TestTimeoutsOutliveTheService(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.specs[0].Timeouts.Established = time.Hour
	w.publish()
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	w.services("vip 203.0.113.81:443 → 10.0.0.12:8443")
	w.specs[0].Timeouts.Established = time.Second
	w.publish()
	w.pass(30 * time.Minute)
	if got := w.sessionsNow(); !slices.Equal(got, []string{"198.51.100.7:4711 established"}) {
		t.Errorf("sessions %v", got)
	}
	w.pass(31 * time.Minute)
	if got := w.sessionsNow(); len(got) != 0 {
		t.Errorf("sessions %v", got)
	}
}

// TestPathsEnd lets go of what a removed server leaves behind.
func TestPathsEnd(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	w.services("vip 203.0.113.80:443 → 10.0.0.12:8443")
	w.settle()
	paths := func() (n int) {
		for range w.workers[0].sessions.Paths() {
			n++
		}
		return n
	}
	if n := paths(); n != 2 {
		t.Errorf("%d paths while a session uses the old one, want 2", n)
	}
	w.pass(16 * time.Minute)
	if n := paths(); n != 1 {
		t.Errorf("%d paths after it expired, want 1", n)
	}
}

func TestLocalAddresses(t *testing.T) {
	s := (&Snapshot{Services: new(service.Table), Locals: []netip.Prefix{
		netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("2001:db8:2::/64"), netip.MustParsePrefix("255.255.255.254/31"),
	}}).prepared()
	all := s.localAddresses()
	v4 := 0
	for _, a := range all {
		if a.Is4() {
			v4++
		}
		if !s.local(a) {
			t.Errorf("%v is given out and not ours", a)
		}
	}
	if v4 != maxLocals || len(all) != 2*maxLocals {
		t.Errorf("%d addresses, %d of IPv4, want %d of each family", len(all), v4, maxLocals)
	}
	for a, want := range map[string]bool{
		"10.2.0.0": true, "10.2.255.255": true, "10.1.255.255": false, "10.3.0.0": false, "255.255.255.255": true,
		"2001:db8:2::": true, "2001:db8:2:0:ffff:ffff:ffff:ffff": true, "2001:db8:2:1::": false, "::": false,
	} {
		if got := s.local(addr(a)); got != want {
			t.Errorf("local(%s) = %v", a, got)
		}
	}
}

func TestSame(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	s := w.snapshot
	if o := s; !s.Same(&o) {
		t.Error("a copy differs")
	}
	for name, change := range map[string]func(*Snapshot){
		"services": func(o *Snapshot) { c := *o.Services; o.Services = &c },
		"hops":     func(o *Snapshot) { c := *o.Hops; o.Hops = &c },
		"locals":   func(o *Snapshot) { o.Locals = append(slices.Clone(o.Locals), netip.MustParsePrefix("10.9.0.2/32")) },
		"ports":    func(o *Snapshot) { o.Ports[1]-- },
		"ping":     func(o *Snapshot) { o.Ping = !o.Ping },
	} {
		o := s
		if change(&o); s.Same(&o) {
			t.Errorf("other %s make no difference", name)
		}
	}
}

// TestSteer tells the kernel what the snapshot is about.
func TestSteer(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.0/28", "vip 203.0.113.80:80 → 10.0.0.11:80")
	want := link.Ours{VIPs: []netip.Prefix{netip.MustParsePrefix("203.0.113.80/32")}, Locals: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/28")}}
	want.Hosts = w.steered.Hosts
	if len(want.Hosts) != 4 {
		t.Errorf("steered away from %v, want the host's four addresses", want.Hosts)
	}
	if got := w.steered; !reflect.DeepEqual(got, want) {
		t.Errorf("steered %+v, want %+v", got, want)
	}
}

// TestUnpublished carries nothing before there is a snapshot.
func TestUnpublished(t *testing.T) {
	w := newTestWorker(t)
	p := New(testPorts{w}, Options{})
	w.workers = p.workers
	w.counted = [numVerdicts]uint64{}
	w.converse([]row{
		{"TCP", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64", "", "not_ours"},
		{"ping", "icmp 198.51.100.7 > 203.0.113.80 echo ttl 64", "", "not_ours"},
		{"ARP", "arp who-has 192.0.2.80 tell 192.0.2.7", "", "not_ours"},
		{"NDP", "nd who-has 2001:db8::80 tell 2001:db8::7", "", "not_ours"},
		{"fragment", "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 1 off 80 len 8", "", "not_ours"},
	})
	e, err := p.Explain(t.Context(), packet.Tuple{Src: addr("198.51.100.7"), Dst: addr("203.0.113.80"), Protocol: packet.TCP})
	if err != nil || e.Verdict != NotOurs || !strings.Contains(e.Why[0], "neither a VIP") {
		t.Errorf("explanation %+v, %v", e, err)
	}
}
