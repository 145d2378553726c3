package gossip_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlb/gossip"
	"fleetlb/gossip/gossiptest"
	"fleetlb/session"
)

// News reach everybody in one journey; numbers within the second.
func TestAnnounce(t *testing.T) {
	for _, faults := range []gossiptest.Faults{{Delay: time.Millisecond}, {Loss: 0.3, Delay: time.Millisecond, Jitter: 20 * time.Millisecond}} {
		bubble(t, func(s *site) {
			s.grow(16)
			time.Sleep(time.Minute)
			s.net.Suffer(faults)
			i := config(1).Self
			i.State, i.Numbers = gossip.Draining, gossip.Numbers{Sessions: 5}
			told := func() bool {
				for n := 2; n <= 16; n++ {
					if m, _ := member(s.all[n], "lb1"); m.State != i.State || m.Numbers != i.Numbers {
						return false
					}
				}
				return true
			}
			<-s.all[2].Changes()
			if err := s.all[1].Announce(i); err != nil {
				t.Fatal(err)
			}
			took := s.await("all know", told)
			t.Logf("with %+v all 15 know after %v", faults, took)
			if most := map[bool]time.Duration{true: 60 * time.Millisecond, false: 8 * time.Second}[faults.Loss == 0]; took > most {
				t.Errorf("known after %v only", took)
			}
			select {
			case <-s.all[2].Changes():
			default:
				t.Error("nobody is told that there are news")
			}
			i.Numbers = gossip.Numbers{Sessions: 7, Slots: 255, SlotsOf: 256, Lag: 3 * time.Millisecond, AtRisk: 2, Suppressed: true}
			if err := s.all[1].Announce(i); err != nil {
				t.Fatal(err)
			}
			s.await("all know the numbers", told)
		})
	}
}

// Whatever is lost on the way, in the end all share the same.
func TestShare(t *testing.T) {
	for _, faults := range []gossiptest.Faults{{}, {Loss: 0.2, Duplicate: 0.2, Delay: time.Millisecond, Jitter: 30 * time.Millisecond}} {
		bubble(t, func(s *site) {
			s.grow(4)
			s.net.Suffer(faults)
			large := bytes.Repeat([]byte("x"), gossip.MaxShared)
			share := func(by int, key string, value []byte) {
				t.Helper()
				if err := s.all[by].Share(key, value); err != nil {
					t.Fatal(err)
				}
			}
			for n := range 50 {
				share(1, fmt.Sprint("count ", n%7), fmt.Append(nil, n))
				share(2, "count 0", fmt.Append(nil, n))
			}
			share(3, "large", large)
			share(1, "gone", []byte("soon"))
			share(1, "gone", nil)
			same := func() bool {
				for _, f := range s.all {
					c := f.Shared("count 0")
					if len(c) != 2 || string(c[id(1)]) != "49" || string(c[id(2)]) != "49" || string(f.Shared("count 6")[id(1)]) != "48" ||
						!bytes.Equal(f.Shared("large")[id(3)], large) || len(f.Shared("gone")) != 0 {
						return false
					}
				}
				return true
			}
			took := s.await("all share the same", same)
			s.all[5] = s.join(config(5), gossip.Options{})
			late := s.await("so does one who joins late", same)
			t.Logf("with %+v: all share after %v, a late one after %v", faults, took, late)
			if took > 5*time.Second || late > 5*time.Second {
				t.Errorf("it took %v and %v", took, late)
			}

			// Who starts again shares nothing of before.
			s.all[3].Close()
			s.all[3] = s.join(config(3), gossip.Options{})
			s.await("it is forgotten", func() bool { return len(s.all[1].Shared("large")) == 0 && len(s.all[5].Shared("large")) == 0 })

			// Who dies shares nothing.
			s.all[2].Close()
			delete(s.all, 2)
			s.await("it is forgotten", func() bool { return len(s.all[1].Shared("count 0")) == 1 })
		})
	}
}

func id(i int) session.NodeID { return session.NodeIDOf(name(i)) }

func TestShareLimits(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(1)
		f := s.all[1]
		if err := f.Share("k", make([]byte, gossip.MaxShared+1)); err == nil {
			t.Error("a value may be too large")
		}
		for n := range 64 {
			if err := f.Share(fmt.Sprint(n), make([]byte, gossip.MaxShared)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Share("one more", []byte{1}); err == nil {
			t.Error("all values may be too large")
		}
		if err := f.Share("0", nil); err != nil {
			t.Error(err)
		}
		if err := f.Share("one more", []byte{1}); err != nil {
			t.Error(err)
		}
	})
}

func TestCall(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(2)
		f := s.all[1]
		f.Handle("echo", func(_ context.Context, from gossip.Member, request []byte, w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s from %s", request, from.Name)
			return err
		})
		f.Handle("large", func(_ context.Context, _ gossip.Member, _ []byte, w io.Writer) error {
			for range 100 {
				if _, err := w.Write(make([]byte, 100_000)); err != nil {
					return err
				}
			}
			return nil
		})
		f.Handle("fails", func(_ context.Context, _ gossip.Member, _ []byte, w io.Writer) error {
			_, _ = io.WriteString(w, "some")
			return errors.New("it \x1b[31mfell over")
		})
		f.Handle("hangs", func(ctx context.Context, _ gossip.Member, _ []byte, _ io.Writer) error {
			<-ctx.Done()
			return ctx.Err()
		})
		call := func(kind string, request []byte) (string, error) {
			ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
			defer cancel()
			c, err := s.all[2].Call(ctx, id(1), kind, request)
			if err != nil {
				return "", err
			}
			defer c.Close()
			b, err := io.ReadAll(c)
			return string(b), err
		}
		if got, err := call("echo", []byte("hello")); got != "hello from lb2" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := call("echo", make([]byte, 1<<20)); len(got) != 1<<20+9 || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if got, err := call("large", nil); len(got) != 10_000_000 || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if got, err := call("fails", nil); got != "some" || err == nil || err.Error() != "it ?[31mfell over" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := call("unheard of", nil); err == nil || !strings.Contains(err.Error(), `does not know calls of kind "unheard of"`) {
			t.Errorf("%v", err)
		}
		if _, err := call("hangs", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if _, err := call("echo", make([]byte, gossip.MaxRequest+1)); err == nil {
			t.Error("a request may be too large")
		}
		if _, err := s.all[2].Call(s.t.Context(), 42, "echo", nil); err == nil || !strings.Contains(err.Error(), "not alive") {
			t.Errorf("%v", err)
		}
		s.net.Part([]netip.Addr{address(1).Addr()})
		start := time.Now()
		if _, err := call("echo", nil); err == nil || time.Since(start) > 5*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestSendAndOpen(t *testing.T) {
	bubble(t, func(s *site) {
		type heard struct {
			from    session.Owner
			payload string
		}
		got := make(chan heard, 10)
		s.grow(1)
		s.all[2] = s.join(config(2), gossip.Options{
			OnDatagram: func(from session.Owner, payload []byte) { got <- heard{from, string(payload)} },
			OnStream: func(from session.Owner, c net.Conn) {
				b, err := io.ReadAll(c)
				got <- heard{from, fmt.Sprint(len(b), err)}
				_, _ = c.Write([]byte("thanks"))
				_ = c.(interface{ CloseWrite() error }).CloseWrite()
			},
		})
		s.await("all know each other", s.whole)
		f := s.all[1]
		payload := strings.Repeat("s", gossip.MaxDatagram)
		if err := f.Send(id(2), []byte(payload)); err != nil {
			t.Fatal(err)
		}
		if h := <-got; h.from != f.Self() || h.payload != payload {
			t.Errorf("%v said %d bytes", h.from, len(h.payload))
		}
		if err := f.Send(id(2), make([]byte, gossip.MaxDatagram+1)); err == nil {
			t.Error("a datagram may be too long")
		}
		if err := f.Send(42, nil); err == nil {
			t.Error("one may send to nobody")
		}
		c, err := f.Open(s.t.Context(), id(2))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write(make([]byte, 1<<20))
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		if h := <-got; h.from != f.Self() || h.payload != "1048576 <nil>" {
			t.Errorf("%v", h)
		}
		if b, err := io.ReadAll(c); string(b) != "thanks" || err != nil {
			t.Errorf("%q, %v", b, err)
		}

		// A stream that stands still ends, and one that is cut does not seem whole.
		c, err = f.Open(s.t.Context(), id(2))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte("half"))
		start := time.Now()
		if h := <-got; !strings.Contains(h.payload, "timeout") || time.Since(start) > time.Minute {
			t.Errorf("after %v: %v", time.Since(start), h)
		}
		before := slices.Clone(s.all[1].Refusals())
		if len(before) < 10 || before[0].Text == "" {
			t.Errorf("%+v", before)
		}
	})
}
