package fullnat

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/packet/packettest"
)

// announced lets a tick pass and prints what was announced in it.
func (b *bench) announced() string {
	b.pass(tickLength)
	var all []string
	for _, f := range b.frames() {
		all = append(all, fmt.Sprintf("eth%d %s", f.Port, strings.SplitN(packettest.Print(f.Bytes), " tell ", 2)[0]))
	}
	return strings.Join(all, ", ")
}

func TestAnnounce(t *testing.T) {
	w := newTestWorkers(t, 2, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	if got := w.announced(); got != "" {
		t.Errorf("addresses that are routed to us: %s", got)
	}
	w.services("vip 192.0.2.80:443 → 10.0.0.11:8443", "vip [2001:db8:2::80]:443 → [fd00::11]:8443 via fd00::99")
	const all = "eth0 arp who-has 192.0.2.80, eth0 nd 2001:db8:2::80 is-at 02:00:00:00:00:01, eth1 nd fd00::99 is-at 02:00:00:00:01:01"
	for second := range 5 {
		want := all
		if second >= announceTimes {
			want = ""
		}
		if got := w.announced(); got != want {
			t.Errorf("after %d seconds: %s, want %s", second, got, want)
		}
		w.pass(time.Second - 2*tickLength)
		if got := w.announced(); got != "" {
			t.Errorf("between: %s", got)
		}
	}

	w.publish()
	if got := w.announced(); got != "" {
		t.Errorf("a snapshot with nothing new: %s", got)
	}
	w.network.Ports[0].Up = false
	w.publish()
	if got := w.announced(); got != "" {
		t.Errorf("a port goes down: %s", got)
	}
	w.network.Ports[0].Up = true
	w.publish()
	if got, want := w.announced(), "eth0 arp who-has 192.0.2.80, eth0 nd 2001:db8:2::80 is-at 02:00:00:00:00:01"; got != want {
		t.Errorf("the port comes back: %s, want %s", got, want)
	}
	w.services("vip [2001:db8:2::80]:443 → [fd00::11]:8443")
	w.pass(time.Second - tickLength)
	if got, want := w.announced(), "eth0 nd 2001:db8:2::80 is-at 02:00:00:00:00:01"; got != want {
		t.Errorf("a VIP is gone before its second announcement: %s, want %s", got, want)
	}
}

// TestAnnounceMany does not flood the link with what a large director has.
func TestAnnounceMany(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.0.0.0/24")
	w.pass(time.Second)
	w.frames()
	w.snapshot.Locals = []netip.Prefix{netip.MustParsePrefix("10.0.0.128/26")}
	w.publish()
	w.pass(10 * time.Second)
	w.frames()
	w.snapshot.Locals = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/25"), netip.MustParsePrefix("10.0.0.128/25")}
	w.publish()
	total := 0
	for range 100 {
		w.pass(tickLength)
		n := len(w.frames())
		if n > announcePerTick {
			t.Fatalf("%d announcements in a tick", n)
		}
		total += n
	}
	// All of the /24 but those announced before and the host's own address.
	if want := announceTimes * (256 - 64 - 1); total != want {
		t.Errorf("%d announcements, want %d", total, want)
	}
	w.conserved("announcements")
}
