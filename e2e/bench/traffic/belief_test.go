package traffic

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// What a client takes for an answer, frame by frame.
func TestBelief(t *testing.T) {
	c := newStreet(t).open(t, server)
	turn := uint32(7)
	answer := func() []byte { // of slot 3 to session 0
		c.slots[3] = slot{turn: turn}
		b := make([]byte, 64)
		copy(b[12:], []byte{8, 0, 0x45, 0, 0, 50, 0, 0, 0x40, 0, 63, 17, 0, 0, 10, 3, 0, 10, 198, 18, 0, 0})
		be := binary.BigEndian
		be.PutUint16(b[34:], 8080)
		be.PutUint16(b[36:], 32768)
		be.PutUint16(b[38:], 30)
		le := binary.LittleEndian
		le.PutUint32(b[42:], 0x42544c46)
		le.PutUint32(b[46:], 3)
		le.PutUint32(b[50:], turn)
		be.PutUint16(b[24:], ^plain(b[14:34], 0))
		be.PutUint16(b[40:], ^plain(b[34:], uint32(plain(b[26:34], 17+30))))
		return b
	}
	for _, tt := range []struct {
		name  string
		spoil func([]byte)
		want  tally
		moves bool // it becomes the next request
	}{
		{"the answer", func([]byte) {}, tally{answered: 1}, true},
		{"another source", func(b []byte) { b[29]++; b[24]-- }, tally{wrong: 1}, false},
		{"another client", func(b []byte) { b[33]++; add(b[24:], -1); add(b[40:], -1) }, tally{wrong: 1}, false},
		{"another source port", func(b []byte) { b[35]++; add(b[40:], -1) }, tally{wrong: 1}, false},
		{"another client's port", func(b []byte) { b[37]++; add(b[40:], -1) }, tally{wrong: 1}, false},
		{"IP checksum", func(b []byte) { b[24] ^= 1 }, tally{wrong: 1}, false},
		{"UDP checksum", func(b []byte) { b[40] ^= 1 }, tally{wrong: 1}, false},
		{"cut short", func(b []byte) { b[39]--; add(b[40:], 2) }, tally{wrong: 1}, false},
		{"no stamp", func(b []byte) { b[42]++ }, tally{wrong: 1}, false},
		{"to the request before", func(b []byte) { c.slots[3].turn++ }, tally{late: 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.begin(control{mode: atRandom, sessions: 1, size: 64})
			c.tallies[0] = tally{}
			b := answer()
			tt.spoil(b)
			verdict, err := c.programs.Client.Run(&ebpf.RunOptions{Data: b})
			if err != nil {
				t.Fatal(err)
			}
			const drop, redirect = 1, 4
			if moved := verdict == redirect; c.now() != tt.want || moved != tt.moves || !moved && verdict != drop {
				t.Errorf("counted %+v, verdict %d; want %+v, and that it moves: %v", c.now(), verdict, tt.want, tt.moves)
			}
		})
	}
}

// plain is RFC 1071's sum.
func plain(b []byte, s uint32) uint16 {
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

func add(b []byte, n int) { binary.BigEndian.PutUint16(b, binary.BigEndian.Uint16(b)+uint16(n)) }

// What does not come back is lost, said to be so, and another takes its place.
func TestLost(t *testing.T) {
	s := newStreet(t)
	c := s.open(t, server)
	if err := s.server.Ports[0].SetUp(false); err != nil {
		t.Fatal(err)
	}
	n, err := c.RoundTrips(context.Background(), 100, 64, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if n.Done != 0 || n.Lost < Window {
		t.Errorf("nothing came back: %+v", n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := c.Warm(ctx, 100, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("sessions of a server that is gone: %v", err)
	}
}

func TestQuantile(t *testing.T) {
	c := &Crowd{times: make([]uint64, 1024)}
	if got := c.quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	c.times[0], c.times[16], c.times[33] = 50, 49, 1 // 16 to 17 ns; 32 to 34; 68 to 72
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{{0.5, 17}, {0.51, 34}, {0.99, 34}, {0.999, 72}} {
		if got := c.quantile(tt.q); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.q, got, tt.want)
		}
	}
}
