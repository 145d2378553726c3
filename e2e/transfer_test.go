package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// Real clients reach real servers through a VIP that a real router learned, and
// what arrives is what was sent: with the frames that offloads make and with
// those that wires carry.
func TestTransfer(t *testing.T) {
	for _, router := range []string{"bird", "frr"} {
		t.Run(router, func(t *testing.T) { transfer(t, router) })
	}
}

func transfer(t *testing.T, router string) {
	var services []service
	for family, vip := range map[string]string{"4": "203.0.113.10", "6": "2001:db8:f::10"} {
		services = append(services,
			service{name: "nginx" + family, vip: vip, port: lab.NginxPort},
			service{name: "upload" + family, vip: vip, port: lab.HTTPPort},
			service{name: "haproxy" + family, vip: vip, port: lab.HAProxyPort},
			service{name: "proxied" + family, vip: vip, port: lab.HAProxyTCPPort},
			service{name: "iperf" + family, vip: vip, port: lab.IperfPort},
			service{name: "iperf-udp" + family, vip: vip, port: lab.IperfPort, protocol: "udp"},
		)
	}
	s := prepare(t, lab.Options{Router: router, Servers: 1})
	s.lb.Offload = "off" // TestOffload is about that
	s.start(t, services...)
	server := s.Servers[0]
	for _, start := range []func() (*lab.Process, error){server.Nginx, server.HAProxy, server.ServeIperf} {
		if _, err := start(); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(server.File("files"), "noise")
	want := writeNoise(t, file, 1, bulk)
	resets, err := s.lb.WatchResets()
	if err != nil {
		t.Fatal(err)
	}

	for _, offloads := range []bool{true, false} {
		if err := s.SetOffloads(offloads); err != nil {
			t.Fatal(err)
		}
		for family, vip := range s.families() {
			t.Run(fmt.Sprintf("%s offloads %v", family, onOff(offloads)), func(t *testing.T) {
				s.bulk(t, vip, file, want)

				for _, port := range []int{lab.NginxPort, lab.HTTPPort, lab.HAProxyPort, lab.HAProxyTCPPort} {
					if name, err := s.client.Ask(t.Context(), url(vip, port)); err != nil || name != "server1" {
						t.Errorf("port %d: server %q: %v", port, name, err)
					}
				}
				s.iperf(t, vip)
				s.iperfUDP(t, vip)
				w, err := s.client.Wrk(t.Context(), url(vip, lab.NginxPort), 20, time.Second)
				if err != nil || w.Errors != "" || w.Requests < 100 {
					t.Errorf("wrk: %+v: %v", w, err)
				}
				t.Logf("wrk: %.0f requests/s", w.PerSecond)
			})
		}
	}

	if drops, err := s.lb.Drops(); err != nil || len(drops) != 0 {
		t.Errorf("the director dropped %v: %v", drops, err)
	}
	t.Run("servers see only local addresses", func(t *testing.T) {
		lines, err := server.AccessLog()
		if err != nil || len(lines) < 100 {
			t.Fatalf("%d lines in the access log: %v", len(lines), err)
		}
		for _, line := range lines {
			peer, _, _ := strings.Cut(line, " ")
			if peer != "127.0.0.1" && !local(peer, s.lb.Locals) {
				t.Fatalf("nginx was asked by %s: %s", peer, line)
			}
		}
	})
	t.Run("no reset begins at the director", func(t *testing.T) {
		born, err := resets.Born()
		if err != nil {
			t.Error(err)
		}
		for _, r := range born {
			t.Error(r)
		}
	})
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
