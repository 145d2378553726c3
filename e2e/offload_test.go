package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetlb/e2e/lab"
)

// A director whose established sessions are carried by its network drivers does
// all that any other does: nothing is lost, nothing is changed, nothing that is
// unusual goes unseen.
func TestOffload(t *testing.T) {
	s := prepare(t, lab.Options{Router: "bird", Servers: 1})
	if err := s.TakeFromDrivers(true); err != nil {
		t.Fatal(err)
	}
	s.lb.Offload = "required"
	var services []service
	for family, vip := range map[string]string{"4": s.VIP4, "6": s.VIP6} {
		services = append(services,
			service{name: "nginx" + family, vip: vip, port: lab.NginxPort},
			service{name: "upload" + family, vip: vip, port: lab.HTTPPort},
			service{name: "iperf" + family, vip: vip, port: lab.IperfPort},
			service{name: "echo" + family, vip: vip, port: lab.EchoPort},
			service{name: "echo-udp" + family, vip: vip, port: lab.EchoPort, protocol: "udp", more: "  [service.timeouts]\n  udp = \"3s\"\n"},
		)
	}
	s.start(t, services...)
	if _, err := s.Servers[0].Nginx(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Servers[0].ServeIperf(); err != nil {
		t.Fatal(err)
	}
	if status, err := s.lb.Status(); err != nil || status.Offload != "native" {
		t.Fatalf("offload %q: %v", status.Offload, err)
	}
	resets, err := s.lb.WatchResets()
	if err != nil {
		t.Fatal(err)
	}

	for family, vip := range s.families() {
		t.Run(family+", in bulk", func(t *testing.T) { offloadedBulk(t, s, vip) })
		t.Run(family+", connections outlive what happens", func(t *testing.T) { offloadedCrowd(t, s, vip) })
		t.Run(family+", counted to the byte", func(t *testing.T) { offloadedCounters(t, s, vip) })
		t.Run(family+", idle and not", func(t *testing.T) { offloadedAges(t, s, vip) })
		t.Run(family+", the last hop is the director's to tell", func(t *testing.T) { offloadedTTL(t, s, vip) })
	}
	t.Run("nothing stays when all is over", func(t *testing.T) {
		if err := lab.Await(15*time.Second, "the driver to carry nothing", func() error {
			n := s.metric(t, "fleetlb_offload_sessions")
			if n != 0 {
				return fmt.Errorf("it carries %v sessions", n)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	if drops, err := s.lb.Drops(); err != nil || drops["no_session"] > 0 || drops["spoofed"] > 0 {
		t.Errorf("the director dropped %v: %v", drops, err)
	}
	born, err := resets.Born()
	if err != nil {
		t.Error(err)
	}
	for _, r := range born {
		own := s.lb.Host.Port("back") // whose checks fail while a server has another card
		if line := fmt.Sprint(r); !strings.Contains(line, own.Addr(false).String()) && !strings.Contains(line, own.Addr(true).String()) {
			t.Errorf("a reset begins at the director: %s", line)
		}
	}
	t.Run("the programs go with the director", func(t *testing.T) {
		s.lb.Process.Stop()
		for _, name := range s.lb.Interfaces {
			out, err := s.lb.Host.Run(t.Context(), "ip", "-d", "link", "show", name)
			if err != nil || strings.Contains(out, "xdp") {
				t.Errorf("%s: %v", out, err)
			}
		}
	})
}

// metric reads one value of the director's metrics.
func (s *site) metric(t *testing.T, name string) float64 {
	t.Helper()
	out, err := s.lb.Host.Run(t.Context(), "curl", "-sSf", "-m", "10", "http://127.0.0.1:9590/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// What arrives is what was sent, and it is the driver that carries it: whether
// hosts leave checksums to their cards or not.
func offloadedBulk(t *testing.T, s *site, vip string) {
	server := s.Servers[0]
	file := filepath.Join(server.File("files"), "noise")
	want := writeNoise(t, file, 1, bulk)
	for _, sums := range []string{"on", "off"} {
		for _, h := range []*lab.Host{s.client, server} {
			if _, err := h.Run(t.Context(), "ethtool", "-K", "eth0", "tx", sums); err != nil {
				t.Fatal(err)
			}
		}
		before := s.metric(t, "fleetlb_offload_bytes_total")
		started := time.Now()
		got := s.client.File("download")
		if _, err := s.client.Run(t.Context(), "curl", "-sSf", "-m", "60", "-o", got, url(vip, lab.NginxPort)+"noise"); err != nil {
			t.Error(err)
		} else if hash := hashFile(t, got); hash != want {
			t.Errorf("100 MB down, checksums %s: hash %s, want %s", sums, hash, want)
		}
		os.Remove(got)
		down := time.Since(started)
		started = time.Now()
		out, err := s.client.Run(t.Context(), "curl", "-sSf", "-m", "60", "-T", file, url(vip, lab.HTTPPort)+"hash")
		if hash := strings.TrimSpace(out); err != nil || hash != want {
			t.Errorf("100 MB up, checksums %s: hash %s, want %s: %v", sums, hash, want, err)
		}
		t.Logf("checksums %s: 100 MB: %v down, %v up", sums, down.Round(time.Millisecond), time.Since(started).Round(time.Millisecond))
		if carried := s.metric(t, "fleetlb_offload_bytes_total") - before; carried < 1.9*bulk {
			t.Errorf("checksums %s: the driver carried %.0f bytes of %d", sums, carried, 2*bulk)
		}
		for _, direction := range [][]string{nil, {"-R"}} {
			r, err := s.client.Iperf(t.Context(), vip, lab.IperfPort, time.Second, direction...)
			if err != nil || r.Mbps < 10 {
				t.Errorf("iperf3 %v: %+v: %v", direction, r, err)
			}
			t.Logf("checksums %s: iperf3 %v: %.0f Mbit/s", sums, direction, r.Mbps)
		}
	}
}

// A crowd talks on while services are reloaded and neighbours move.
func offloadedCrowd(t *testing.T, s *site, vip string) {
	c := s.crowd(t, at(vip, lab.EchoPort), 50)
	if err := lab.Await(10*time.Second, "the driver to carry the crowd", func() error {
		if n := s.metric(t, "fleetlb_offload_sessions"); n < 50 {
			return fmt.Errorf("it carries %v sessions", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.lb.Reload(); err != nil {
		t.Fatal(err)
	}
	proven := func(what string) {
		t.Helper()
		if err := c.Proven(10 * time.Second); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	proven("reloaded")

	// The server and the router each get another card, and the director learns of it.
	for i, p := range []*lab.Port{s.Servers[0].Port("back"), s.Gateway.Port("front")} {
		host := []*lab.Host{s.Servers[0], s.Gateway}[i]
		if _, err := host.Run(t.Context(), "ip", "link", "set", "dev", p.Name, "address", fmt.Sprintf("02:00:00:00:77:%02x", i)); err != nil {
			t.Fatal(err)
		}
		for _, a := range []netip.Addr{p.Addr(false), p.Addr(true)} {
			if err := s.lb.Host.Forget(a.String()); err != nil {
				t.Fatal(err)
			}
		}
		proven(fmt.Sprintf("%s has another MAC address", host.Name))
	}
	unbroken(t, c)
}

// The sessions list shows what was sent, although no worker has seen it.
func offloadedCounters(t *testing.T, s *site, vip string) {
	const messages, size = 200, 1000
	conn, err := s.client.Dial(t.Context(), "tcp", at(vip, lab.EchoPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, size)
	for range messages {
		if _, err := conn.Write(buf); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < size; {
			m, err := conn.Read(buf[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
	}
	find := func() *lab.SessionView {
		all, err := s.lb.Sessions()
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if all[i].Client == conn.LocalAddr().String() {
				return &all[i]
			}
		}
		return nil
	}
	v := find()
	if v == nil {
		t.Fatal("the session is not listed")
	}
	for _, d := range []struct {
		name           string
		packets, bytes uint64
	}{{"in", v.PacketsIn, v.BytesIn}, {"out", v.PacketsOut, v.BytesOut}} {
		// Each message is one segment; headers are 52 or 72 bytes, ACKs are
		// packets of their own now and then.
		if d.packets < messages || d.packets > 2*messages+20 || d.bytes < messages*(size+52) || d.bytes > messages*(size+72)+(d.packets-messages+10)*80 {
			t.Errorf("%s: %d packets, %d bytes of %d messages of %d", d.name, d.packets, d.bytes, messages, size)
		}
	}
	conn.Close()
	if err := lab.Await(5*time.Second, "the session to be over", func() error {
		if v := find(); v != nil && v.State == "established" {
			return fmt.Errorf("it is %s", v.State)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// A session in use does not expire, and one that is idle does: the server sees
// the same local address and port in the first case, and the session goes in the
// second.
func offloadedAges(t *testing.T, s *site, vip string) {
	conn, err := s.client.Dial(t.Context(), "udp", at(vip, lab.EchoPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := conn.LocalAddr().String()
	find := func() *lab.SessionView {
		all, err := s.lb.Sessions()
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if all[i].Client == client && all[i].Protocol == "udp" {
				return &all[i]
			}
		}
		return nil
	}
	var local string
	buf := make([]byte, 100)
	for started := time.Now(); time.Since(started) < 7*time.Second; time.Sleep(50 * time.Millisecond) {
		if _, err := conn.Write([]byte("still there")); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		if _, err := conn.Read(buf); err != nil {
			t.Fatalf("after %v: %v", time.Since(started), err)
		}
		if v := find(); v == nil || local != "" && v.Local != local {
			t.Fatalf("after %v: the session is %+v, was of %s", time.Since(started), v, local)
		} else {
			local = v.Local
		}
	}
	if err := lab.Await(20*time.Second, "the idle session to expire", func() error {
		if v := find(); v != nil {
			return fmt.Errorf("it expires in %d s", v.ExpiresS)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// A packet of a lifted session whose last hop is the director's is answered as
// any other is.
func offloadedTTL(t *testing.T, s *site, vip string) {
	conn, err := s.client.Dial(t.Context(), "udp", at(vip, lab.EchoPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 100)
	for range 20 {
		conn.Write([]byte("up"))
		conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		if _, err := conn.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	v6 := netip.MustParseAddr(vip).Is6()
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	raw.Control(func(fd uintptr) {
		level, ttl, tell := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_RECVERR
		if v6 {
			level, ttl, tell = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_RECVERR
		}
		if failed = unix.SetsockoptInt(int(fd), level, ttl, 2); failed == nil {
			failed = unix.SetsockoptInt(int(fd), level, tell, 1)
		}
	})
	if failed != nil {
		t.Fatal(failed)
	}
	conn.Write([]byte("down")) // the router takes the first hop
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := conn.Read(buf); err == nil || !strings.Contains(err.Error(), "no route to host") {
		t.Errorf("read %q: %v, want what an ICMP error says", buf[:n], err)
	}
}
