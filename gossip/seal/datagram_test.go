package seal

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

var (
	alice = Life{Node: 1, Epoch: 100}
	bob   = Life{Node: 2, Epoch: 200}
	eve   = Life{Node: 3, Epoch: 300}

	oldKey = bytes.Repeat([]byte{1}, KeySize)
	newKey = bytes.Repeat([]byte{2}, KeySize)
)

func ring(t testing.TB, label string, keys ...[]byte) *Ring {
	t.Helper()
	r, err := NewRing(label, keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func endpoint(t testing.TB, l Life, keys ...[]byte) *Endpoint {
	return NewEndpoint(ring(t, "lab", keys...), l)
}

func seal(t testing.TB, e *Endpoint, to Life, payload string) []byte {
	t.Helper()
	d, err := e.Seal(nil, to, 7, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDatagram(t *testing.T) {
	a, b := endpoint(t, alice, oldKey), endpoint(t, bob, oldKey)
	for _, payload := range []string{"", "news", string(make([]byte, MaxDatagram-Overhead))} {
		d := seal(t, a, bob, payload)
		if len(d) != len(payload)+Overhead || (payload == "news" && bytes.Contains(d, []byte(payload))) {
			t.Fatalf("%d bytes became %d: %q", len(payload), len(d), d)
		}
		from, kind, got, why := b.Open(d)
		if why != Fine || from != alice || kind != 7 || string(got) != payload {
			t.Fatalf("%v, kind %d, %q: %v", from, kind, got, why)
		}
	}
}

// Each row is a datagram that must not be accepted, and the reason that is
// counted.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name string
		make func(a, b *Endpoint) []byte
		want Reason
	}{
		{"nothing", func(a, b *Endpoint) []byte { return nil }, Truncated},
		{"another protocol", func(a, b *Endpoint) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") }, Version},
		{"a header without a tag", func(a, b *Endpoint) []byte { return seal(t, a, bob, "")[:Overhead-1] }, Truncated},
		{"the end is missing", func(a, b *Endpoint) []byte { d := seal(t, a, bob, "news"); return d[:len(d)-1] }, Forged},
		{"longer than any", func(a, b *Endpoint) []byte { return seal(t, a, bob, string(make([]byte, MaxDatagram))) }, Huge},
		{"another label", func(a, b *Endpoint) []byte {
			return seal(t, NewEndpoint(ring(t, "other", oldKey), alice), bob, "news")
		}, UnknownKey},
		{"another key", func(a, b *Endpoint) []byte { return seal(t, endpoint(t, alice, newKey), bob, "news") }, UnknownKey},
		{"no key", func(a, b *Endpoint) []byte { return seal(t, endpoint(t, alice), bob, "news") }, UnknownKey},
		{"for somebody else", func(a, b *Endpoint) []byte { return seal(t, a, Life{eve.Node, bob.Epoch}, "news") }, Forged},
		{"for an earlier life", func(a, b *Endpoint) []byte { return seal(t, a, Life{bob.Node, bob.Epoch - 1}, "news") }, Late},
		{"our own", func(a, b *Endpoint) []byte { return seal(t, b, bob, "news") }, Own},
		{"it came before", func(a, b *Endpoint) []byte {
			d := seal(t, a, bob, "news")
			b.Open(slices.Clone(d))
			return d
		}, Replayed},
		{"left behind", func(a, b *Endpoint) []byte {
			d := seal(t, a, bob, "news")
			for range windowSize {
				b.Open(seal(t, a, bob, "later"))
			}
			return d
		}, Replayed},
		{"of a life that ended", func(a, b *Endpoint) []byte {
			d := seal(t, a, bob, "news")
			b.Open(seal(t, endpoint(t, Life{alice.Node, alice.Epoch + 1}, oldKey), bob, "reborn"))
			return d
		}, StaleEpoch},
		{"the sender renewed its life", func(a, b *Endpoint) []byte {
			d := seal(t, a, bob, "news")
			a.Renew(alice.Epoch + 1)
			b.Open(seal(t, a, bob, "woken"))
			return d
		}, StaleEpoch},
	}
	for _, tt := range tests {
		a, b := endpoint(t, alice, oldKey), endpoint(t, bob, oldKey)
		d := tt.make(a, b)
		before := b.Refused(tt.want)
		if _, _, payload, why := b.Open(d); why != tt.want || payload != nil {
			t.Errorf("%s: %v with %q, want %v", tt.name, why, payload, tt.want)
		}
		if b.Refused(tt.want) != before+1 {
			t.Errorf("%s: not counted as %v", tt.name, tt.want)
		}
		if tt.want.Text() == "" || tt.want.String() == "" {
			t.Errorf("%s: no words for %d", tt.name, tt.want)
		}
	}
}

// Whatever bit changes on the way, nothing comes out.
func TestEveryBitCounts(t *testing.T) {
	a, b := endpoint(t, alice, oldKey), endpoint(t, bob, oldKey)
	whole := seal(t, a, bob, "news")
	for i := range len(whole) * 8 {
		d := slices.Clone(whole)
		d[i/8] ^= 1 << (i % 8)
		if _, _, _, why := b.Open(d); why == Fine {
			t.Errorf("bit %d may be changed", i)
		}
	}
	if len(b.in) != 0 {
		t.Errorf("forgeries are remembered: %d senders", len(b.in))
	}
	if _, _, _, why := b.Open(whole); why != Fine {
		t.Errorf("the true one is refused after all: %v", why)
	}
}

// Keys are replaced step by step while datagrams flow; none is lost, in whichever
// order the members follow.
func TestRotation(t *testing.T) {
	a, b := endpoint(t, alice, oldKey), endpoint(t, bob, oldKey)
	talk := func(step string) {
		t.Helper()
		for _, way := range []struct{ from, to *Endpoint }{{a, b}, {b, a}} {
			if _, _, _, why := way.to.Open(seal(t, way.from, way.to.Boot(), step)); why != Fine {
				t.Fatalf("%s: %v", step, why)
			}
		}
	}
	talk("before")
	was := a.ring.IDs()[0]
	id, err := a.ring.Add(newKey)
	if err != nil {
		t.Fatal(err)
	}
	talk("one has it")
	b.Holds(alice, []KeyID{id, was})
	a.Holds(bob, []KeyID{was})
	must(t, a.ring.Use(id))
	talk("one would use it, and the other has it not yet")
	_, err = b.ring.Add(newKey)
	must(t, err)
	a.Holds(bob, []KeyID{was, id})
	talk("one uses it")
	must(t, b.ring.Use(id))
	talk("both use it")
	must(t, a.ring.Remove(was))
	talk("one forgot the old")
	must(t, b.ring.Remove(was))
	talk("after")
	if _, _, _, why := b.Open(seal(t, endpoint(t, eve, oldKey), bob, "old")); why != UnknownKey {
		t.Errorf("the old key is still good: %v", why)
	}
}

// A nonce is never used twice, though what is kept for a receiver was dropped.
func TestForgottenReceiver(t *testing.T) {
	a, b := endpoint(t, alice, oldKey), endpoint(t, bob, oldKey)
	for i := range 3 {
		if _, _, _, why := b.Open(seal(t, a, bob, fmt.Sprint(i))); why != Fine {
			t.Fatalf("datagram %d: %v", i, why)
		}
		a.Forget(bob)
	}
}

// Memory for senders is bounded, and those known go on being heard.
func TestCrowd(t *testing.T) {
	a, b := endpoint(t, alice, oldKey), endpoint(t, bob, oldKey)
	b.Open(seal(t, a, bob, "first"))
	for n := range uint64(maxPeers) {
		_, _, _, why := b.Open(seal(t, endpoint(t, Life{100 + n, 1}, oldKey), bob, "hello"))
		if want := n == maxPeers-1; (why == Crowded) != want {
			t.Fatalf("sender %d: %v", n, why)
		}
	}
	if _, _, _, why := b.Open(seal(t, a, bob, "again")); why != Fine {
		t.Errorf("one known is refused: %v", why)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAllocations(t *testing.T) {
	a, b := endpoint(t, alice, oldKey), endpoint(t, bob, oldKey)
	payload, buffer := make([]byte, 1200), make([]byte, 0, 2048)
	n := testing.AllocsPerRun(100, func() {
		d, _ := a.Seal(buffer, bob, 1, payload)
		if _, _, _, why := b.Open(d); why != Fine {
			t.Fatal(why)
		}
	})
	if n != 0 {
		t.Errorf("sealing and opening allocates %v times, want 0", n)
	}
}

// FuzzOpen holds that nothing is accepted but what was sealed, whatever arrives,
// and that nothing is remembered of who did not prove himself.
func FuzzOpen(f *testing.F) {
	a := endpoint(f, alice, oldKey)
	whole := seal(f, a, bob, "news")
	f.Add([]byte{})
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(slices.Clone(whole), 0))
	f.Add(seal(f, a, Life{bob.Node, 1}, "late"))
	f.Add(seal(f, endpoint(f, alice, newKey), bob, "other key"))
	f.Add(make([]byte, MaxDatagram+1))
	f.Fuzz(func(t *testing.T, d []byte) {
		b := endpoint(t, bob, oldKey)
		true := bytes.Equal(d, whole)
		_, kind, payload, why := b.Open(slices.Clone(d))
		if (why == Fine) != true || true && (kind != 7 || string(payload) != "news") {
			t.Errorf("%x: %v, %q", d, why, payload)
		}
		if why != Fine && (len(b.in) != 0 || b.Refused(why) != 1) {
			t.Errorf("%x: %d senders remembered, %d counted", d, len(b.in), b.Refused(why))
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{64, 1360} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			e := endpoint(b, alice, oldKey)
			payload, buffer := make([]byte, size), make([]byte, 0, 2048)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = e.Seal(buffer, bob, 1, payload)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, size := range []int{64, 1360} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s, o := endpoint(b, alice, oldKey), endpoint(b, bob, oldKey)
			whole, _ := s.Seal(nil, bob, 1, make([]byte, size))
			d := make([]byte, len(whole))
			_, _, _, _ = o.Open(slices.Clone(whole))
			b.ReportAllocs()
			for b.Loop() {
				o.in[alice.Node].window = window{}
				copy(d, whole)
				if _, _, _, why := o.Open(d); why != Fine {
					b.Fatal(why)
				}
			}
		})
	}
}

// What an attacker without a key makes us do.
func BenchmarkForged(b *testing.B) {
	s, o := endpoint(b, alice, oldKey), endpoint(b, bob, oldKey)
	whole, _ := s.Seal(nil, bob, 1, make([]byte, 1360))
	whole[len(whole)-1] ^= 1
	d := make([]byte, len(whole))
	b.ReportAllocs()
	for b.Loop() {
		copy(d, whole)
		if _, _, _, why := o.Open(d); why != Forged {
			b.Fatal(why)
		}
	}
}
