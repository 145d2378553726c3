package gossip_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"fleetlb/gossip"
	"fleetlb/gossip/gossiptest"
	"fleetlb/session"
)

var key = bytes.Repeat([]byte{7}, 32)

// A site is a fleet in memory.
type site struct {
	t   testing.TB
	net *gossiptest.Network
	all map[int]*gossip.Fleet
	log *slog.Logger
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(s *site)) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{t: t, net: gossiptest.New(1), all: map[int]*gossip.Fleet{}, log: slog.New(slog.DiscardHandler)}
		if testing.Verbose() {
			s.log = slog.New(slog.NewTextHandler(t.Output(), nil))
		}
		defer func() {
			for _, f := range s.all {
				f.Close()
			}
			time.Sleep(5 * time.Second) // memberlist's last probe
		}()
		f(s)
	})
}

func address(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 7946)
}

func name(i int) string { return fmt.Sprintf("lb%d", i) }

// config is of the director number i, with the first two as seeds.
func config(i int) gossip.Config {
	return gossip.Config{
		Name: name(i), Bind: address(i), Seeds: []netip.AddrPort{address(1), address(2)}, Keys: [][]byte{key}, Label: "lab",
		Self: gossip.Info{Version: "1", State: gossip.Serving, Config: 1,
			Blocks: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i), 0}), 28)}},
	}
}

func (s *site) join(c gossip.Config, o gossip.Options) *gossip.Fleet {
	s.t.Helper()
	time.Sleep(time.Microsecond) // no two start at one moment
	o.Network, o.Log = s.net, s.log.With("on", c.Name)
	f, err := gossip.Join(s.t.Context(), c, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// grow starts directors up to number n, and waits until they know each other.
func (s *site) grow(n int) {
	s.t.Helper()
	for i := len(s.all) + 1; i <= n; i++ {
		s.all[i] = s.join(config(i), gossip.Options{})
	}
	s.await("all know each other", s.whole)
}

func (s *site) whole() bool {
	for _, f := range s.all {
		if alive(f) != len(s.all)-1 {
			return false
		}
	}
	return true
}

func alive(f *gossip.Fleet) (n int) {
	for _, m := range f.Members() {
		if m.Alive {
			n++
		}
	}
	return n
}

// await waits until something is so, and returns how long that took.
func (s *site) await(what string, so func() bool) time.Duration {
	s.t.Helper()
	start := time.Now()
	for !so() {
		if time.Since(start) > 2*time.Minute {
			for i, f := range s.all {
				s.t.Logf("%d: %v", i, f.Members())
			}
			s.t.Fatalf("not so: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}

func member(f *gossip.Fleet, name string) (gossip.Member, bool) {
	all := f.Members()
	i := slices.IndexFunc(all, func(m gossip.Member) bool { return m.Name == name })
	if i < 0 {
		return gossip.Member{}, false
	}
	return all[i], true
}

func TestMembers(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(3)
		m, ok := member(s.all[1], "lb3")
		want := config(3)
		if !ok || m.ID != session.NodeIDOf("lb3") || m.Address != address(3) || m.State != gossip.Serving || m.Version != "1" ||
			m.Config != 1 || !slices.Equal(m.Blocks, want.Self.Blocks) || m.Owner() != s.all[3].Self() {
			t.Errorf("%+v", m)
		}
		if c := s.all[1].Conflicts(); len(c) != 0 {
			t.Errorf("conflicts: %+v", c)
		}
	})
}

// How long it takes to know each other, to find a death, and what is said
// meanwhile.
func TestSizes(t *testing.T) {
	for _, n := range []int{3, 16, 64} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			if n > 16 && racing {
				t.Skip("too slow under the race detector")
			}
			bubble(t, func(s *site) {
				start := time.Now()
				s.grow(n)
				joined := time.Since(start)
				time.Sleep(20 * time.Second)
				before := s.net.Sent(address(2).Addr())
				time.Sleep(30 * time.Second)
				after := s.net.Sent(address(2).Addr())
				s.all[n].Close()
				delete(s.all, n)
				dead := s.await("a death is known", s.whole)
				t.Logf("%d members: joined after %v, death known after %v; idle: %d datagrams/s, %d B/s, streams %d B/s each",
					n, joined, dead, (after.Datagrams-before.Datagrams)/30, (after.DatagramBytes-before.DatagramBytes)/30, (after.StreamBytes-before.StreamBytes)/30)
				if dead > 12*time.Second {
					t.Errorf("a death is known after %v only", dead)
				}
				if m, _ := member(s.all[1], name(n)); m.Left {
					t.Error("a death is taken for a departure")
				}
			})
		})
	}
}
