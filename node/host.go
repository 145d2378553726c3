package node

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

// examineHost looks at what the host is set to do beside the director.
func examineHost(c *config.Config, host config.Host) []admin.Finding {
	all := []admin.Finding{openFiles(), receiveBuffer(), conntrack()}
	for _, name := range c.Node.Interfaces {
		all = append(all, linkOf(name, c.Node.Interfaces), largeReceive(name),
			silence("net/ipv4/conf/"+name+"/forwarding", "the kernel forwards to servers and routers what the director has forwarded already"),
			silence("net/ipv6/conf/"+name+"/forwarding", "the kernel forwards to servers and routers what the director has forwarded already"),
			silence("net/ipv4/conf/"+name+"/proxy_arp", "the kernel answers ARP for addresses that are the director's"),
			silence("net/ipv6/conf/"+name+"/proxy_ndp", "the kernel answers neighbour solicitations for addresses that are the director's"),
			pathFilter(name))
	}
	return append(all, ownAddresses(c, host)...)
}

// sysctl reads a setting, "" where the kernel has none.
func sysctl(name string) string {
	value, err := os.ReadFile(filepath.Join("/proc/sys", name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(value))
}

// silence wants a setting off that would have the kernel take part.
func silence(name, harm string) admin.Finding {
	value := sysctl(name)
	if value == "" || value == "0" {
		return ok(name, "0")
	}
	return fail(name, value+": "+harm, "sysctl -w "+name+"=0") // sysctl takes slashes, and an interface may have dots
}

// pathFilter: a strict reverse path filter loses what a server or a router
// answers to the host itself by another way. The larger of two settings holds.
func pathFilter(name string) admin.Finding {
	setting := "net/ipv4/conf/" + name + "/rp_filter"
	if max(sysctl("net/ipv4/conf/all/rp_filter"), sysctl(setting)) == "1" {
		return warn(setting, "1: answers to health checks and BGP that come by another interface are lost", "sysctl -w "+setting+"=2 if any do")
	}
	return ok(setting, "not strict")
}

// linkOf looks at an interface beside the others.
func linkOf(name string, others []string) admin.Finding {
	i, err := net.InterfaceByName(name)
	switch {
	case err != nil:
		return fail(name, "there is no such interface", "bring it back: the workers take it up by themselves")
	case i.Flags&net.FlagUp == 0:
		return fail(name, "down", "ip link set "+name+" up")
	case i.Flags&net.FlagRunning == 0:
		return fail(name, "no carrier", "see the cable and the switch")
	}
	for _, other := range others {
		if o, err := net.InterfaceByName(other); err == nil && o.MTU < i.MTU {
			return warn(name, fmt.Sprintf("MTU %d, and %s has %d", i.MTU, other, o.MTU),
				"large packets are refused or cut between the two: give them one MTU, or set mss in the services")
		}
	}
	return ok(name, fmt.Sprintf("up, MTU %d", i.MTU))
}

// largeReceive: a card that merges packets into one, and cannot tell how to take
// it apart again, is not for forwarding.
func largeReceive(name string) admin.Finding {
	if flags, err := ethtoolFlags(name); err == nil && flags&flagLRO != 0 {
		return fail(name+" lro", "on: merged packets cannot be forwarded", "ethtool -K "+name+" lro off")
	}
	return ok(name+" lro", "off")
}

// conntrack: a full table of tracked connections drops the host's own packets,
// health checks and BGP among them.
func conntrack() admin.Finding {
	const name = "net/netfilter/nf_conntrack_max"
	most, err1 := strconv.Atoi(sysctl(name))
	tracked, err2 := strconv.Atoi(sysctl("net/netfilter/nf_conntrack_count"))
	if err1 != nil || err2 != nil || tracked*2 < most {
		return ok("conntrack", "not in the way")
	}
	return warn("conntrack", fmt.Sprintf("the kernel tracks %d of at most %d connections; beyond that it drops health checks and BGP", tracked, most),
		"have the firewall not track what goes to VIPs and local addresses (nft: notrack), or raise "+name)
}

// ownAddresses: a kernel that has a VIP answers for it, and with resets once the
// director is gone.
func ownAddresses(c *config.Config, host config.Host) (all []admin.Finding) {
	bad := func(a netip.Addr, what string) {
		all = append(all, fail("address "+a.String(), "on an interface of this host, and "+what, fmt.Sprintf("ip address del %s", a)))
	}
	for _, a := range host.Addresses {
		if i := slices.IndexFunc(c.Services, func(s config.Service) bool { return s.VIP.Addr() == a }); i >= 0 {
			bad(a, "the VIP of "+c.Services[i].Name)
		}
		for _, block := range c.Fullnat.LocalAddresses {
			if block.Contains(a) {
				bad(a, "in the block of local addresses "+block.String())
			}
		}
	}
	if all == nil {
		all = append(all, ok("addresses", "no VIP and no local address is on an interface"))
	}
	return all
}

func openFiles() admin.Finding {
	const check, fewest = "open files", 4096
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return warn(check, err.Error(), "see ulimit -n")
	}
	if limit.Cur < fewest {
		return warn(check, fmt.Sprintf("at most %d", limit.Cur), "a health check takes one each: set LimitNOFILE=65536 in the unit")
	}
	return ok(check, fmt.Sprintf("at most %d", limit.Cur))
}

// receiveBuffer is what a burst may fill before a worker comes round. Root may
// exceed the setting.
func receiveBuffer() admin.Finding {
	const check, least = "net/core/rmem_max", 8 << 20
	value := sysctl(check)
	if n, err := strconv.Atoi(value); err == nil && n < least && os.Geteuid() != 0 {
		return warn(check, value+": bursts are lost", fmt.Sprintf("sysctl -w %s=%d", check, 32<<20))
	}
	return ok(check, value)
}
