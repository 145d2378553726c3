package bfd

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onLoopback is an address that no other test is likely to use at this moment.
func onLoopback() netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(1 + rand.N(254)), byte(rand.N(256)), byte(1 + rand.N(254))})
}

func start(t *testing.T) *Speaker {
	t.Helper()
	b, err := New(slog.New(slog.DiscardHandler), func() bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		b.Close(ctx)
	})
	return b
}

// await waits until the speaker's only session is as asked.
func await(t *testing.T, b *Speaker, what string, is func(Status) bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		all := b.Sessions()
		if len(all) == 1 && is(all[0]) {
			return
		}
		select {
		case <-b.Changes():
		case <-look.C:
		case <-deadline:
			t.Fatalf("not %s: %+v", what, all)
		}
	}
}

func isUp(s Status) bool { return s.State == Up }

func TestOverLoopback(t *testing.T) {
	for _, multihop := range []bool{false, true} {
		t.Run(fmt.Sprintf("multihop %v", multihop), func(t *testing.T) {
			one, two := onLoopback(), onLoopback()
			here, there := start(t), start(t)
			here.Set([]Peer{{Address: two, Local: one, Interval: MinInterval, Multihop: multihop}})
			there.Set([]Peer{{Address: one, Local: two, Interval: MinInterval, Multihop: multihop}})
			await(t, here, "up", isUp)
			await(t, there, "up", isUp)
			await(t, here, "fast", func(s Status) bool { return s.Interval == MinInterval && s.Detect == 3*MinInterval })
			here.Set(nil)
			await(t, there, "ended by the peer", func(s Status) bool {
				return s.State == Down && s.RemoteState == AdminDown && s.Failures == 0
			})
		})
	}
}

// Over IPv6 there is one loopback address, so the session is with itself.
func TestOverLoopback6(t *testing.T) {
	b := start(t)
	b.Set([]Peer{{Address: netip.IPv6Loopback(), Interval: MinInterval}})
	deadline := time.Now().Add(5 * time.Second)
	for b.Sessions()[0].State != Up {
		if p := b.Sessions()[0].Problem; strings.Contains(p, "in use") || strings.Contains(p, "assign") {
			t.Skip("bfd: ", p)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", b.Sessions())
		}
		time.Sleep(10 * time.Millisecond)
	}
	far(t, b, netip.IPv6Loopback(), netip.IPv6Loopback())
}

// far proves that what crossed a router does not even reach us.
func far(t *testing.T, b *Speaker, from, to netip.Addr) {
	t.Helper()
	for _, hops := range []int{254, 64, 1, 255} {
		before := b.Drops()["too_short"]
		shout(t, from, to, hops)
		deadline := time.Now().Add(100 * time.Millisecond)
		if hops == 255 {
			deadline = time.Now().Add(5 * time.Second)
		}
		came := false
		for !came && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
			came = b.Drops()["too_short"] > before
		}
		if came != (hops == 255) {
			t.Errorf("hop limit %d: received: %v", hops, came)
		}
	}
}

// shout sends a byte that is no packet.
func shout(t *testing.T, from, to netip.Addr, hops int) {
	t.Helper()
	level, option := syscall.IPPROTO_IP, syscall.IP_TTL
	if to.Is6() {
		level, option = syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS
	}
	d := net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)),
		Control: func(_, _ string, c syscall.RawConn) (err error) {
			c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), level, option, hops) })
			return err
		},
	}
	c, err := d.Dial("udp", netip.AddrPortFrom(to, portNextDoor).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte{0})
}

func TestOnlyFromNextDoor(t *testing.T) {
	one, two := onLoopback(), onLoopback()
	b := start(t)
	b.Set([]Peer{{Address: two, Local: one}})
	await(t, b, "listening", func(s Status) bool { return s.Local == one })
	far(t, b, two, one)
}

// A router sees our packets with the hop limit it insists on, from one port of
// those it may insist on.
func TestSentFrom(t *testing.T) {
	one, two := onLoopback(), onLoopback()
	ear, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(two, portNextDoor)))
	if err != nil {
		t.Fatal(err)
	}
	defer ear.Close()
	raw, _ := ear.SyscallConn()
	raw.Control(func(fd uintptr) {
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVTTL, 1)
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVTOS, 1)
	})
	b := start(t)
	b.Set([]Peer{{Address: two, Local: one}})
	var port uint16
	for range 2 {
		var data, control [100]byte
		ear.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, c, _, from, err := ear.ReadMsgUDPAddrPort(data[:], control[:])
		if err != nil {
			t.Fatal(err)
		}
		if p, fault := parse(data[:n]); fault != None || n != packetSize || p.desired != slow || p.multiplier != DefaultMultiplier {
			t.Errorf("sent % x (%v)", data[:n], fault)
		}
		if from.Addr() != one || from.Port() < firstSource || port != 0 && from.Port() != port {
			t.Errorf("sent from %v, after port %d", from, port)
		}
		port = from.Port()
		messages, _ := syscall.ParseSocketControlMessage(control[:c])
		got := map[int32]byte{}
		for _, m := range messages {
			got[m.Header.Type] = m.Data[0]
		}
		if got[syscall.IP_TTL] != 255 || got[syscall.IP_TOS] != 0xc0 {
			t.Errorf("sent with %v, want hop limit 255 and class 0xc0", got)
		}
	}
}

// Another program on the port is said, and its end is noticed.
func TestPortTaken(t *testing.T) {
	one, two := onLoopback(), onLoopback()
	other, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(one, portNextDoor)))
	if err != nil {
		t.Fatal(err)
	}
	b := start(t)
	b.Set([]Peer{{Address: two, Local: one}})
	await(t, b, "in trouble", func(s Status) bool {
		return s.Problem == fmt.Sprintf("listen on %v:3784: address already in use", one)
	})
	other.Close()
	await(t, b, "listening", func(s Status) bool { return s.Problem == "" && s.Local == one })
}

// One address hears many peers, until the last of them goes.
func TestListenersAreShared(t *testing.T) {
	one := onLoopback()
	peers := make([]Peer, 20)
	b := start(t)
	for i := range peers {
		peers[i] = Peer{Address: onLoopback(), Local: one}
	}
	b.Set(peers)
	deadline := time.Now().Add(5 * time.Second)
	dialed := func() (n int) {
		for _, s := range b.Sessions() {
			if s.Local == one {
				n++
			}
		}
		return n
	}
	for dialed() < len(peers) && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if dialed() != len(peers) {
		t.Fatalf("%+v", b.Sessions())
	}
	b.Set(peers[:1])
	far(t, b, onLoopback(), one)
	b.Set(nil)
	free := func() error {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(one, portNextDoor)))
		if err == nil {
			c.Close()
		}
		return err
	}
	for free() != nil && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if err := free(); err != nil {
		t.Error(err)
	}
}
