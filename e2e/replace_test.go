package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// A director is replaced by a newer program, alone as it is: established
// connections go on, for the drivers carry them while there is none, and the next
// one knows them all.
func TestReplace(t *testing.T) {
	const members = 40
	s := prepare(t, lab.Options{Servers: 2})
	if err := s.TakeFromDrivers(true); err != nil {
		t.Fatal(err)
	}
	s.lb.Offload = "required"
	s.start(t, service{name: "echo", vip: s.VIP4, port: lab.EchoPort}, service{name: "echo6", vip: s.VIP6, port: lab.EchoPort})
	s.pin(t)

	s.lb.Process.Signal(syscall.SIGUSR2) // there is no place to leave anything at
	if err := lab.Await(10*time.Second, "the director to refuse", func() error {
		if log := s.lb.Process.Log(); !strings.Contains(log, "mount -t bpf bpf /sys/fs/bpf") {
			return fmt.Errorf("its log ends %s", s.lb.Process.Tail(1))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.lb.Host.Run(t.Context(), "mount", "-t", "bpf", "bpf", "/sys/fs/bpf"); err != nil {
		t.Fatal(err)
	}
	for family, vip := range s.families() {
		c := s.crowd(t, at(vip, lab.EchoPort), members)
		lifted := func() {
			t.Helper()
			if err := lab.Await(10*time.Second, "the driver to carry the crowd", func() error {
				if n := s.metric(t, "fleetlb_offload_sessions"); n < members {
					return fmt.Errorf("it carries %v sessions", n)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		lifted()
		before := locals(t, s)

		s.lb.Process.Signal(syscall.SIGUSR2)
		if err := s.lb.Process.Wait(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		if err := c.Proven(5 * time.Second); err != nil { // without any director
			t.Errorf("%s: %v", family, err)
		}
		if err := s.lb.Start(); err != nil {
			t.Fatal(err)
		}
		lifted()
		if after := locals(t, s); strings.Join(after, " ") != strings.Join(before, " ") {
			t.Errorf("%s: sessions were %v and are %v", family, before, after)
		}
		t.Logf("%s: the longest silence of %d connections: %v", family, members, c.Gap())
		unbroken(t, c)
	}

	// Nobody comes: the programs fall silent by themselves, and who comes later
	// takes them away.
	c := s.crowd(t, at(s.VIP4, lab.EchoPort), 5)
	time.Sleep(time.Second)
	s.lb.Process.Signal(syscall.SIGUSR2)
	if err := s.lb.Process.Wait(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := lab.Await(30*time.Second, "silence", func() error {
		was := c.Echoed()
		time.Sleep(time.Second)
		if n := c.Echoed() - was; n != 0 {
			return fmt.Errorf("%d answers in a second", n)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	c.Stop()
	s.lb.Offload = "off"
	if err := s.lb.Start(); err != nil {
		t.Fatal(err)
	}
	for _, name := range s.lb.Interfaces {
		out, err := s.lb.Host.Run(t.Context(), "ip", "-d", "link", "show", name)
		if err != nil || strings.Contains(out, "xdp") {
			t.Errorf("%s: %v", out, err)
		}
	}
}

// locals lists the established sessions by client and local address, sorted.
func locals(t *testing.T, s *site) (all []string) {
	t.Helper()
	sessions, err := s.lb.Sessions()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range sessions {
		if v.State == "established" && v.Protocol == "tcp" {
			all = append(all, v.Client+"="+v.Local)
		}
	}
	return all
}
