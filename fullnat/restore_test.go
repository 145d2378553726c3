package fullnat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"fleetlb/fullnat/offload"
	"fleetlb/session"
)

// Who takes over from another knows of every lifted session what that knew, of
// every mode, and lifts it again.
func TestRestore(t *testing.T) {
	p := newPair(t, offload.Never)
	for _, line := range []string{
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1001 ack 5001 len 99",
		"tcp 198.51.100.7:4711 > 203.0.113.82:443 PA ttl 64 seq 1001 ack 5001 len 99",
		"tcp 198.51.100.7:4711 > 203.0.113.83:443 PA ttl 64 df seq 1001 ack 5001 len 99",
	} {
		if !p.meet(p.frameTo(line)) {
			t.Fatalf("not carried: %s", line)
		}
	}
	heir := newTestWorker(t, pairServices...)
	heir.Lift(newDriver(t, offload.Never, 1).table)
	n, err := heir.Restore(t.Context(), p.table.Flows())
	if err != nil || n != pairLifted {
		t.Errorf("%d restored, want %d: %v", n, pairLifted, err)
	}
	want, got := lifted(p.lifted), lifted(heir)
	if !slices.Equal(got, want) {
		t.Errorf("restored\n%q, want\n%q", got, want)
	}
}

// lifted lists the lifted sessions.
func lifted(b *bench) (all []string) {
	w := b.workers[0]
	w.sessions.Each(0, 1<<30, func(s *session.Session) {
		if s.Offload != 0 {
			i := w.info(s, b.now)
			all = append(all, fmt.Sprintf("%d %s %s %v %v %s %v %v", i.Protocol, i.State, i.Service, i.Client, i.VIP, i.Mode, i.Local, i.Server))
		}
	})
	slices.Sort(all)
	return all
}

// A flow whose server is gone is nobody's.
func TestRestoreGone(t *testing.T) {
	p := newPair(t, offload.Never)
	services := slices.Clone(pairServices)
	services[6] = "vip 203.0.113.82:443 → dr 10.0.0.15:443"
	services[8] = "vip 203.0.113.83:443 → tun 10.0.0.15:443"
	heir := newTestWorker(t, services...)
	if n, err := heir.Restore(t.Context(), p.table.Flows()); err != nil || n != pairLifted-2 {
		t.Errorf("%d restored, want %d: %v", n, pairLifted-2, err)
	}
}

// How long a session has been idle is since its last packet, either way.
func TestRestoreIdle(t *testing.T) {
	p := newPair(t, offload.Never)
	p.pass(100 * time.Second)
	in, out := "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 9", "eth1 udp 10.0.0.11:5353 > 10.9.0.1:5238 ttl 64 len 9"
	if !p.meet(p.frameTo(out)) {
		t.Fatal("not carried")
	}
	p.pass(100 * time.Second)
	if !p.meet(p.frameTo(in)) {
		t.Fatal("not carried")
	}
	for h := range p.table.Flows() {
		if h.Client.DstPort == 53 && h.Client.Dst.Is4() && h.Mode == session.FULLNAT && h.Idle != 0 {
			t.Errorf("%v has been idle for %v, its last packet just came", h.Client, h.Idle)
		}
	}
}
