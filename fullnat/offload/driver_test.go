package offload

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"fleetlb/fullnat/internal/nettest"
)

// A cable is a director with one interface, and what is at the other end.
func cable(t *testing.T) (director, far *nettest.Namespace) {
	director, far = nettest.New(t), nettest.New(t)
	nettest.Veth(director, "eth0", far, "far0")
	far.GRO("far0", true)
	return director, far
}

// drive runs a driver of a namespace's interfaces until the test ends.
func drive(t *testing.T, ns *nettest.Namespace, names ...string) (d *Driver, given chan *Table, err error) {
	t.Helper()
	given = make(chan *Table, 2)
	ns.Do(func() {
		d, err = Drive(names, Capacity{Flows: 1000, Hops: 100}, nil, func(t *Table) { given <- t }, -1, slog.New(slog.DiscardHandler))
	})
	t.Cleanup(d.Close)
	return d, given, err
}

// await waits until a driver's status is so.
func (d *Driver) await(t *testing.T, mode, reason string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s := d.Status()
		if s.Mode == mode && (s.Reason == reason || reason != "" && strings.Contains(s.Reason, reason)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("status %+v, want %s, %q", s, mode, reason)
		}
	}
}

func attached(t *testing.T, ns *nettest.Namespace, name string) bool {
	t.Helper()
	x := ns.Link(name).Attrs().Xdp
	return x != nil && x.Attached
}

// In the driver, as long as the other end takes what it sends; and off, with the
// cure, where it never did.
func TestDriverNative(t *testing.T) {
	director, far := cable(t)
	d, given, err := drive(t, director, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	d.await(t, "native", "")
	if len(given) != 1 || !attached(t, director, "eth0") {
		t.Error("no table or no program")
	}
	table := <-given
	if table.control.usable[0] == 0 {
		t.Error("frames cannot be sent to eth0")
	}

	far.GRO("far0", false)
	d.await(t, "off", "ethtool -K PEER gro on")
	if table.control.usable[0] != 0 || attached(t, director, "eth0") {
		t.Error("frames are sent to eth0, which takes none")
	}
	far.GRO("far0", true)
	d.await(t, "native", "")
	if table.control.usable[0] == 0 {
		t.Error("frames cannot be sent to eth0 again")
	}
}

func TestDriverOff(t *testing.T) {
	director, far := cable(t)
	far.GRO("far0", false)
	d, given, err := drive(t, director, "eth0")
	if err == nil || !strings.Contains(err.Error(), "interface eth0") {
		t.Errorf("error %v", err)
	}
	d.await(t, "off", "ethtool -K PEER gro on")
	if attached(t, director, "eth0") || len(given) != 0 {
		t.Error("there is a program, or a table")
	}
	far.GRO("far0", true)
	d.await(t, "native", "")
	if !attached(t, director, "eth0") {
		t.Error("there is no program")
	}
}

// An interface without a driver of that kind is served in its stead.
func TestDriverGeneric(t *testing.T) {
	ns := nettest.New(t)
	if err := ns.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge0"}}); err != nil {
		t.Fatal(err)
	}
	ns.Up("bridge0")
	d, _, err := drive(t, ns, "bridge0")
	if err != nil {
		t.Fatal(err)
	}
	d.await(t, "generic", "interface bridge0 (bridge)")
	if !attached(t, ns, "bridge0") {
		t.Error("there is no program")
	}
}

// An interface that goes and comes back has its program again, and so has one
// with another address.
func TestDriverFollows(t *testing.T) {
	director, far := cable(t)
	d, given, err := drive(t, director, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	if err := director.LinkDel(director.Link("eth0")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "off", "interface eth0: not there")
	nettest.Veth(director, "eth0", far, "far0")
	far.GRO("far0", true)
	d.await(t, "native", "")
	if !attached(t, director, "eth0") || len(given) != 1 {
		t.Errorf("no program, or %d tables", len(given))
	}

	director.Down("eth0")
	if err := director.LinkSetHardwareAddr(director.Link("eth0"), []byte{2, 0, 0, 0, 0, 7}); err != nil {
		t.Fatal(err)
	}
	director.Up("eth0")
	d.await(t, "native", "")
}

// Another's program stays where it is.
func TestDriverGivesWay(t *testing.T) {
	director, _ := cable(t)
	first, _, err := drive(t, director, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = drive(t, director, "eth0")
	if err == nil || !strings.Contains(err.Error(), "another XDP program") {
		t.Errorf("error %v", err)
	}
	first.await(t, "native", "")
}
