package gossip_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"fleetlb/gossip"
	"fleetlb/session"
)

// A child of the tests is a member of its own process, that can be stopped.
func TestMain(m *testing.M) {
	if seed := os.Getenv("GOSSIP_TEST_SEED"); seed != "" {
		child(seed)
		return
	}
	goleak.VerifyTestMain(m)
}

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.IPv6Loopback()
)

// loopback starts a member on this machine.
func loopback(t *testing.T, name string, at netip.AddrPort, keys [][]byte, o gossip.Options, seeds ...netip.AddrPort) *gossip.Fleet {
	t.Helper()
	if o.Log = slog.New(slog.DiscardHandler); testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil)).With("on", name)
	}
	f, err := gossip.Join(t.Context(), gossip.Config{Name: name, Bind: at, Seeds: seeds, Keys: keys, Label: "lab",
		Self: gossip.Info{State: gossip.Serving}}, o)
	if err != nil {
		t.Skip("no loopback of this family here: ", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// until waits for something real.
func until(t *testing.T, what string, so func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !so() {
		if time.Since(start) > time.Minute {
			t.Fatalf("not so: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}

func everybody(fleets []*gossip.Fleet) func() bool {
	return func() bool {
		return !slices.ContainsFunc(fleets, func(f *gossip.Fleet) bool { return alive(f) != len(fleets)-1 })
	}
}

// Five real members, with keys and without, over IPv4 and IPv6: they meet, talk,
// share, call, and one starts again within 200 ms.
func TestLoopback(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   netip.Addr
		keys [][]byte
	}{{"sealed", loopback4, [][]byte{key}}, {"over IPv6", loopback6, [][]byte{key}}, {"in the clear", loopback4, nil}} {
		t.Run(tt.name, func(t *testing.T) {
			at := netip.AddrPortFrom(tt.at, 0)
			var heard atomic.Int64
			o := gossip.Options{
				OnDatagram: func(session.Owner, []byte) { heard.Add(1) },
				OnStream:   func(_ session.Owner, c net.Conn) { _, _ = io.Copy(c, c) },
			}
			fleets := []*gossip.Fleet{loopback(t, "lb1", at, tt.keys, o)}
			for i := 2; i <= 5; i++ {
				fleets = append(fleets, loopback(t, name(i), at, tt.keys, o, fleets[0].Address()))
			}
			t.Logf("five know each other after %v", until(t, "five know each other", everybody(fleets)))

			for range 100 {
				if err := fleets[1].Send(id(4), make([]byte, gossip.MaxDatagram)); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "datagrams come", func() bool { return heard.Load() == 100 })
			if err := fleets[2].Share("k", make([]byte, gossip.MaxShared)); err != nil {
				t.Fatal(err)
			}
			until(t, "a value comes", func() bool { return len(fleets[4].Shared("k")[id(3)]) == gossip.MaxShared })
			c, err := fleets[0].Open(t.Context(), id(5))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte("echo")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			c.Close()

			again, before := fleets[4].Address(), fleets[4].Self()
			fleets[4].Close()
			fleets[4] = loopback(t, "lb5", again, tt.keys, o, fleets[0].Address())
			took := until(t, "the new life is known", func() bool {
				return everybody(fleets)() && !slices.ContainsFunc(fleets[:4], func(f *gossip.Fleet) bool {
					m, _ := member(f, "lb5")
					return m.Epoch <= before.Epoch
				})
			})
			t.Logf("started again, and all know after %v", took)

			if err := fleets[4].Leave(t.Context()); err != nil {
				t.Error(err)
			}
			fleets[4].Close()
			until(t, "it has left", func() bool { m, _ := member(fleets[1], "lb5"); return m.Left })
		})
	}
}

// child joins the fleet of a seed until its input ends.
func child(seed string) {
	f, err := gossip.Join(context.Background(), gossip.Config{
		Name: "child", Bind: netip.AddrPortFrom(loopback4, 0), Seeds: []netip.AddrPort{netip.MustParseAddrPort(seed)}, Keys: [][]byte{key}, Label: "lab",
	}, gossip.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("joined")
	_, _ = io.Copy(io.Discard, os.Stdin)
	f.Close()
}

// A member that is frozen is found dead, comes back when it wakes, and is the
// same as before; killed, it is dead.
func TestFrozen(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	at := netip.AddrPortFrom(loopback4, 0)
	a := loopback(t, "lb1", at, [][]byte{key}, gossip.Options{})
	b := loopback(t, "lb2", at, [][]byte{key}, gossip.Options{}, a.Address())
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "GOSSIP_TEST_SEED="+a.Address().String())
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait(); in.Close() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "joined\n" {
		t.Fatalf("%q, %v", line, err)
	}
	sees := func(want bool) func() bool {
		return func() bool {
			x, ok := member(a, "child")
			y, ok2 := member(b, "child")
			return ok && ok2 && x.Alive == want && y.Alive == want
		}
	}
	until(t, "it is there", sees(true))
	before, _ := member(a, "child")
	_ = c.Process.Signal(syscall.SIGSTOP)
	t.Logf("frozen: dead after %v", until(t, "it is dead", sees(false)))
	_ = c.Process.Signal(syscall.SIGCONT)
	took := until(t, "it is back", sees(true))
	t.Logf("woken: back after %v", took)
	if took > 10*time.Second {
		t.Errorf("back after %v only", took)
	}
	if after, _ := member(a, "child"); after.Owner() != before.Owner() {
		t.Errorf("%v has become %v", before.Owner(), after.Owner())
	}
	_ = c.Process.Kill()
	until(t, "it is dead", sees(false))
	if m, _ := member(a, "child"); m.Left {
		t.Error("a death is taken for a departure")
	}
}

// Whoever has no key gets nothing in, however he tries, and does not keep the
// members from each other.
func TestAttack(t *testing.T) {
	at := netip.AddrPortFrom(loopback4, 0)
	var heard atomic.Int64
	o := gossip.Options{OnDatagram: func(_ session.Owner, p []byte) { heard.Add(int64(len(p))) }}
	fleets := []*gossip.Fleet{loopback(t, "lb1", at, [][]byte{key}, o)}
	fleets = append(fleets, loopback(t, "lb2", at, [][]byte{key}, o, fleets[0].Address()))
	until(t, "both know each other", everybody(fleets))
	stranger := loopback(t, "evil", at, [][]byte{newKey}, o, fleets[0].Address())
	naked := loopback(t, "naked", at, nil, o, fleets[0].Address())

	victim := fleets[0].Address()
	u, err := net.Dial("udp", victim.String())
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for i := range 1000 {
		b := make([]byte, i%1500)
		if len(b) > 30 {
			b[0] = 1
			binary.BigEndian.PutUint64(b[9:], uint64(i))
		}
		_, _ = u.Write(b)
	}
	_, _ = u.Write(make([]byte, 60_000))

	// More connections than may wait, none of which says anything; and some that
	// say too much.
	var idle []net.Conn
	for range 300 {
		if c, err := net.Dial("tcp", victim.String()); err == nil {
			idle = append(idle, c)
			defer c.Close()
		}
	}
	_ = idle[0].SetReadDeadline(time.Now().Add(2 * time.Second)) // before its time is up
	if _, err := idle[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the first of 300 silent callers is kept: %v", err)
	}
	for _, c := range idle[250:] {
		_, _ = c.Write(make([]byte, 4096))
	}

	x, err := fleets[1].Open(t.Context(), id(1))
	if err != nil {
		t.Fatal("members are kept from each other: ", err)
	}
	x.Close()
	if err := fleets[1].Send(id(1), []byte("news")); err != nil {
		t.Fatal(err)
	}
	until(t, "members hear each other", func() bool { return heard.Load() == 4 })
	count := map[string]uint64{}
	until(t, "all is counted", func() bool {
		for _, r := range fleets[0].Refusals() {
			count[r.Reason] = r.Count
		}
		return count["huge"] > 0 && count["truncated"] > 0 && count["version"] > 0 && count["unknown_key"] > 0 && count["streams"] > 0
	})
	t.Log(count)
	if alive(stranger) != 0 || alive(naked) != 0 || alive(fleets[0]) != 1 {
		t.Error("a stranger was let in")
	}
	for _, c := range idle { // each is hung up on, in the end
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal("a silent caller is kept: ", err)
		}
	}
}

// What was recorded of members is no use to anybody.
func TestReplayed(t *testing.T) {
	bubble(t, func(s *site) {
		var heard atomic.Int64
		tap := &recorder{Network: s.net}
		s.all[1] = s.join(config(1), gossip.Options{OnDatagram: func(session.Owner, []byte) { heard.Add(1) }})
		c := config(2)
		f, err := gossip.Join(s.t.Context(), c, gossip.Options{Network: tap, Log: s.log})
		if err != nil {
			t.Fatal(err)
		}
		s.all[2] = f
		s.await("both know each other", s.whole)
		for range 100 {
			if err := f.Send(id(1), []byte("once")); err != nil {
				t.Fatal(err)
			}
		}
		s.await("they come", func() bool { return heard.Load() == 100 })
		replay := func() {
			for _, d := range tap.said() {
				s.net.Inject(address(2), address(1), d)
			}
			time.Sleep(time.Second)
		}
		replay()
		s.all[1].Close()
		s.all[1] = s.join(config(1), gossip.Options{OnDatagram: func(session.Owner, []byte) { heard.Add(1) }})
		replay()
		if heard.Load() != 100 {
			t.Errorf("%d datagrams of 100 came", heard.Load())
		}
		if i := slices.IndexFunc(s.all[1].Refusals(), func(r gossip.Refusal) bool { return r.Reason == "late" }); s.all[1].Refusals()[i].Count < 100 {
			t.Errorf("%+v", s.all[1].Refusals())
		}
	})
}
