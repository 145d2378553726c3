package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Port is a host's interface and the cable from it to a LAN.
type Port struct {
	Name string // in the host
	LAN  string
	MAC  net.HardwareAddr

	host *Host
	far  string // the cable's other end, in the fabric
}

// AddAddr gives the port an address, usable at once.
func (p *Port) AddAddr(prefix string) error {
	if err := p.changeAddr(prefix, p.host.net.AddrReplace); err != nil {
		return err
	}
	return p.awaitHeard(netip.MustParsePrefix(prefix).Addr())
}

// awaitHeard waits until the host hears who asks for an IPv6 address. The kernel
// joins the multicast group of an address from a queue, some time after it is
// there.
func (p *Port) awaitHeard(a netip.Addr) error {
	if a.Is4() {
		return nil
	}
	last := a.As16()
	group := fmt.Sprintf("ff0200000000000000000001ff%x", last[13:]) // RFC 4291 §2.7.1
	return Await(10*time.Second, fmt.Sprintf("%s to listen for %s", p, a), func() error {
		var groups []byte
		if err := p.host.Do(func() (err error) {
			groups, err = os.ReadFile("/proc/thread-self/net/igmp6")
			return err
		}); err != nil {
			return err
		}
		for line := range strings.Lines(string(groups)) {
			if f := strings.Fields(line); len(f) > 2 && f[1] == p.Name && f[2] == group {
				return nil
			}
		}
		return fmt.Errorf("it has not joined %s", group)
	})
}

// DelAddr takes it away.
func (p *Port) DelAddr(prefix string) error { return p.changeAddr(prefix, p.host.net.AddrDel) }

func (p *Port) changeAddr(prefix string, change func(netlink.Link, *netlink.Addr) error) error {
	parsed, err := netip.ParsePrefix(prefix)
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	link, err := p.link()
	if err != nil {
		return err
	}
	a := &netlink.Addr{IPNet: ipNet(parsed)}
	if parsed.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	if err := change(link, a); err != nil {
		return fmt.Errorf("%s: address %s: %w", p, prefix, err)
	}
	return nil
}

// Addr returns the port's first address of a family, without link-local ones.
func (p *Port) Addr(v6 bool) netip.Addr {
	family := netlink.FAMILY_V4
	if v6 {
		family = netlink.FAMILY_V6
	}
	link, err := p.link()
	if err != nil {
		return netip.Addr{}
	}
	addrs, _ := p.host.net.AddrList(link, family)
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP); ok && !ip.IsLinkLocalUnicast() {
			return ip.Unmap()
		}
	}
	return netip.Addr{}
}

// SetUp brings the port up or, as an administrator would, down; the other side
// of the cable sees its carrier go. IPv6 addresses do not survive being down
// unless the kernel is told to keep them, which it is.
func (p *Port) SetUp(up bool) error {
	if err := p.setUp(up); err != nil || !up {
		return err
	}
	return p.awaitCarried()
}

func (p *Port) setUp(up bool) error {
	if err := p.host.Sysctl("net.ipv6.conf."+p.Name+".keep_addr_on_down", "1"); err != nil {
		return err
	}
	link, err := p.link()
	if err != nil {
		return err
	}
	if up {
		return p.host.net.LinkSetUp(link)
	}
	return p.host.net.LinkSetDown(link)
}

// Unplug pulls the cable out of the switch without either side seeing its
// carrier go: silent loss in both directions. Plug puts it back.
func (p *Port) Unplug() error {
	far, err := p.host.lab.fabric.net.LinkByName(p.far)
	if err != nil {
		return err
	}
	return p.host.lab.fabric.net.LinkSetNoMaster(far)
}

// Plug undoes Unplug.
func (p *Port) Plug() error {
	l := p.host.lab
	far, err := l.fabric.net.LinkByName(p.far)
	if err != nil {
		return err
	}
	if err := l.fabric.net.LinkSetMaster(far, l.lans[p.LAN].bridge); err != nil {
		return err
	}
	return p.awaitCarried()
}

// awaitCarried waits until the switch carries frames to and from the port. A
// carrier that has come takes effect through a queue, up to a second later:
// before, the interface sends nothing and the bridge forwards nothing.
func (p *Port) awaitCarried() error {
	const forwarding = "3" // BR_STATE_FORWARDING
	l := p.host.lab
	return Await(10*time.Second, fmt.Sprintf("the switch to carry %s", p), func() error {
		near, err := p.link()
		if err != nil {
			return err
		}
		far, err := l.fabric.net.LinkByName(p.far)
		if err != nil {
			return err
		}
		for _, end := range []netlink.Link{near, far} {
			if state := end.Attrs().OperState; state != netlink.OperUp {
				return fmt.Errorf("%s is %s", end.Attrs().Name, state)
			}
		}
		var state []byte
		if err := l.fabric.onThread(func() (err error) {
			state, err = os.ReadFile("/sys/class/net/" + p.far + "/brport/state")
			return err
		}); err != nil {
			return nil // the fabric has no /sys of its own: see Host.enter
		}
		if s := strings.TrimSpace(string(state)); s != forwarding {
			return fmt.Errorf("its port is in state %s", s)
		}
		return nil
	})
}

// SetMTU changes both ends of the cable.
func (p *Port) SetMTU(mtu int) error {
	far, err := p.host.lab.fabric.net.LinkByName(p.far)
	if err != nil {
		return err
	}
	if err := p.host.lab.fabric.net.LinkSetMTU(far, mtu); err != nil {
		return fmt.Errorf("%s: mtu %d: %w", p, mtu, err)
	}
	link, err := p.link()
	if err != nil {
		return err
	}
	if err := p.host.net.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("%s: mtu %d: %w", p, mtu, err)
	}
	return nil
}

// Index is the interface's number in its host.
func (p *Port) Index() (int, error) {
	link, err := p.link()
	if err != nil {
		return 0, err
	}
	return link.Attrs().Index, nil
}

func (p *Port) link() (netlink.Link, error) {
	link, err := p.host.net.LinkByName(p.Name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	return link, nil
}

func (p *Port) String() string { return p.host.Name + " " + p.Name }
