package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
)

// Layout is a set of machines. LANs come into being by being mentioned.
type Layout []Machine

// Machine is one host of a layout.
type Machine struct {
	Name   string
	Router bool     // forwards packets
	Plugs  []Plug   // become eth0, eth1, …
	Routes []string // "default via 10.0.0.1", "10.2.0.0/24 via 10.1.0.11"
}

// Plug is a machine's place in a LAN.
type Plug struct {
	LAN   string
	Addrs []string // "10.1.0.1/24", "2001:db8:1::1/64"
	MTU   int      // 0: 1500
}

// lan is a bridge in the fabric. It has no address and speaks no protocol: to
// the machines it is a cable with many ends.
type lan struct{ bridge *netlink.Bridge }

func (l *Lab) build(layout Layout) error {
	if err := l.newFabric(); err != nil {
		return err
	}
	for _, m := range layout {
		h, err := l.newHost(m.Name)
		if err != nil {
			return err
		}
		if err := h.tune(m.Router); err != nil {
			return err
		}
		for _, p := range m.Plugs {
			if err := h.plug(p); err != nil {
				return fmt.Errorf("%s: plug into %s: %w", m.Name, p.LAN, err)
			}
		}
		for _, r := range m.Routes {
			if err := h.AddRoute(r); err != nil {
				return err
			}
		}
	}
	for _, h := range l.Hosts() {
		for _, p := range h.Ports {
			if err := p.awaitCarried(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Lab) newFabric() (err error) {
	if l.fabric, err = l.newHost("fabric"); err != nil {
		return err
	}
	if err := l.fabric.sysctls(
		"net.ipv6.conf.all.disable_ipv6=1", // bridges must not talk
		"net.ipv6.conf.default.disable_ipv6=1",
	); err != nil {
		return err
	}
	// Nor read: where the kernel has bridge netfilter, its bridges drop malformed
	// packets and trim the padding of others.
	for _, family := range []string{"iptables", "ip6tables", "arptables"} {
		err := l.fabric.Sysctl("net.bridge.bridge-nf-call-"+family, "0")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// tune sets what would otherwise cost seconds or give false verdicts.
func (h *Host) tune(router bool) error {
	settings := []string{
		"net.ipv6.conf.all.accept_dad=0", // an address works at once
		"net.ipv6.conf.default.accept_dad=0",
		"net.ipv6.conf.all.accept_ra=0",
		"net.ipv6.conf.default.accept_ra=0",
		"net.ipv4.icmp_ratelimit=0",
		"net.ipv6.icmp.ratelimit=0",
	}
	if router {
		settings = append(settings,
			"net.ipv4.ip_forward=1",
			"net.ipv6.conf.all.forwarding=1",
			"net.ipv4.conf.all.rp_filter=0",
			"net.ipv4.conf.default.rp_filter=0",
			"net.ipv4.conf.all.send_redirects=0",
			"net.ipv4.conf.default.send_redirects=0",
			// Without these Linux spreads by address alone, and all of one
			// client's connections meet the same director.
			"net.ipv4.fib_multipath_hash_policy=1",
			"net.ipv6.fib_multipath_hash_policy=1",
		)
	}
	if err := h.sysctls(settings...); err != nil {
		return err
	}
	lo, err := h.net.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.net.LinkSetUp(lo)
}

func (h *Host) sysctls(settings ...string) error {
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		if err := h.Sysctl(name, value); err != nil {
			return err
		}
	}
	return nil
}

// plug gives the host its next interface and connects it to the LAN.
func (h *Host) plug(p Plug) error {
	l := h.lab
	sw, err := l.bridge(p.LAN)
	if err != nil {
		return err
	}
	mtu := p.MTU
	if mtu == 0 {
		mtu = 1500
	}
	number := len(h.Ports)
	port := &Port{
		Name: fmt.Sprintf("eth%d", number),
		LAN:  p.LAN,
		// Locally administered, and readable in a capture: host, then port.
		MAC:  net.HardwareAddr{0x02, 0xfb, 0, byte(len(l.hosts) >> 8), byte(len(l.hosts)), byte(number)},
		host: h,
		far:  fmt.Sprintf("%.12s-%d", h.Name, number),
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = port.far, mtu
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr, veth.PeerMTU = port.Name, port.MAC, uint32(mtu)
	veth.PeerNamespace = netlink.NsFd(h.ns)
	if err := l.fabric.net.LinkAdd(veth); err != nil {
		return fmt.Errorf("veth: %w", err)
	}
	if err := l.fabric.net.LinkSetMaster(veth, sw.bridge); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	if err := l.fabric.net.LinkSetUp(veth); err != nil {
		return err
	}
	h.Ports = append(h.Ports, port)
	if err := port.setUp(true); err != nil {
		return err
	}
	for _, a := range p.Addrs {
		if err := port.AddAddr(a); err != nil {
			return err
		}
	}
	return nil
}

// bridge returns the LAN of that name, made at its first mention.
func (l *Lab) bridge(name string) (*lan, error) {
	if sw := l.lans[name]; sw != nil {
		return sw, nil
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "lan-" + name
	snooping := false
	br := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := l.fabric.net.LinkAdd(br); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	if err := l.fabric.net.LinkSetUp(br); err != nil {
		return nil, err
	}
	l.lans[name] = &lan{bridge: br}
	return l.lans[name], nil
}
