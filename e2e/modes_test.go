package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// Servers that keep the client's address, reached in three other ways than
// FULLNAT. What each asks of them is what configs/nat.toml, dr.toml and tun.toml
// say.
func TestModes(t *testing.T) {
	t.Run("nat", func(t *testing.T) {
		s := openMode(t, lab.TwoArm)
		for _, server := range s.Servers {
			if err := server.Gateway([]string{"10.3.0.1", "2001:db8:3::1"}, []string{"10.3.0.201", "2001:db8:3::201"}); err != nil {
				t.Fatal(err)
			}
		}
		forwards(t, s, "nat", `mode = "nat"`, false, true)
		t.Run("the servers' own affairs", func(t *testing.T) { ownAffairs(t, s) })
	})
	t.Run("dr", func(t *testing.T) {
		s := openMode(t, lab.TwoArm)
		holdVIPs(t, s)
		forwards(t, s, "dr", `mode = "dr"`, false, false)
	})
	t.Run("tun", func(t *testing.T) {
		s := openMode(t, lab.TwoArm)
		holdVIPs(t, s)
		for _, server := range s.Servers {
			if _, err := server.Decapsulate(); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			name, more string
			cross      bool
		}{
			{"ip in ip", `mode = "tun"`, false},
			{"of the other family", `mode = "tun"`, true},
			{"gue", "mode = \"tun\"\ntunnel = \"gue\"", false},
			{"gue of the other family, variant 1", "mode = \"tun\"\ntunnel = \"gue\"\ntunnel_variant = 1", true},
		} {
			t.Run(tt.name, func(t *testing.T) { forwards(t, s, "tun", tt.more, tt.cross, false) })
		}
	})
	t.Run("too big for a link on the way of a tunnel", farTunnel)
}

// openMode is a site whose router sends the VIPs to the director without being
// told, with a file of noise on each server.
func openMode(t *testing.T, shape lab.Shape) *site {
	s := prepare(t, lab.Options{Shape: shape, Servers: 2})
	s.lb.Offload = "off" // a card that runs a program for frames takes none of 64 KB
	s.start(t, service{name: "web", vip: "203.0.113.10", port: lab.HTTPPort})
	s.pin(t)
	for _, server := range s.Servers {
		for _, start := range []func() (*lab.Process, error){server.Nginx, server.ServeIperf} {
			if _, err := start(); err != nil {
				t.Fatal(err)
			}
		}
		writeNoise(t, filepath.Join(server.File("files"), "noise"), 1, bulk)
	}
	return s
}

func holdVIPs(t *testing.T, s *site) {
	t.Helper()
	for _, server := range s.Servers {
		if err := server.HoldVIPs(s.VIP4, s.VIP6); err != nil {
			t.Fatal(err)
		}
	}
}

// forwards sends everything there is by one mode: small and large, either way,
// TCP and UDP, IPv4 and IPv6, with the frames of offloads and with those of wires.
func forwards(t *testing.T, s *site, mode, more string, cross, bothWays bool) {
	var services []service
	for family, vip := range map[string]string{"4": s.VIP4, "6": s.VIP6} {
		for _, v := range []service{
			{name: "nginx" + family, port: lab.NginxPort},
			{name: "upload" + family, port: lab.HTTPPort},
			{name: "iperf" + family, port: lab.IperfPort, servers: 1},
			{name: "iperf-udp" + family, port: lab.IperfPort, protocol: "udp", servers: 1},
			{name: "echo" + family, port: lab.EchoPort, protocol: "udp"},
		} {
			v.vip, v.more, v.cross = vip, more, cross
			services = append(services, v)
		}
		if mode == "nat" {
			services = append(services, service{name: "mapped" + family, vip: vip, port: 8888, backend: lab.HTTPPort, more: more})
		}
	}
	s.use(t, services...)
	file := filepath.Join(s.Servers[0].File("files"), "noise")
	want := hashFile(t, file)

	for _, offloads := range []bool{true, false} {
		if err := s.SetOffloads(offloads); err != nil {
			t.Fatal(err)
		}
		for family, vip := range s.families() {
			t.Run(fmt.Sprintf("%s offloads %s", family, onOff(offloads)), func(t *testing.T) {
				answers, err := s.client.AskMany(t.Context(), url(vip, lab.NginxPort), 20)
				// A connection that is opened twice, on a slow machine, takes a turn more.
				if err != nil || answers["server1"] < 8 || answers["server2"] < 8 {
					t.Errorf("asked 20 times: %v: %v", answers, err)
				}
				if mode == "nat" {
					if name, err := s.client.Ask(t.Context(), url(vip, 8888)); err != nil || !strings.HasPrefix(name, "server") {
						t.Errorf("a mapped port: %q: %v", name, err)
					}
				}
				s.bulk(t, vip, file, want)
				s.iperf(t, vip)
				if bothWays { // else iperf3 would answer from its own address
					s.iperfUDP(t, vip)
				}
				for _, size := range []int64{1, 1200, 3000} { // the last in fragments
					datagram(t, s, vip, size)
				}
			})
		}
	}
	keptAddress(t, s)
	modeListed(t, s, mode, bothWays)
	drops, err := s.lb.Drops()
	if mode == "tun" { // until their senders have learned how much room there is
		delete(drops, "too_big")
	}
	if err != nil || len(drops) != 0 {
		t.Errorf("the director dropped %v: %v", drops, err)
	}
}

// datagram has one echoed.
func datagram(t *testing.T, s *site, vip string, size int64) {
	t.Helper()
	c, err := s.client.Dial(t.Context(), "udp", at(vip, lab.EchoPort))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := noise(t, size)
	buf := make([]byte, 64<<10)
	for try := range 3 { // a sender may have to learn the path's MTU first
		if _, err = c.Write(want); err == nil {
			c.SetReadDeadline(time.Now().Add(2 * time.Second))
			var n int
			if n, err = c.Read(buf); err == nil {
				if !bytes.Equal(buf[:n], want) {
					t.Errorf("a datagram of %d bytes comes back as %d others", size, n)
				}
				return
			}
		}
		t.Logf("a datagram of %d bytes, try %d: %v", size, try+1, err)
	}
	t.Errorf("a datagram of %d bytes is not echoed: %v", size, err)
}

// keptAddress looks into the servers' logs: all they were asked through the VIP
// they were asked by the client itself.
func keptAddress(t *testing.T, s *site) {
	t.Helper()
	for _, server := range s.Servers {
		lines, err := server.AccessLog()
		if err != nil || len(lines) < 20 {
			t.Fatalf("%d lines in %s's access log: %v", len(lines), server.Name, err)
		}
		for _, line := range lines {
			switch peer, _, _ := strings.Cut(line, " "); peer {
			case "198.51.100.11", "2001:db8:c::11", "127.0.0.1":
			default:
				t.Fatalf("%s was asked by %s: %s", server.Name, peer, line)
			}
		}
	}
}

// modeListed asks the director what it does.
func modeListed(t *testing.T, s *site, mode string, bothWays bool) {
	t.Helper()
	all := sessions(t, s)
	if len(all) == 0 {
		t.Error("no session is listed")
	}
	for _, v := range all {
		if v.Mode != mode || v.Local != "" || v.PacketsIn == 0 || !bothWays && v.PacketsOut != 0 {
			t.Fatalf("session %+v", v)
		}
	}
	out, err := s.lb.CLI("servers")
	if err != nil || !strings.Contains(out, " "+mode+" ") {
		t.Errorf("servers: %s%v", out, err)
	}
	v := all[0]
	out, err = s.lb.CLI("explain", v.Protocol, v.Client, v.VIP)
	if words := map[string]string{"nat": "sent on as " + v.Client, "dr": "to the station of", "tun": "sent on as it is inside"}[mode]; err != nil || !strings.Contains(out, words) {
		t.Errorf("explain says nothing of %q: %s%v", words, out, err)
	}
	out, err = s.lb.CLI("doctor")
	if words := "mode " + mode; mode != "nat" && !strings.Contains(out, words) {
		t.Errorf("doctor says nothing of %q: %s%v", words, out, err)
	}
}

// ownAffairs: what a NAT server does by itself is the kernel's business. Where the
// kernel forwards, it forwards that and nothing of the director's: neither what is
// for a VIP nor a server's answer, which would reach the client in the server's
// own name as well.
func ownAffairs(t *testing.T, s *site) {
	server := s.Servers[0]
	before, err := s.lb.Drops()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := s.client.Listen("tcp", ":9999")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := s.lb.Host.Sysctl("net.ipv4.ip_forward", "1"); err != nil {
		t.Fatal(err)
	}
	if c, err := server.Dial(t.Context(), "tcp", "198.51.100.11:9999"); err != nil {
		t.Errorf("with a kernel that forwards, a server reaches the world: %v", err)
	} else {
		c.Close()
	}
	capture, err := s.lb.Host.Port("front").Capture(lab.Everything)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.AskMany(t.Context(), url(s.VIP4, lab.NginxPort), 20); err != nil {
		t.Error(err)
	}
	if err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range capture.Frames() {
		if len(f.Bytes) < 38 || !f.Outgoing || f.Bytes[12] != 8 || f.Bytes[13] != 0 || f.Bytes[23] != 6 {
			continue
		}
		src, dst := netip.AddrFrom4([4]byte(f.Bytes[26:])), netip.AddrFrom4([4]byte(f.Bytes[30:]))
		if dst.String() != "198.51.100.11" {
			continue
		}
		if seen++; src.String() != s.VIP4 {
			t.Fatalf("%v speaks to the client in its own name", src)
		}
	}
	if seen < 60 { // handshake, answer and farewell, twenty times
		t.Errorf("%d frames to the client are too few to prove anything", seen)
	}
	out, err := s.lb.CLI("doctor")
	if !strings.Contains(out, "kept from it") {
		t.Errorf("doctor: %s%v", out, err)
	}
	if err := s.lb.Host.Sysctl("net.ipv4.ip_forward", "0"); err != nil {
		t.Fatal(err)
	}
	after, err := s.lb.Drops()
	if err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the director dropped %v, before %v: %v", after, before, err)
	}
}

// farTunnel sends through a router whose link has less room. The router tells
// the director, which tells the client.
func farTunnel(t *testing.T) {
	s := openMode(t, lab.Routed)
	holdVIPs(t, s)
	for _, server := range s.Servers {
		if _, err := server.Decapsulate(); err != nil {
			t.Fatal(err)
		}
	}
	for _, port := range []*lab.Port{s.Gateway.Port("back"), s.Servers[0].Port("back"), s.Servers[1].Port("back")} {
		if err := port.SetMTU(1400); err != nil {
			t.Fatal(err)
		}
	}
	const size = 5 << 20
	for _, tunnel := range []string{"", "\ntunnel = \"gue\""} {
		for _, cross := range []bool{false, true} {
			more := `mode = "tun"` + tunnel
			s.use(t, service{name: "upload4", vip: s.VIP4, port: lab.HTTPPort, more: more, cross: cross},
				service{name: "upload6", vip: s.VIP6, port: lab.HTTPPort, more: more, cross: cross})
			for family, vip := range s.families() {
				if err := s.client.ForgetMTU(netip.MustParseAddr(vip)); err != nil {
					t.Fatal(err)
				}
				body := noise(t, size)
				want, _ := lab.Hash(bytes.NewReader(body))
				path, err := s.client.WriteFile("body", string(body))
				if err != nil {
					t.Fatal(err)
				}
				out, err := s.client.Run(t.Context(), "curl", "-sSf", "-m", "20", "-T", path, url(vip, lab.HTTPPort)+"hash")
				if got := strings.TrimSpace(out); err != nil || got != want {
					t.Errorf("%s, cross %v%s: hash %s, want %s: %v", family, cross, tunnel, got, want, err)
				}
			}
		}
	}
}
