// Package nettest makes throw-away network namespaces for tests.
package nettest

import (
	"net"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// A Namespace is a network namespace that ends with its test.
type Namespace struct {
	*netlink.Handle
	t  testing.TB
	ns netns.NsHandle
}

// New makes a namespace with its loopback interface up, or skips the test if
// that is not permitted.
func New(t testing.TB) *Namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs network namespaces: run as root, or under unshare --user --map-root-user --net")
	}
	n := &Namespace{t: t, ns: netns.None()}
	apart(func() {
		var err error
		if n.ns, err = netns.New(); err != nil {
			t.Errorf("new network namespace: %v", err)
			return
		}
		if n.Handle, err = netlink.NewHandle(); err != nil {
			t.Errorf("new network namespace: netlink: %v", err)
		}
	})
	n.check(nil)
	t.Cleanup(func() {
		n.Handle.Close()
		n.ns.Close()
	})
	// Usable at once: without duplicate address detection.
	n.Sysctl("net/ipv6/conf/default/accept_dad", "0")
	n.Up("lo")
	return n
}

// apart calls f on a thread of its own, which ends with f.
func apart(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		f()
	}()
	<-done
}

// Do calls f on a thread in the namespace.
func (n *Namespace) Do(f func()) {
	n.t.Helper()
	apart(func() {
		if err := netns.Set(n.ns); err != nil {
			n.t.Errorf("enter network namespace: %v", err)
			return
		}
		f()
	})
	n.check(nil)
}

// check ends the test if it has failed already or err says so.
func (n *Namespace) check(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
	if n.t.Failed() {
		n.t.FailNow()
	}
}

// Link returns an interface of the namespace.
func (n *Namespace) Link(name string) netlink.Link {
	n.t.Helper()
	l, err := n.LinkByName(name)
	n.check(err)
	return l
}

// Up sets interfaces up.
func (n *Namespace) Up(names ...string) {
	n.t.Helper()
	for _, name := range names {
		n.check(n.LinkSetUp(n.Link(name)))
	}
}

// Down sets an interface down.
func (n *Namespace) Down(name string) {
	n.t.Helper()
	n.check(n.LinkSetDown(n.Link(name)))
}

// Address gives an interface addresses.
func (n *Namespace) Address(name string, cidrs ...string) {
	n.t.Helper()
	for _, cidr := range cidrs {
		a, err := netlink.ParseAddr(cidr)
		n.check(err)
		n.check(n.AddrAdd(n.Link(name), a))
	}
}

// Sysctl sets a value below /proc/sys.
func (n *Namespace) Sysctl(key, value string) {
	n.t.Helper()
	n.Do(func() {
		if err := os.WriteFile("/proc/sys/"+key, []byte(value), 0); err != nil {
			n.t.Errorf("sysctl: %v", err)
		}
	})
}

// Neighbor tells the kernel an address's MAC for good.
func (n *Namespace) Neighbor(name, ip string, mac net.HardwareAddr) {
	n.t.Helper()
	n.check(n.NeighSet(&netlink.Neigh{
		LinkIndex: n.Link(name).Attrs().Index, IP: net.ParseIP(ip), HardwareAddr: mac, State: netlink.NUD_PERMANENT,
	}))
}

// MAC returns an interface's address.
func (n *Namespace) MAC(name string) net.HardwareAddr { return n.Link(name).Attrs().HardwareAddr }

// Veth joins two namespaces by a pair of interfaces and sets both up.
func Veth(a *Namespace, nameA string, b *Namespace, nameB string) {
	a.t.Helper()
	a.check(a.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: nameA}, PeerName: nameB, PeerNamespace: netlink.NsFd(b.ns),
	}))
	for n, name := range map[*Namespace]string{a: nameA, b: nameB} {
		if n.Link(name).Attrs().Flags&net.FlagUp == 0 {
			n.Up(name)
		}
	}
}
