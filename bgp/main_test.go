package bgp_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"fleetlb/bgp"
	"fleetlb/bgp/bgptest"
)

// The test binary is the program that the speaker starts again as its child,
// and some tests start it as a whole director.
func TestMain(m *testing.M) {
	bgp.Child()
	bgptest.Child()
	director()
	flag.Parse()
	flag.Set("test.parallel", "8") // they wait for timers of whole seconds, not for processors
	goleak.VerifyTestMain(m)
}

const (
	ourASN   = 65001
	theirASN = 65000
)

// prefixes that the tests announce.
var (
	vip4  = netip.MustParsePrefix("203.0.113.10/32")
	vip4b = netip.MustParsePrefix("203.0.113.11/32")
	vip6  = netip.MustParsePrefix("2001:db8::10/128")
)

// within bounds a wait. It is generous: a machine that runs everything at once
// is slow, and nothing waits for it but a test that fails.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("not within %v", d))
	t.Cleanup(cancel)
	return ctx
}

// A pair is a router's address and the director's that talks to it, both on
// the loopback interface and in no other test.
type pair struct {
	router, director netip.Addr
	port             uint16
}

var pairs atomic.Uint32

func newPair() pair {
	n := byte(pairs.Add(1))
	p := byte(os.Getpid())
	return pair{netip.AddrFrom4([4]byte{127, p, n, 1}), netip.AddrFrom4([4]byte{127, p, n, 2}), 1790}
}

// newPair6 is a pair that talks IPv6. There is one IPv6 loopback address, so
// only the port is its own.
func newPair6() pair {
	return pair{netip.IPv6Loopback(), netip.IPv6Loopback(), 20000 + uint16(os.Getpid()%200)*100 + uint16(pairs.Add(1)%100)}
}

// start starts a peer at the router's address that lets the director connect.
// Its ASN may be given.
func (p pair) start(t *testing.T, n bgptest.Neighbor, asn ...uint32) *bgptest.Peer {
	t.Helper()
	n.Prefix, n.ASN = netip.PrefixFrom(p.director, p.director.BitLen()), ourASN
	peer, err := bgptest.Start(bgptest.Config{
		ASN: append(asn, theirASN)[0], RouterID: netip.MustParseAddr("192.0.2.254"), Listen: []netip.Addr{p.router}, Port: p.port,
		Neighbors: []bgptest.Neighbor{n},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return peer
}

// neighbor is the router as the director configures it.
func (p pair) neighbor() bgp.Neighbor {
	return bgp.Neighbor{Address: p.router, Port: p.port, ASN: theirASN, LocalAddress: p.director, ConnectRetry: time.Second}
}

func config(neighbors ...bgp.Neighbor) bgp.Config {
	return bgp.Config{ASN: ourASN, RouterID: netip.MustParseAddr("192.0.2.1"), Neighbors: neighbors}
}

func start(t *testing.T, c bgp.Config) *bgp.Speaker {
	t.Helper()
	s, err := bgp.Start(t.Context(), c, bgp.Options{Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b[:len(b)-1])
	return len(b), nil
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func announce(t *testing.T, s *bgp.Speaker, routes ...bgp.Route) {
	t.Helper()
	if err := s.Announce(routes); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition on the speaker.
func until(t *testing.T, s *bgp.Speaker, what string, ready func() bool) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	for !ready() {
		select {
		case <-s.Changes():
		case <-ctx.Done():
			t.Fatalf("%s: %v; neighbors %+v, process %+v", what, context.Cause(ctx), s.Neighbors(), s.Process())
		}
	}
}

func established(s *bgp.Speaker, a netip.Addr) bool {
	for _, n := range s.Neighbors() {
		if n.Address == a {
			return n.State == bgp.Established
		}
	}
	return false
}
