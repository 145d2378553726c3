package gossip_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"fleetlb/gossip"
)

// Each conflict is known to both within a second of joining, and both agree who
// has to hold his tongue.
func TestConflicts(t *testing.T) {
	tests := []struct {
		name    string
		spoil   func(c *gossip.Config)
		kind    gossip.ConflictKind
		members int // that the first sees
		text    string
	}{
		{"the same name", func(c *gossip.Config) { c.Name = "lb1" }, gossip.ConflictName, 1, `called "lb1" as well`},
		{"an overlapping block", func(c *gossip.Config) { c.Self.Blocks[0] = netip.MustParsePrefix("10.1.1.8/30") }, gossip.ConflictBlocks, 2,
			"10.1.1.8/30 overlap with ours, 10.1.1.0/28"},
		{"other services", func(c *gossip.Config) { c.Self.Config = 2 }, gossip.ConflictConfig, 2, "services are not the same"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(s *site) {
				s.grow(2)
				c := config(3)
				tt.spoil(&c)
				odd := s.join(c, gossip.Options{})
				s.all[3] = odd
				took := s.await("both know", func() bool { return len(odd.Conflicts()) > 0 && len(s.all[1].Conflicts()) > 0 })
				if took > time.Second {
					t.Errorf("known after %v only", took)
				}
				time.Sleep(10 * time.Second)
				ours, theirs := s.all[1].Conflicts(), odd.Conflicts()
				if len(ours) != 1 || ours[0].Kind != tt.kind || ours[0].Ours || ours[0].With.Address != address(3) || !strings.Contains(ours[0].Text, tt.text) {
					t.Errorf("the first: %+v", ours)
				}
				if len(theirs) == 0 || theirs[0].Kind != tt.kind || !theirs[0].Ours {
					t.Errorf("the last: %+v", theirs)
				}
				if n := alive(s.all[1]); n != tt.members {
					t.Errorf("the first sees %d members alive, want %d: %+v", n, tt.members, s.all[1].Members())
				}
				// The one who is there by right is the one spoken with.
				if m, _ := member(s.all[2], "lb1"); m.Address != address(1) || !m.Alive {
					t.Errorf("the second knows %+v as lb1", m)
				}
				odd.Close()
				delete(s.all, 3)
				s.await("it is over", func() bool { return len(s.all[1].Conflicts()) == 0 })
			})
		})
	}
}

// Services that differ for a while, as while they are reloaded everywhere, are a
// conflict only for that while.
func TestConflictEnds(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(2)
		for i := 1; i <= 2; i++ {
			info := config(i).Self
			info.Config = 2
			if err := s.all[i].Announce(info); err != nil {
				t.Fatal(err)
			}
			s.await("news of it", func() bool {
				return (len(s.all[1].Conflicts()) > 0) == (i == 1) && (len(s.all[2].Conflicts()) > 0) == (i == 1)
			})
		}
	})
}

// A director whose clock was set back is refused, and told why.
func TestOutlived(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(2)
		c := config(3)
		c.Self.Epoch = uint64(time.Now().Add(time.Hour).UnixNano())
		s.all[3] = s.join(c, gossip.Options{})
		s.await("all know each other", s.whole)
		s.all[3].Close()
		s.all[3] = s.join(config(3), gossip.Options{})
		s.await("it is told", func() bool {
			c := s.all[3].Conflicts()
			return len(c) == 1 && c[0].Kind == gossip.ConflictClock && !c[0].Ours && strings.Contains(c[0].Text, "later life")
		})
		if n := alive(s.all[3]); n != 0 {
			t.Errorf("it sees %d members", n)
		}
	})
}

// What a fleet must not be started with.
func TestRefusedConfigs(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(c *gossip.Config)
		want  string
	}{
		{"no name", func(c *gossip.Config) { c.Name = "" }, "name"},
		{"too many blocks", func(c *gossip.Config) { c.Self.Blocks = make([]netip.Prefix, 17) }, "17 local-address blocks: a director can tell of 16 at most"},
		{"no keys beyond loopback", func(c *gossip.Config) { c.Keys = nil }, "must be on loopback alone"},
		{"no keys and a seed beyond loopback", func(c *gossip.Config) {
			c.Keys, c.Bind = nil, netip.MustParseAddrPort("127.0.0.1:0")
		}, "must be on loopback alone"},
		{"a short key", func(c *gossip.Config) { c.Keys[0] = key[:16] }, "key 1: it has 16 bytes, not 32"},
		{"any address", func(c *gossip.Config) { c.Bind = netip.MustParseAddrPort("0.0.0.0:7946") }, "say which address others reach"},
		{"a group's address", func(c *gossip.Config) { c.Bind = netip.MustParseAddrPort("224.0.0.1:7946") }, "not an address that others reach"},
	}
	for _, tt := range tests {
		bubble(t, func(s *site) {
			c := config(1)
			tt.spoil(&c)
			f, err := gossip.Join(s.t.Context(), c, gossip.Options{Network: s.net})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
			}
			if f != nil {
				f.Close()
			}
		})
	}
}
