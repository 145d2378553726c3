package gossip

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"fleetlb/gossip/seal"
)

// A clock that is off is found by three beats in a row, and forgiven by one.
func TestClock(t *testing.T) {
	f, err := newFleet(Config{Name: "lb1", Bind: netip.MustParseAddrPort("127.0.0.1:0")}, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	f.wire.start()
	defer func() { f.cancel(); f.wire.Close() }()
	life := seal.Life{Node: 7, Epoch: 1}
	f.peers[7] = &peer{life: life, id: 7, name: "lb2", alive: true, heard: time.Now()}
	beat := func(off time.Duration) {
		b := newFields()
		b.number(beatTime, uint64(time.Now().Add(off).UnixMicro()))
		b.bytes(beatNumbers, Numbers{}.append(newFields()))
		f.heardBeat(life, netip.AddrPort{}, b)
	}
	for i, tt := range []struct {
		off      time.Duration
		conflict bool
	}{{0, false}, {-10 * time.Second, false}, {-10 * time.Second, false}, {0, false}, {10 * time.Second, false}, {10 * time.Second, false},
		{-10 * time.Second, true}, {10 * time.Second, true}, {time.Second, false}} {
		beat(tt.off)
		c := f.Conflicts()
		if len(c) > 0 != tt.conflict || len(c) > 0 && (c[0].Kind != ConflictClock || c[0].Ours) {
			t.Errorf("beat %d, off by %v: %+v", i, tt.off, c)
		}
	}
}
