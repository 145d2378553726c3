package fullnat

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// TestLAN: of several directors one answers for an address, and says so when it
// begins to; all carry what comes.
func TestLAN(t *testing.T) {
	w := newTestWorker(t, onLinkServices...)
	other := Member{ID: session.NodeIDOf("lb2"), Blocks: []netip.Prefix{netip.MustParsePrefix("10.0.0.98/32")}}
	w.snapshot.Fleet = &Fleet{Self: session.Owner{ID: session.NodeIDOf("lb1"), Epoch: 1}, Members: []Member{other}}
	w.snapshot.LAN = &LAN{Elsewhere: []netip.Addr{netip.MustParseAddr("192.0.2.80")}}
	w.publish()
	w.pass(100 * time.Millisecond)
	w.sent()
	w.verdictsSince()
	w.converse([]row{
		{"a VIP that another holds", "arp who-has 192.0.2.80 tell 192.0.2.7", "", "not_ours"},
		{"is carried all the same", "tcp 198.51.100.7:4711 > 192.0.2.80:443 S ttl 64", "tcp 10.0.0.99:5235 > 10.0.0.11:8443 S ttl 63", "forwarded"},
		{"a VIP that is held", "nd who-has 2001:db8:2::80 tell 2001:db8:2::7", "nd 2001:db8:2::80 is-at 02:00:00:00:00:01 tell 2001:db8:2::7 solicited override", "answered"},
		{"another's local address", "eth1 arp who-has 10.0.0.98 tell 10.0.0.11", "", "not_ours"},
	})
	w.snapshot.LAN = &LAN{Inherited: other.Blocks}
	w.publish()
	w.pass(100 * time.Millisecond)
	w.expect("both are told", lines(
		"arp who-has 192.0.2.80 tell 192.0.2.80",
		"arp who-has 10.0.0.98 tell 10.0.0.98"), "originated×2")
	w.converse([]row{
		{"the VIP has come here", "arp who-has 192.0.2.80 tell 192.0.2.7", "arp 192.0.2.80 is-at 02:00:00:00:00:01 tell 192.0.2.7", "answered"},
		{"and the local address of who is gone", "eth1 arp who-has 10.0.0.98 tell 10.0.0.11", "arp 10.0.0.98 is-at 02:00:00:00:01:01 tell 10.0.0.11", "answered"},
	})
}

// TestBackup: what comes for a VIP that another router holds opens nothing and is
// not answered, and what there is goes on.
func TestBackup(t *testing.T) {
	w := newTestWorker(t, onLinkServices...)
	const syn, forth = "tcp 198.51.100.7:4711 > 192.0.2.80:443 S ttl 64", "tcp 10.0.0.99:5235 > 10.0.0.11:8443 S ttl 63"
	w.converse([]row{{"a connection from before", syn, forth, "forwarded"}})
	vip := []netip.Addr{netip.MustParseAddr("192.0.2.80")}
	w.snapshot.LAN = &LAN{Elsewhere: vip, Backup: vip}
	w.publish()
	w.pass(100 * time.Millisecond)
	w.sent()
	w.verdictsSince()
	w.converse([]row{
		{"goes on", syn, forth, "forwarded"},
		{"another is not opened", "tcp 198.51.100.7:4712 > 192.0.2.80:443 S ttl 64", "", "backup"},
		{"no ping is answered", "icmp 198.51.100.7 > 192.0.2.80 echo ttl 64", "", "backup"},
		{"and nobody who asks", "arp who-has 192.0.2.80 tell 192.0.2.7", "", "not_ours"},
	})
	if n := testing.AllocsPerRun(100, func() { w.workers[0].snap.isBackup(packet.AddrFrom(vip[0])) }); n != 0 {
		t.Errorf("asking takes %v allocations", n)
	}

	// It comes here; and once more, after a station has contradicted it.
	w.snapshot.LAN = &LAN{Claims: map[netip.Addr]uint32{vip[0]: 1}}
	w.publish()
	w.pass(100 * time.Millisecond)
	w.expect("told", "arp who-has 192.0.2.80 tell 192.0.2.80", "originated")
	w.pass(5 * time.Second)
	w.sent()
	w.verdictsSince()
	w.snapshot.LAN = &LAN{Claims: map[netip.Addr]uint32{vip[0]: 2}}
	w.publish()
	w.pass(100 * time.Millisecond)
	w.expect("told again", "arp who-has 192.0.2.80 tell 192.0.2.80", "originated")
}

// TestContest: somebody else who says that an address of ours is his is noticed,
// whichever way he says it.
func TestContest(t *testing.T) {
	for _, tt := range []struct{ name, packet, claimed string }{
		{"an answer", "arp 192.0.2.80 is-at 02:00:00:00:00:09 tell 192.0.2.7", "192.0.2.80"},
		{"an advertisement", "nd 2001:db8:2::80 is-at 02:00:00:00:00:09 tell ff02::1 override", "2001:db8:2::80"},
		{"of another address", "arp 192.0.2.81 is-at 02:00:00:00:00:09 tell 192.0.2.7", ""},
		{"our own", "arp 192.0.2.80 is-at 02:00:00:00:00:01 tell 192.0.2.7", ""},
		{"who only asks whether it is free", "arp who-has 192.0.2.80 tell 0.0.0.0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTestWorker(t, onLinkServices...)
			got := ""
			w.workers[0].rival = func(a packet.Addr, mac [6]byte) { got += a.String() }
			w.inject(tt.packet, tt.packet)
			w.settle()
			if got != tt.claimed {
				t.Errorf("contested: %q, want %q, once", got, tt.claimed)
			}
		})
	}
}

// TestProbe: a holder asks now and then whether it is alone, in nobody's name.
func TestProbe(t *testing.T) {
	w := newTestWorker(t, onLinkServices[:2]...)
	w.snapshot.LAN = &LAN{}
	w.publish()
	w.pass(15 * time.Second)
	sent := strings.Split(w.sent(), "\n")
	for _, want := range []string{"arp who-has 192.0.2.80 tell 0.0.0.0", "nd who-has 2001:db8:2::80 tell ::"} {
		if n := count(sent, want); n < 1 || n > 2 {
			t.Errorf("%q was sent %d times in 15 s:\n%s", want, n, strings.Join(sent, "\n"))
		}
	}
	if n := count(sent, "arp who-has 10.0.0.99 tell 0.0.0.0"); n != 0 {
		t.Error("a local address is asked for as well")
	}
}

func count(lines []string, want string) (n int) {
	for _, line := range lines {
		if strings.HasPrefix(line, want) {
			n++
		}
	}
	return n
}
