// Package host looks at what a director's machine is set to do beside the
// director, and would hurt it: a kernel that takes part, a network card that is
// too clever, limits that are too low. It only looks.
package host

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"fleetlb/node/admin"
	"fleetlb/node/config"
)

// Examine looks at the machine that a configuration is running on; own is what
// the machine itself has, and unguarded why its kernel gets to see what is the
// director's, if it does.
func Examine(c *config.Config, own config.Host, unguarded error) []admin.Finding {
	return examine(c, own, unguarded, "/proc/sys")
}

func examine(c *config.Config, own config.Host, unguarded error, proc string) []admin.Finding {
	s := settings(proc)
	all := []admin.Finding{openFiles(), s.receiveBuffer(), s.conntrack()}
	for _, name := range c.Node.Interfaces {
		all = append(all, linkOf(name, c.Node.Interfaces), largeReceive(name),
			s.forwarding("net/ipv4/conf/"+name+"/forwarding", unguarded),
			s.forwarding("net/ipv6/conf/"+name+"/forwarding", unguarded),
			s.silence("net/ipv4/conf/"+name+"/proxy_arp", "the kernel answers ARP for addresses that are the director's"),
			s.silence("net/ipv6/conf/"+name+"/proxy_ndp", "the kernel answers neighbour solicitations for addresses that are the director's"),
			s.pathFilter(name))
	}
	return append(all, addresses(c, own)...)
}

// settings is where the kernel's are found.
type settings string

// of reads a setting, "" where the kernel has none.
func (s settings) of(name string) string {
	value, err := os.ReadFile(filepath.Join(string(s), name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(value))
}

// silence wants a setting off that would have the kernel take part. Advice names
// it with slashes, which sysctl takes too, since an interface may have dots.
func (s settings) silence(name, harm string) admin.Finding {
	value := s.of(name)
	if value == "" || value == "0" {
		return admin.OK(name, "0")
	}
	return admin.Fail(name, value+": "+harm, "sysctl -w "+name+"=0")
}

// forwarding may be on where the kernel does not get to see what is the
// director's: for connections that servers of mode nat make themselves.
func (s settings) forwarding(name string, unguarded error) admin.Finding {
	if value := s.of(name); value != "" && value != "0" && unguarded == nil {
		return admin.OK(name, value+": and what is the director's is kept from it")
	}
	return s.silence(name, "the kernel forwards to servers and routers what the director has forwarded already, and answers of mode nat in the servers' own name")
}

// pathFilter: a strict reverse path filter loses what a server or a router
// answers to the host itself by another way. The larger of two settings holds.
func (s settings) pathFilter(name string) admin.Finding {
	setting := "net/ipv4/conf/" + name + "/rp_filter"
	if max(s.of("net/ipv4/conf/all/rp_filter"), s.of(setting)) == "1" {
		return admin.Warn(setting, "1: answers to health checks and BGP that come by another interface are lost", "sysctl -w "+setting+"=2 if any do")
	}
	return admin.OK(setting, "not strict")
}

// conntrack: a full table of tracked connections drops the host's own packets,
// health checks and BGP among them.
func (s settings) conntrack() admin.Finding {
	const name = "net/netfilter/nf_conntrack_max"
	most, err1 := strconv.Atoi(s.of(name))
	tracked, err2 := strconv.Atoi(s.of("net/netfilter/nf_conntrack_count"))
	if err1 != nil || err2 != nil || tracked*2 < most {
		return admin.OK("conntrack", "not in the way")
	}
	return admin.Warn("conntrack", fmt.Sprintf("the kernel tracks %d of at most %d connections; beyond that it drops health checks and BGP", tracked, most),
		"have the firewall not track what goes to VIPs and local addresses (nft: notrack), or raise "+name)
}

// receiveBuffer is what a burst may fill before a worker comes round. Root may
// exceed the setting.
func (s settings) receiveBuffer() admin.Finding {
	const check, least = "net/core/rmem_max", 8 << 20
	value := s.of(check)
	if n, err := strconv.Atoi(value); err == nil && n < least && os.Geteuid() != 0 {
		return admin.Warn(check, value+": bursts are lost", fmt.Sprintf("sysctl -w %s=%d", check, 32<<20))
	}
	return admin.OK(check, value)
}

func openFiles() admin.Finding {
	const check, fewest = "open files", 4096
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return admin.Warn(check, err.Error(), "see ulimit -n")
	}
	found := fmt.Sprintf("at most %d", limit.Cur)
	if limit.Cur < fewest {
		return admin.Warn(check, found, "a health check takes one each: set LimitNOFILE=65536 in the unit")
	}
	return admin.OK(check, found)
}

// linkOf looks at an interface beside the others.
func linkOf(name string, others []string) admin.Finding {
	i, err := net.InterfaceByName(name)
	switch {
	case err != nil:
		return admin.Fail(name, "there is no such interface", "bring it back: the workers take it up by themselves")
	case i.Flags&net.FlagUp == 0:
		return admin.Fail(name, "down", "ip link set "+name+" up")
	case i.Flags&net.FlagRunning == 0:
		return admin.Fail(name, "no carrier", "see the cable and the switch")
	}
	for _, other := range others {
		if o, err := net.InterfaceByName(other); err == nil && o.MTU < i.MTU {
			return admin.Warn(name, fmt.Sprintf("MTU %d, and %s has %d", i.MTU, other, o.MTU),
				"large packets are refused or cut between the two: give them one MTU, or set mss in the services")
		}
	}
	return admin.OK(name, fmt.Sprintf("up, MTU %d", i.MTU))
}

// largeReceive: a card that merges packets into one, and cannot tell how to take
// it apart again, is not for forwarding.
func largeReceive(name string) admin.Finding {
	if flags, err := ethtoolFlags(name); err == nil && flags&flagLRO != 0 {
		return admin.Fail(name+" lro", "on: merged packets cannot be forwarded", "ethtool -K "+name+" lro off")
	}
	return admin.OK(name+" lro", "off")
}

// addresses: a kernel that has a VIP answers for it, and with resets once the
// director is gone.
func addresses(c *config.Config, own config.Host) (all []admin.Finding) {
	bad := func(a netip.Addr, what string) {
		all = append(all, admin.Fail("address "+a.String(), "on an interface of this host, and "+what, fmt.Sprintf("ip address del %s", a)))
	}
	for _, a := range own.Addresses {
		if i := slices.IndexFunc(c.Services, func(s config.Service) bool { return s.HasVIP(a) }); i >= 0 {
			bad(a, "the VIP of "+c.Services[i].Name)
		}
		for _, block := range c.Fullnat.LocalAddresses {
			if block.Contains(a) {
				bad(a, "in the block of local addresses "+block.String())
			}
		}
	}
	if all == nil {
		all = append(all, admin.OK("addresses", "no VIP and no local address is on an interface"))
	}
	return all
}
