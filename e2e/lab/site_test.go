package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fullnat makes a host do in the kernel what a director does in userspace: a
// yardstick that the lab itself is sound.
func fullnat(t *testing.T, s *Site) {
	t.Helper()
	lb := s.Directors[0].Host
	if err := lb.sysctls("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"); err != nil {
		t.Fatal(err)
	}
	for _, r := range []string{s.VIP4 + "/32 via 10.1.0.11", s.VIP6 + "/128 via 2001:db8:1::11"} {
		if err := s.Gateway.AddRoute(r); err != nil {
			t.Fatal(err)
		}
	}
	// The kernel needs its local addresses on an interface to answer ARP.
	for _, a := range []string{"10.3.0.129/24", "2001:db8:3::81/64"} {
		if err := lb.Port("back").AddAddr(a); err != nil {
			t.Fatal(err)
		}
	}
	rules, err := lb.WriteFile("nat.nft", fmt.Sprintf(`
table inet nat {
	chain in { type nat hook prerouting priority dstnat;
		ip daddr %s dnat to 10.3.0.11
		ip6 daddr %s dnat to 2001:db8:3::11
	}
	chain out { type nat hook postrouting priority srcnat;
		oifname eth1 ip saddr != 10.3.0.0/24 snat ip to 10.3.0.129
		oifname eth1 ip6 saddr != 2001:db8:3::/64 snat ip6 to 2001:db8:3::81
	}
}`, s.VIP4, s.VIP6))
	if err == nil {
		_, err = lb.Run(t.Context(), "nft", "-f", rules)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestSiteWithKernelNAT(t *testing.T) {
	const size = 20 << 20
	s := SiteForTest(t, Options{})
	server, client := s.Servers[0], s.Clients[0]
	for name, start := range map[string]func() (*Process, error){
		"server": server.Serve, "nginx": server.Nginx, "haproxy": server.HAProxy, "iperf3": server.ServeIperf,
	} {
		if _, err := start(); err != nil {
			t.Fatal(name, err)
		}
	}
	fullnat(t, s)
	resets, err := s.Directors[0].Host.Port("front").Capture(Resets)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := Hash(Noise(7, size))

	for _, offloads := range []bool{true, false} {
		if err := s.SetOffloads(offloads); err != nil {
			t.Fatal(err)
		}
		for _, vip := range []string{s.VIP4, "[" + s.VIP6 + "]"} {
			t.Run(fmt.Sprintf("%s offloads %v", vip, offloads), func(t *testing.T) {
				for _, port := range []int{HTTPPort, NginxPort, HAProxyPort, HAProxyTCPPort} {
					name, err := client.Ask(t.Context(), fmt.Sprintf("http://%s:%d/", vip, port))
					if err != nil || name != "server1" {
						t.Errorf("port %d: server %q, error %v", port, name, err)
					}
				}
				got, err := download(client, fmt.Sprintf("http://%s:%d/noise?bytes=%d&seed=7", vip, HTTPPort, size))
				if err != nil || got != want {
					t.Errorf("download: hash %q, error %v, want %s", got, err, want)
				}
				got, err = upload(client, fmt.Sprintf("http://%s:%d/hash", vip, HTTPPort), Noise(7, size))
				if err != nil || got != want {
					t.Errorf("upload: hash %q, error %v, want %s", got, err, want)
				}
			})
		}
	}
	t.Run("wrk", func(t *testing.T) {
		w, err := client.Wrk(t.Context(), "http://"+s.VIP4+"/", 10, time.Second)
		if err != nil || w.Requests == 0 || w.Errors != "" {
			t.Error(w, err)
		}
		t.Logf("%+v", w)
	})
	t.Run("iperf3", func(t *testing.T) {
		i, err := client.Iperf(t.Context(), s.VIP4, IperfPort, time.Second)
		if err != nil || i.Mbps == 0 {
			t.Error(i, err)
		}
		u, err := client.Iperf(t.Context(), s.VIP6, IperfPort, time.Second, "-u", "-b", "10M")
		if err != nil || u.Mbps < 5 {
			t.Error(u, err)
		}
		t.Logf("%+v %+v", i, u)
	})
	t.Run("crowd and probe", func(t *testing.T) {
		crowd, err := client.Crowd(t.Context(), fmt.Sprintf("%s:%d", s.VIP4, EchoPort), 50, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		probe, err := client.Probe(t.Context(), fmt.Sprintf("%s:%d", s.VIP4, EchoPort), time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if err := crowd.Proven(5 * time.Second); err != nil {
			t.Error(err)
		}
		port := server.Port("back")
		if err := port.Unplug(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // the outage to be measured
		if err := port.Plug(); err != nil {
			t.Fatal(err)
		}
		if err := crowd.Proven(10 * time.Second); err != nil {
			t.Error(err)
		}
		r := probe.Stop()
		t.Log(r, crowd.Gap())
		if r.Blackhole < 250*time.Millisecond || r.Blackhole > 600*time.Millisecond || r.Lost < 100 {
			t.Errorf("an outage of 300 ms was measured as %v", r)
		}
		if broken := crowd.Stop(); len(broken) != 0 {
			t.Errorf("%d connections broke: %v", len(broken), broken)
		}
	})
	t.Run("nginx saw only the local address", func(t *testing.T) {
		lines, err := server.AccessLog()
		if err != nil || len(lines) < 2 {
			t.Fatal(lines, err)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "10.3.0.129 ") && !strings.HasPrefix(line, "2001:db8:3::81 ") {
				t.Fatal(line)
			}
		}
	})
	if err := resets.Stop(); err != nil {
		t.Error(err)
	}
	t.Run("a refused port is one reset in the capture", func(t *testing.T) {
		c, err := s.Directors[0].Host.Port("front").Capture(Resets)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []string{s.VIP4 + ":9", "[" + s.VIP6 + "]:9"} {
			if conn, err := client.Dial(t.Context(), "tcp", a); err == nil {
				conn.Close()
				t.Error(a, "accepted")
			}
		}
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
		if got := c.Select(func(p Seen) bool { return p.Outgoing && strings.Contains(p.Flags, "R") }); len(got) != 2 || len(c.Frames()) != 2 {
			t.Errorf("captured %v", c.Select(func(Seen) bool { return true }))
		}
		if err := c.WritePcap(filepath.Join(t.TempDir(), "x.pcap")); err != nil {
			t.Error(err)
		}
	})
}

func download(h *Host, url string) (hash string, err error) {
	res, err := h.HTTP(time.Minute).Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	return Hash(res.Body)
}

func upload(h *Host, url string, body io.Reader) (hash string, err error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, url, body)
	if err != nil {
		return "", err
	}
	res, err := h.HTTP(time.Minute).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return strings.TrimSpace(string(b)), err
}
