package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// A director under load for as long as SOAK says, while things around it change
// and fail at random. Whoever has no part in a failure notices nothing of it,
// and at the end the director is no bigger than it was.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		t.Skip("`make soak` runs it")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	web := service{name: "web", vip: "203.0.113.10", port: lab.HTTPPort}
	echo := service{name: "echo", vip: "203.0.113.10", port: lab.EchoPort, scheduler: "mh"}
	udp := service{name: "echo-udp", vip: "203.0.113.10", port: lab.EchoPort, protocol: "udp", servers: 1}
	s := open(t, lab.Options{Router: "bird"}, web, echo, udp)
	s.pin(t)

	// Server 1 is left alone: what ends there must never break.
	steady := s.crowd(t, at(s.VIP4, lab.EchoPort), 300)
	safe := 0
	for _, session := range sessions(t, s) {
		if session.Protocol == "tcp" && session.Server == lab.ServerAddress(1, lab.EchoPort, false) && session.State == "established" {
			safe++
		}
	}
	probe := s.probe(t)
	background, cancel := context.WithTimeout(t.Context(), length+time.Minute)
	defer cancel()
	loaded := make(chan error, 1)
	go func() {
		_, err := s.client.Wrk(background, url(s.VIP4, lab.HTTPPort), 50, length)
		loaded <- err
	}()
	memory := resident(t, s.lb.Process.Pid)

	faults := []struct {
		name string
		do   func()
	}{
		{"a server is killed and restarted", func() {
			victim := s.Servers[1+random.IntN(2)]
			program(t, s, victim, "server").Kill()
			time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
			if _, err := victim.Serve(); err != nil {
				t.Error(err)
			}
		}},
		{"a server falls silent for a while", func() {
			port := s.Servers[1+random.IntN(2)].Port("back")
			port.Unplug()
			time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
			port.Plug()
		}},
		{"the router drops its sessions", func() {
			if err := s.Router.Reset(netip.Addr{}); err != nil {
				t.Error(err)
			}
		}},
		{"weights change", func() {
			web.weights = []int{1 + random.IntN(9), random.IntN(9), random.IntN(9)}
			s.lb.Services = tomls(3, web, echo, udp)
			if err := s.lb.Reload(); err != nil {
				t.Error(err)
			}
		}},
		{"a bad reload", func() {
			good := s.lb.Services
			s.lb.Services = "nonsense"
			if s.lb.Reload() == nil {
				t.Error("nonsense was loaded")
			}
			s.lb.Services = good
		}},
	}
	counts := make(map[string]int)
	for end := time.Now().Add(length); time.Now().Before(end) && !t.Failed(); {
		fault := faults[random.IntN(len(faults))]
		fault.do()
		counts[fault.name]++
		if err := s.lb.AwaitServer(10*time.Second, "web", lab.ServerAddress(1, lab.HTTPPort, false), "up"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
	}
	t.Logf("faults: %v", counts)
	if err := <-loaded; err != nil {
		t.Error(err)
	}
	lossless(t, probe)
	steady.Proven(10 * time.Second)
	if broken := steady.Stop(); 300-len(broken) < safe {
		t.Errorf("%d of 300 connections broke, and %d were with a server that nothing happened to; the first: %v", len(broken), safe, broken[0])
	}
	now := resident(t, s.lb.Process.Pid)
	t.Logf("the director's memory: %d MB, then %d MB", memory>>20, now>>20)
	if now > 2*memory+64<<20 {
		t.Errorf("the director grew from %d to %d MB", memory>>20, now>>20)
	}
}

// resident is the memory a process holds, in bytes.
func resident(t *testing.T, pid int) (bytes int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	fmt.Sscan(string(b), &size, &pages)
	return pages * os.Getpagesize()
}
