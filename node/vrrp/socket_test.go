package vrrp

import (
	"errors"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSockets sends from one end of a cable to the other, in a network of its own.
func TestSockets(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) {
		t.Skip("a network namespace needs root: run `sudo make test`")
	} else if err != nil {
		t.Fatal(err)
	}
	ip(t, "link add va type veth peer name vb")
	ip(t, "link set va addrgenmode none")
	ip(t, "address add fe80::a/64 dev va nodad")
	ip(t, "link set lo up")
	ip(t, "link set va up")
	ip(t, "link set vb up")
	// Over IPv4 a host does not believe a stranger with its own address, but for the
	// loopback, where what is sent to a group comes back.
	for _, tt := range []struct{ from, out, in, vip string }{
		{"127.0.0.1", "lo", "lo", "10.0.0.80"},
		{"fe80::a", "va", "vb", "2001:db8::80"},
	} {
		from := netip.MustParseAddr(tt.from)
		k, err := newSockets()
		if err != nil {
			t.Fatal(err)
		}
		defer k.close()
		ears, err := k.open(Place{tt.in, 51, from.Is4()}, from)
		if err != nil {
			t.Fatal(err)
		}
		mouth := ears
		if tt.in != tt.out {
			if mouth, err = k.open(Place{tt.out, 51, from.Is4()}, netip.Addr{}); err != nil {
				t.Fatal(err)
			}
			if mouth.local() != from {
				t.Errorf("%s speaks from %v", tt.out, mouth.local())
			}
		}
		m := advert{51, 100, time.Second, addresses(tt.vip)}
		other := advert{52, 100, time.Second, addresses(tt.vip)}
		for _, a := range []*advert{&other, &m} {
			if err := mouth.send(a.put(nil, from, Pseudo)); err != nil {
				t.Fatal(err)
			}
		}
		k.wait(time.Now().Add(5 * time.Second))
		came := 0
		ears.receive(func(a *arrival) {
			came++
			got, _, fault := parse(a.bytes, a.from, a.to)
			if fault != None || !same(&got, &m) || a.from != from || a.to != groupOf(from.Is4()) || a.hops != hopLimit {
				t.Errorf("%s: %v: %+v from %v to %v, %d hops", tt.from, fault, got, a.from, a.to, a.hops)
			}
		})
		if came != 1 {
			t.Errorf("%s: %d came, want 1: the other is another virtual router's", tt.from, came)
		}
		ears.close()
		if mouth != ears {
			mouth.close()
		}
		if len(k.lines) != 0 || len(k.polled) != 1 {
			t.Error("one is still polled")
		}
	}
	k, _ := newSockets()
	defer k.close()
	for _, tt := range []struct {
		at   Place
		want string
	}{
		{Place{"eth7", 51, true}, "interface eth7: "},
		{Place{"lo", 51, false}, "no link-local address to speak from"},
	} {
		if _, err := k.open(tt.at, netip.Addr{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v", tt.at, err)
		}
	}
}

func ip(t *testing.T, args string) {
	t.Helper()
	tool, err := exec.LookPath("ip")
	if err != nil {
		t.Skip("no ip command: `make deps` installs it")
	}
	if out, err := exec.Command(tool, strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}
