package node

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"fleetlb/bgp/bfd"
	"fleetlb/node/config"
)

func (v voice) Reset(a netip.Addr, why string) { v.note("reset", a.String()+" "+why) }

// scout is what BFD would be.
type scout struct {
	*world
	sessions []bfd.Status
}

func (s *scout) Set(peers []bfd.Peer) error {
	var all []string
	for _, p := range peers {
		all = append(all, p.Address.String())
	}
	return s.note("watch", strings.Join(all, " "))
}
func (s *scout) Sessions() []bfd.Status      { return s.sessions }
func (s *scout) Drops() map[string]uint64    { return nil }
func (s *scout) Changes() <-chan struct{}    { return nil }
func (s *scout) Close(context.Context) error { return s.note("farewell", "") }

func TestPeers(t *testing.T) {
	c := load(t, write(t, t.TempDir(), carrier+speaks+`bfd = true
[[bgp.neighbor]]
address = "10.1.0.2"
asn = 65000
[[bgp.neighbor]]
address = "10.1.0.3"
asn = 65000
bfd = true
bfd_interval = "50ms"
bfd_multiplier = 5
multihop = 3
[[bgp.neighbor]]
address = "10.1.0.4"
asn = 65000
bfd = true
ttl_security = 1
[[bgp.neighbor]]
address = "10.1.0.5"
asn = 65000
bfd = true
ttl_security = 2
`))
	want := []bfd.Peer{
		{Address: netip.MustParseAddr("10.1.0.1"), Interval: bfd.DefaultInterval, Multiplier: bfd.DefaultMultiplier},
		{Address: netip.MustParseAddr("10.1.0.3"), Interval: bfd.MinInterval, Multiplier: 5, Multihop: true},
		{Address: netip.MustParseAddr("10.1.0.4"), Interval: bfd.DefaultInterval, Multiplier: bfd.DefaultMultiplier},
		{Address: netip.MustParseAddr("10.1.0.5"), Interval: bfd.DefaultInterval, Multiplier: bfd.DefaultMultiplier, Multihop: true},
	}
	if diff := cmp.Diff(want, peers(c.BGP), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if peers(nil) != nil || peers(&config.BGP{}) != nil {
		t.Error("somebody is watched")
	}
}

// newScout has a world's director watch a neighbour.
func newScout(t *testing.T) (*scout, *director) {
	w, d := newWorld(t, write(t, t.TempDir(), carrier+speaks+"bfd = true\n"))
	s := &scout{world: w, sessions: []bfd.Status{{Address: netip.MustParseAddr("10.1.0.1"), State: bfd.Up}}}
	d.detector = s
	d.settle()
	w.since()
	return s, d
}

// A BGP session ends once for each time that its neighbour was lost, and not
// when the neighbour has ended BFD on purpose.
func TestForsake(t *testing.T) {
	s, d := newScout(t)
	one := &s.sessions[0]
	for _, tt := range []struct {
		name string
		do   func()
		want string
	}{
		{"up", func() {}, ""},
		{"lost", func() { one.State, one.Failures, one.LastFailure = bfd.Down, 1, bfd.Expired }, "reset 10.1.0.1 bfd: detection time expired"},
		{"still lost", func() {}, ""},
		{"back", func() { one.State = bfd.Up }, ""},
		{"ended on purpose", func() { one.State, one.RemoteState = bfd.Down, bfd.AdminDown }, ""},
		{"lost and back between two looks, twice", func() { one.State, one.Failures, one.LastFailure = bfd.Up, 3, bfd.Signaled }, "reset 10.1.0.1 bfd: neighbor signaled session down"},
		{"another session", func() { one.Failures = 0 }, ""},
		{"which is lost", func() { one.Failures, one.LastFailure = 1, bfd.Expired }, "reset 10.1.0.1 bfd: detection time expired"},
		{"another session, lost at once", func() { one.Failures = 0; d.forsake(); one.Failures = 1 }, "reset 10.1.0.1 bfd: detection time expired"},
		{"nobody left to reset", func() { one.Failures, d.speaker = 7, nil }, ""},
	} {
		tt.do()
		d.forsake()
		if got := s.since(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The routers hear of the end by BFD once the routes are gone, and before the
// sessions are.
func TestFarewellWhenLeaving(t *testing.T) {
	s, d := newScout(t)
	d.config.Node.WithdrawDelay = 0
	d.leave()
	lines := strings.Split(s.since(), "\n")
	want := []string{"announce", "flush", "farewell", "close"}
	if diff := cmp.Diff(want, lines[max(0, len(lines)-4):]); diff != "" {
		t.Error(diff)
	}
}

func TestWatchFollowsTheFile(t *testing.T) {
	s, d := newScout(t)
	reload := func(text string) string {
		d.adopt(settingsOf(load(t, write(t, t.TempDir(), text))), replacement{oldSpeaker: d.speaker, speaker: d.speaker})
		for line := range strings.Lines(s.since()) {
			if strings.HasPrefix(line, "watch") {
				return strings.TrimSpace(line)
			}
		}
		return "nothing"
	}
	for _, tt := range []struct{ more, want string }{
		{"", "watch"},
		{"bfd = true\n", "watch 10.1.0.1"},
		{"bfd = true\n[[bgp.neighbor]]\naddress = \"10.1.0.2\"\nasn = 65000\nbfd = true\n", "watch 10.1.0.1 10.1.0.2"},
	} {
		if got := reload(carrier + speaks + tt.more); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.more, got, tt.want)
		}
	}
}

func TestSilences(t *testing.T) {
	s, d := newScout(t)
	ip := netip.MustParseAddr
	s.sessions = []bfd.Status{
		{Address: ip("10.1.0.1"), State: bfd.Up, Detect: 900e6},
		{Address: ip("10.1.0.2"), State: bfd.Down, Problem: "listen on 10.1.0.11:3784: address already in use"},
		{Address: ip("10.1.0.3"), State: bfd.Down, RemoteState: bfd.AdminDown},
		{Address: ip("10.1.0.4"), State: bfd.Down, RemoteState: bfd.Down, Diag: bfd.Expired},
		{Address: ip("10.1.0.5"), State: bfd.Down, RemoteState: bfd.Down},
	}
	want := []string{
		"ok bfd neighbor 10.1.0.1: up, down after 900ms of silence",
		"fail bfd neighbor 10.1.0.2: listen on 10.1.0.11:3784: address already in use",
		"warn bfd neighbor 10.1.0.3: down: the router has ended it",
		"warn bfd neighbor 10.1.0.4: down: detection time expired",
		"warn bfd neighbor 10.1.0.5: down: never heard",
	}
	var got []string
	for _, f := range (backend{d}).silences() {
		got = append(got, f.State+" "+f.Check+": "+f.Found)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	words := map[string]string{"10.1.0.1": "up", "10.1.0.2": "down", "10.1.0.9": "off"}
	for a, want := range words {
		if got := inWords(d.detections(), ip(a)); got != want {
			t.Errorf("%s is %s, want %s", a, got, want)
		}
	}
}
