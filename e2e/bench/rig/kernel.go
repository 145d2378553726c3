package rig

import (
	"fmt"
	"net/netip"
	"strings"
)

// Forwarding is the kernel, which only routes: no addresses are translated, and
// connection tracking is not there.
func Forwarding() Device { return forwarding{} }

type forwarding struct{}

func (forwarding) Name() string           { return "kernel" }
func (forwarding) Target() netip.AddrPort { return Server }
func (forwarding) Setup(r *Rig) error     { return r.Device.Sysctl("net.ipv4.ip_forward", "1") }

// Nftables is FULLNAT by the kernel: the VIP becomes the server, and clients become
// local addresses. The table of connections has room for all.
func Nftables() Device { return nftables{} }

type nftables struct{}

func (nftables) Name() string           { return "nftables" }
func (nftables) Target() netip.AddrPort { return VIP }

func (nftables) Setup(r *Rig) error {
	last := Locals.Addr().As4()
	last[3] |= 63
	rules := fmt.Sprintf(`table ip rig {
	chain in {
		type nat hook prerouting priority dstnat
		ip daddr %[1]v tcp dport %[2]d dnat to %[3]v
		ip daddr %[1]v udp dport %[2]d dnat to %[3]v
	}
	chain out {
		type nat hook postrouting priority srcnat
		ip daddr %[4]v oifname "%[5]s" ip protocol { tcp, udp } snat to %[6]v-%[7]v:1024-65535
	}
}
`, VIP.Addr(), VIP.Port(), Server, Server.Addr(), r.Back, Locals.Addr(), netip.AddrFrom4(last))
	path, err := r.Device.WriteFile("rig.nft", rules)
	if err != nil {
		return err
	}
	if err := r.run("nft", "-f", path); err != nil {
		return err
	}
	for _, setting := range []string{
		"net.ipv4.ip_forward=1",
		"net.netfilter.nf_conntrack_udp_timeout=600",
		"net.netfilter.nf_conntrack_udp_timeout_stream=600",
		// As for fleetlb: what is over makes room.
		"net.netfilter.nf_conntrack_tcp_timeout_time_wait=1",
	} {
		name, value, _ := strings.Cut(setting, "=")
		if err := r.Device.Sysctl(name, value); err != nil {
			return err
		}
	}
	return r.roomForConnections()
}
