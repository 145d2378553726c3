package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// TestSchedulers has each scheduler share out connections to three servers of
// weights 3, 2 and 1, and holds the shares to its law.
func TestSchedulers(t *testing.T) {
	s := prepare(t, lab.Options{Clients: 2})
	s.pin(t)
	laws := []struct {
		scheduler string
		flags     string
		n         int // connections that are held, one opened after the other; 0: 60 requests
		want      shares
		refuses   bool // the next one
	}{
		{scheduler: "rr", want: shares{20, 20, 20}},
		{scheduler: "wrr", want: shares{30, 20, 10}},
		{scheduler: "lc", n: 12, want: shares{4, 4, 4}},
		{scheduler: "wlc", n: 12, want: shares{6, 4, 2}},
		{scheduler: "sed", n: 12, want: shares{6, 4, 2}},
		{scheduler: "nq", n: 12, want: shares{6, 4, 2}},
		{scheduler: "twos", n: 60, want: shares{30, 20, 10}},
		{scheduler: "fo", n: 6, want: shares{6, 0, 0}},
		{scheduler: "ovf", n: 9, want: shares{4, 3, 2}, refuses: true}, // until each has more than its weight
		{scheduler: "lblc", n: 12, want: shares{4, 3, 5}},              // one after the other is overloaded, and the last has nowhere to go on to
		{scheduler: "lblcr", n: 12, want: shares{6, 4, 2}},             // all three are the destination's in the end
		{scheduler: "dh", want: one},
		{scheduler: "sh", want: one},
		{scheduler: "sh", flags: "sh-port", want: shares{30, 20, 10}},
		{scheduler: "mh", want: one},
		{scheduler: "mh", flags: "mh-port", want: shares{30, 20, 10}},
	}
	var services []service
	for i, law := range laws {
		services = append(services, service{
			name: fmt.Sprintf("law%d", i), vip: s.VIP4, port: 9000 + i, backend: lab.HTTPPort, weights: []int{3, 2, 1},
			scheduler: law.scheduler, more: fmt.Sprintf("scheduler_flags = [%s]", quoted(law.flags)),
		})
	}
	s.start(t, services...)
	for i, law := range laws {
		t.Run(law.scheduler+law.flags, func(t *testing.T) {
			name, address := fmt.Sprintf("law%d", i), at(s.VIP4, 9000+i)
			var got shares
			switch {
			case law.n > 0:
				got = held(t, s, name, address, law.n, law.refuses)
			case law.flags != "":
				got = fromPorts(t, s, address, 60)
			default:
				got = asked(t, s, s.VIP4, 9000+i, 60)
			}
			if !got.within(law.want, slack[law.scheduler+law.flags]) {
				t.Errorf("%v, want %v", got, law.want)
			}
			t.Logf("%v", got)
		})
	}
}

// slack is by how much a share may miss its law's: one that draws, or hashes 60
// connections, is held to four standard deviations. Without an entry it is one,
// for where a turn began.
var slack = map[string]int{"twos": 8, "shsh-port": 15, "mhmh-port": 15, "lblcr": 2}

// shares are how many connections server1, server2 and server3 got.
type shares [3]int

// one is all connections at the same server, whichever.
var one = shares{60, 0, 0}

func (s shares) within(want shares, slack int) bool {
	if want == one {
		return s[0] == 60 || s[1] == 60 || s[2] == 60
	}
	for i := range s {
		if d := s[i] - want[i]; d < -max(slack, 1) || d > max(slack, 1) {
			return false
		}
	}
	return true
}

func quoted(flag string) string {
	if flag == "" {
		return ""
	}
	return fmt.Sprintf("%q", flag)
}

// asked has one client make n requests, each by a connection of its own.
func asked(t *testing.T, s *site, vip string, port, n int) (got shares) {
	t.Helper()
	answers, err := s.client.AskMany(t.Context(), url(vip, port), n)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i] = answers[fmt.Sprintf("server%d", i+1)]
	}
	return got
}

// fromPorts asks from ports that no earlier run has used lately.
func fromPorts(t *testing.T, s *site, address string, n int) (got shares) {
	t.Helper()
	first := rand.IntN(10_000) + 20_000
	for port := first; port < first+n; port++ {
		name, err := askFrom(t.Context(), s.client, port, address)
		if err != nil {
			t.Fatalf("from port %d: %v", port, err)
		}
		for i := range got {
			if name == fmt.Sprintf("server%d", i+1) {
				got[i]++
			}
		}
	}
	return got
}

// held opens n connections, each when the one before is there, and counts them
// while they are. If the service refuses, the next one is.
func held(t *testing.T, s *site, name, address string, n int, refuses bool) (got shares) {
	t.Helper()
	var all []net.Conn
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for i := range n {
		c, err := s.client.Dial(t.Context(), "tcp", address)
		if err != nil {
			t.Fatalf("connection %d: %v", i+1, err)
		}
		all = append(all, c)
	}
	if refuses {
		if c, err := s.client.Dial(t.Context(), "tcp", address); err == nil {
			c.Close()
			t.Errorf("connection %d was not refused", n+1)
		}
	}
	counted := func() error {
		servers, err := s.lb.ServerList(name)
		if err != nil {
			return err
		}
		for i, v := range servers {
			got[i] = v.Active
		}
		if sum := got[0] + got[1] + got[2]; sum != n {
			return fmt.Errorf("%v active, want %d in all", got, n)
		}
		return nil
	}
	if err := lab.Await(5*time.Second, "the sessions to be counted", counted); err != nil {
		t.Error(err)
	}
	return got
}

// greets says whether somebody is at the other end of an echo connection.
func greets(c net.Conn) error {
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "hello"); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}
