package gossip_test

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"fleetlb/gossip"
	"fleetlb/session"
)

// pair are two members on loopback.
func pair(b *testing.B, o gossip.Options) (a *gossip.Fleet) {
	b.Helper()
	join := func(i int, o gossip.Options, seeds ...netip.AddrPort) *gossip.Fleet {
		o.Log = slog.New(slog.DiscardHandler)
		f, err := gossip.Join(b.Context(), gossip.Config{Name: name(i), Bind: netip.AddrPortFrom(loopback4, 0), Seeds: seeds, Keys: [][]byte{key}}, o)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		return f
	}
	a = join(1, gossip.Options{})
	other := join(2, o, a.Address())
	for alive(a) == 0 || alive(other) == 0 {
		time.Sleep(time.Millisecond)
	}
	return a
}

// What a datagram costs its sender, the kernel's part included.
func BenchmarkSend(b *testing.B) {
	a := pair(b, gossip.Options{OnDatagram: func(session.Owner, []byte) {}})
	payload := make([]byte, gossip.MaxDatagram)
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Send(id(2), payload); err != nil {
			b.Fatal(err)
		}
	}
}

// How fast a stream is.
func BenchmarkStream(b *testing.B) {
	a := pair(b, gossip.Options{OnStream: func(_ session.Owner, c net.Conn) { _, _ = io.Copy(io.Discard, c) }})
	c, err := a.Open(b.Context(), id(2))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	chunk := make([]byte, 64<<10)
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
}
