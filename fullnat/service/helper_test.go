package service

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/schedule"
)

// spec reads a service from "web tcp 203.0.113.10:80 wrr 10.3.0.11:8080=3 …":
// name, protocol, VIP, scheduler with its flags after commas, servers with their
// weights. A server marked ! is down, one marked ~ is draining, and "sorry=" goes
// before the sorry server. A VIP may have ports "8000-8999", and "+udp/" or
// "+tcp/" goes before what the service listens at as well.
func spec(t testing.TB, line string) Spec {
	t.Helper()
	words := strings.Fields(line)
	scheduler := strings.Split(words[3], ",")
	l := listener(t, words[1]+"/"+words[2])
	s := Spec{
		Name: words[0], Protocol: l.Protocol, VIP: l.VIP, Last: l.Last, Mode: FULLNAT,
		Scheduler: scheduler[0], Flags: scheduler[1:],
	}
	for _, word := range words[4:] {
		if sorry, ok := strings.CutPrefix(word, "sorry="); ok {
			s.Sorry = netip.MustParseAddrPort(sorry)
			continue
		}
		if beside, ok := strings.CutPrefix(word, "+"); ok {
			s.Beside = append(s.Beside, listener(t, beside))
			continue
		}
		address, weight, _ := strings.Cut(strings.TrimLeft(word, "!~"), "=")
		n, err := strconv.Atoi(weight)
		if err != nil {
			t.Fatalf("server %q: %v", word, err)
		}
		s.Servers = append(s.Servers, ServerSpec{
			Address: netip.MustParseAddrPort(address), Weight: n, Up: word[0] != '!', Drain: word[0] == '~',
		})
	}
	return s
}

// listener reads "udp/203.0.113.10:8000-8999".
func listener(t testing.TB, text string) Listener {
	t.Helper()
	protocol, at, _ := strings.Cut(text, "/")
	l := Listener{Protocol: packet.TCP}
	if protocol == "udp" {
		l.Protocol = packet.UDP
	}
	at, last, ranged := strings.Cut(at, "-")
	l.VIP = netip.MustParseAddrPort(at)
	if ranged {
		n, err := strconv.ParseUint(last, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		l.Last = uint16(n)
	}
	return l
}

// table builds from such lines.
func table(t testing.TB, prev *Table, lines ...string) *Table {
	t.Helper()
	var specs []Spec
	for _, line := range lines {
		specs = append(specs, spec(t, line))
	}
	built, err := Build(specs, prev)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// find is Find for those who write addresses.
func find(t *Table, protocol uint8, destination string) *Service {
	a := netip.MustParseAddrPort(destination)
	return t.Find(protocol, packet.AddrFrom(a.Addr()), a.Port())
}

// picks lists the servers that n connections of different clients go to.
func picks(s *Service, n int) (names []string) {
	for i := range n {
		k := &schedule.Key{VIP: s.VIP, VIPPort: s.Port, Protocol: s.Protocol, ClientPort: uint16(1024 + i)}
		k.Client[14], k.Client[15] = byte(i>>8), byte(i)
		if at := s.Scheduler.Pick(k); at >= 0 {
			names = append(names, s.Members[at].Name)
		} else {
			names = append(names, "-")
		}
	}
	return names
}
