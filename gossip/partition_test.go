package gossip_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"fleetlb/gossip"
	"fleetlb/gossip/gossiptest"
	"fleetlb/session"
)

// Members find each other again after a partition of any length, however it cut.
func TestPartition(t *testing.T) {
	tests := []struct {
		members, apart int // the last ones
		length         time.Duration
	}{
		{3, 1, 5 * time.Second},
		{3, 1, time.Minute},
		{3, 2, time.Minute}, // the one is the first seed
		{4, 2, 10 * time.Minute},
		{16, 8, time.Minute},
		{64, 1, 30 * time.Second},
		{64, 32, time.Minute},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d of %d for %v", tt.apart, tt.members, tt.length), func(t *testing.T) {
			if tt.members > 16 && racing {
				t.Skip("too slow under the race detector")
			}
			bubble(t, func(s *site) {
				s.grow(tt.members)
				var apart []netip.Addr
				for i := tt.members - tt.apart + 1; i <= tt.members; i++ {
					apart = append(apart, address(i).Addr())
				}
				s.net.Part(apart)
				time.Sleep(tt.length)
				if tt.length > 20*time.Second {
					if n := alive(s.all[tt.members]); n != tt.apart-1 {
						t.Errorf("%d alive in a part of %d", n+1, tt.apart)
					}
				}
				s.net.Part()
				took := s.await("all know each other again", s.whole)
				t.Logf("%d of %d apart for %v: whole again after %v", tt.apart, tt.members, tt.length, took)
				if took > 10*time.Second {
					t.Errorf("whole again after %v only", took)
				}
			})
		})
	}
}

// Those who lost each other find each other without a seed.
func TestPartitionWithoutSeeds(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(5)
		for i := 1; i <= 2; i++ {
			s.all[i].Close()
			delete(s.all, i)
		}
		s.net.Part([]netip.Addr{address(5).Addr()})
		time.Sleep(5 * time.Minute)
		if alive(s.all[5]) != 0 || alive(s.all[3]) != 1 {
			t.Errorf("%v and %v", s.all[5].Members(), s.all[3].Members())
		}
		s.net.Part()
		if took := s.await("all know each other again", s.whole); took > 10*time.Second {
			t.Errorf("whole again after %v only", took)
		}
	})
}

// Loss and disorder kill nobody for long, and nobody for good.
func TestBadNetwork(t *testing.T) {
	for _, faults := range []gossiptest.Faults{
		{Loss: 0.05, Delay: time.Millisecond, Jitter: 5 * time.Millisecond},
		{Loss: 0.2, Duplicate: 0.2, Delay: time.Millisecond, Jitter: 50 * time.Millisecond},
		{Loss: 0.5, Duplicate: 0.5, Delay: time.Millisecond, Jitter: 100 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(faults), func(t *testing.T) {
			bubble(t, func(s *site) {
				s.grow(5)
				s.net.Suffer(faults)
				missing := 0
				for range 600 {
					time.Sleep(100 * time.Millisecond)
					for _, f := range s.all {
						missing += len(s.all) - 1 - alive(f)
					}
				}
				t.Logf("%+v: %.2f %% of the time somebody was thought dead", faults, float64(missing)/600/20*100)
				if faults.Loss < 0.5 && missing > 0 {
					t.Errorf("somebody was thought dead, %d times 100 ms", missing)
				}
				s.net.Suffer(gossiptest.Faults{})
				s.await("all know each other", s.whole)
			})
		})
	}
}

// A director that starts again before anybody missed it is another life at once,
// and nobody ever takes the one before for alive again.
func TestRestart(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(3)
		before := s.all[3].Self()
		s.all[3].Close()
		time.Sleep(200 * time.Millisecond)
		s.all[3] = s.join(config(3), gossip.Options{})
		now := s.all[3].Self()
		if now.ID != before.ID || now.Epoch <= before.Epoch {
			t.Fatalf("%v after %v", now, before)
		}
		took := s.await("the others know", func() bool {
			a, _ := member(s.all[1], "lb3")
			b, _ := member(s.all[2], "lb3")
			return a.Alive && b.Alive && a.Owner() == now && b.Owner() == now
		})
		t.Logf("a restart is known after %v", took)
		if took > time.Second {
			t.Errorf("a restart is known after %v only", took)
		}
		for range 1000 { // while the one before dies in memberlist
			time.Sleep(10 * time.Millisecond)
			for i := 1; i <= 3; i++ {
				f := s.all[i]
				if alive(f) != 2 || len(f.Members()) != 2 || len(f.Conflicts()) != 0 {
					t.Fatalf("lb%d sees %+v, conflicts %+v", i, f.Members(), f.Conflicts())
				}
			}
			if m, _ := member(s.all[1], "lb3"); m.Owner() != now {
				t.Fatalf("%v is back", m.Owner())
			}
		}
	})
}

// All start again at once.
func TestRestartOfAll(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(5)
		for i, f := range s.all {
			f.Close()
			delete(s.all, i)
		}
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		s.grow(5)
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("whole again after %v only", took)
		}
	})
}

// A director that moved to another address is one, not two.
func TestMove(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(3)
		s.all[3].Close()
		c := config(3)
		c.Bind = address(9)
		s.all[3] = s.join(c, gossip.Options{})
		s.await("it is at the new address alone", func() bool {
			m, _ := member(s.all[1], "lb3")
			return s.whole() && m.Alive && m.Address == address(9) && len(s.all[1].Conflicts())+len(s.all[3].Conflicts()) == 0
		})
	})
}

func TestLeave(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(3)
		leaver := s.all[3]
		delete(s.all, 3)
		if err := leaver.Leave(s.t.Context()); err != nil {
			t.Error(err)
		}
		left := func(f *gossip.Fleet) bool {
			m, ok := member(f, "lb3")
			return ok && m.Left && !m.Alive && m.State == gossip.Leaving
		}
		took := s.await("the others know", func() bool { return left(s.all[1]) && left(s.all[2]) })
		if took > 500*time.Millisecond {
			t.Errorf("known after %v only", took)
		}
		leaver.Close()
		time.Sleep(time.Minute)
		if !left(s.all[1]) || !left(s.all[2]) {
			t.Errorf("no longer left: %+v", s.all[1].Members())
		}
		s.grow(3) // and it may come back
	})
}

// A member frozen and fenced begins another life without a restart.
func TestRenewal(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(2)
		heard := make(chan session.Owner, 1)
		s.all[3] = s.join(config(3), gossip.Options{})
		s.all[4] = s.join(config(4), gossip.Options{OnDatagram: func(from session.Owner, _ []byte) { heard <- from }})
		s.await("all know each other", s.whole)
		i := config(3).Self
		i.Epoch = s.all[3].Self().Epoch + 5
		if err := s.all[3].Announce(i); err != nil {
			t.Fatal(err)
		}
		s.await("the others know", func() bool {
			m, _ := member(s.all[1], "lb3")
			return m.Epoch == i.Epoch && m.Alive
		})
		if err := s.all[3].Send(id(4), nil); err != nil {
			t.Fatal(err)
		}
		if from := <-heard; from != s.all[3].Self() || from.Epoch != i.Epoch {
			t.Errorf("%v is heard as %v", s.all[3].Self(), from)
		}
		time.Sleep(10 * time.Second)
		if !s.whole() {
			t.Error("it died of it")
		}
		i.Epoch--
		if err := s.all[3].Announce(i); err == nil {
			t.Error("an earlier life may follow")
		}
	})
}
