package rig

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"fleetlb/e2e/lab"
)

// An end of a cable.
type end struct {
	host    *lab.Host
	name    string
	address netip.Prefix
	mac     net.HardwareAddr
}

// cable lays the two cables and gives everyone addresses, routes and neighbours.
// It returns the address of the device's front.
func (r *Rig) cable() (net.HardwareAddr, error) {
	mac := func(n byte) net.HardwareAddr { return net.HardwareAddr{0x02, 0xfb, 0, 0, 0, n} }
	client := end{r.Client, r.ClientPort, clientHost, mac(1)}
	front := end{r.Device, r.Front, deviceFront, mac(2)}
	back := end{r.Device, r.Back, deviceBack, mac(3)}
	server := end{r.Server, r.ServerPort, serverHost, mac(4)}
	for _, h := range r.lab.Hosts() {
		if err := h.Sysctl("net.ipv6.conf.all.disable_ipv6", "1"); err != nil {
			return nil, err
		}
	}
	for _, c := range [][2]end{{client, front}, {back, server}} {
		if err := r.join(c[0], c[1]); err != nil {
			return nil, fmt.Errorf("cable %s: %w", c[0].name, err)
		}
	}
	// What an XDP program sends to a veth arrives only where its peer polls, which
	// one with generic receive offload does.
	for _, name := range []string{r.Front, r.Back} {
		if err := r.Device.SetOffloads(name, true, "generic receive"); err != nil {
			return nil, err
		}
	}
	for _, n := range []struct {
		at      end
		address netip.Addr
		mac     net.HardwareAddr
	}{
		{client, deviceFront.Addr(), front.mac}, {front, clientHost.Addr(), client.mac},
		{server, deviceBack.Addr(), back.mac}, {back, serverHost.Addr(), server.mac}, {back, Server.Addr(), server.mac},
	} {
		if err := r.introduce(n.at, n.address, n.mac); err != nil {
			return nil, fmt.Errorf("neighbor %v: %w", n.address, err)
		}
	}
	for _, route := range []struct {
		host  *lab.Host
		words string
	}{
		{r.Client, "default via " + deviceFront.Addr().String()},
		{r.Server, "default via " + deviceBack.Addr().String()},
		{r.Device, Clients.String() + " via " + clientHost.Addr().String()},
	} {
		if err := route.host.AddRoute(route.words); err != nil {
			return nil, err
		}
	}
	return front.mac, nil
}

// within calls f with a handle to a host's interfaces.
func (r *Rig) within(h *lab.Host, f func(*netlink.Handle, netns.NsHandle) error) error {
	ns, err := netns.GetFromName(r.lab.Namespace(h))
	if err != nil {
		return err
	}
	defer ns.Close()
	handle, err := netlink.NewHandleAt(ns)
	if err != nil {
		return err
	}
	defer handle.Close()
	return f(handle, ns)
}

func (r *Rig) join(a, b end) error {
	err := r.within(b.host, func(_ *netlink.Handle, far netns.NsHandle) error {
		return r.within(a.host, func(n *netlink.Handle, _ netns.NsHandle) error {
			return n.LinkAdd(&netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: a.name, HardwareAddr: a.mac}, PeerName: b.name,
				PeerHardwareAddr: b.mac, PeerNamespace: netlink.NsFd(far),
			})
		})
	})
	if err != nil {
		return err
	}
	for _, e := range []end{a, b} {
		if err := r.address(e); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}

func (r *Rig) address(e end) error {
	return r.within(e.host, func(n *netlink.Handle, _ netns.NsHandle) error {
		l, err := n.LinkByName(e.name)
		if err != nil {
			return err
		}
		if err := n.LinkSetUp(l); err != nil {
			return err
		}
		a, err := netlink.ParseAddr(e.address.String())
		if err != nil {
			return err
		}
		return n.AddrAdd(l, a)
	})
}

// introduce tells a host a neighbour for good.
func (r *Rig) introduce(at end, a netip.Addr, mac net.HardwareAddr) error {
	return r.within(at.host, func(n *netlink.Handle, _ netns.NsHandle) error {
		l, err := n.LinkByName(at.name)
		if err != nil {
			return err
		}
		return n.NeighSet(&netlink.Neigh{
			LinkIndex: l.Attrs().Index, IP: a.AsSlice(), HardwareAddr: mac, State: netlink.NUD_PERMANENT,
		})
	})
}

// notice tells the crowd whether the device takes frames in its drivers.
func (r *Rig) notice() error {
	return r.within(r.Device, func(n *netlink.Handle, _ netns.NsHandle) error {
		all := true
		for _, name := range []string{r.Front, r.Back} {
			l, err := n.LinkByName(name)
			if err != nil {
				return err
			}
			x := l.Attrs().Xdp
			all = all && x != nil && x.Attached
		}
		r.crowd.Awake(all)
		return nil
	})
}
