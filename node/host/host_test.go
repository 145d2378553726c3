package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetlb/node/config"
)

// TestExamine sets a machine up, as far as files go, and reads what is found.
func TestExamine(t *testing.T) {
	const (
		forwarding = "fail net/ipv4/conf/eth0.7/forwarding: 1: the kernel forwards to servers and routers what the director has forwarded already, and answers of mode nat in the servers' own name → sysctl -w net/ipv4/conf/eth0.7/forwarding=0"
		strict     = "warn net/ipv4/conf/eth0.7/rp_filter: 1: answers to health checks and BGP that come by another interface are lost → sysctl -w net/ipv4/conf/eth0.7/rp_filter=2 if any do"
	)
	tests := []struct {
		name string
		set  string // "file value", separated by commas
		own  string // addresses of the machine
		want string
	}{
		{"a machine as it should be", "net/ipv4/conf/eth0.7/forwarding 0", "10.1.0.11", ""},
		{"a router", "net/ipv4/conf/eth0.7/forwarding 1", "", forwarding},
		{"a router that is kept from what is not its own", "guarded, net/ipv4/conf/eth0.7/forwarding 1", "", ""},
		{"a proxy", "net/ipv6/conf/eth0.7/proxy_ndp 1", "",
			"fail net/ipv6/conf/eth0.7/proxy_ndp: 1: the kernel answers neighbour solicitations for addresses that are the director's → sysctl -w net/ipv6/conf/eth0.7/proxy_ndp=0"},
		{"a strict path filter", "net/ipv4/conf/eth0.7/rp_filter 1, net/ipv4/conf/all/rp_filter 0", "", strict},
		{"on all interfaces", "net/ipv4/conf/all/rp_filter 1", "", strict},
		{"loose beats strict", "net/ipv4/conf/eth0.7/rp_filter 1, net/ipv4/conf/all/rp_filter 2", "", ""},
		{"half of what can be tracked", "net/netfilter/nf_conntrack_max 1000, net/netfilter/nf_conntrack_count 500", "",
			"warn conntrack: the kernel tracks 500 of at most 1000 connections; beyond that it drops health checks and BGP → " +
				"have the firewall not track what goes to VIPs and local addresses (nft: notrack), or raise net/netfilter/nf_conntrack_max"},
		{"a VIP on an interface", "", "203.0.113.10",
			"fail address 203.0.113.10: on an interface of this host, and the VIP of web → ip address del 203.0.113.10"},
		{"a local address on an interface", "", "10.2.1.3",
			"fail address 10.2.1.3: on an interface of this host, and in the block of local addresses 10.2.1.0/28 → ip address del 10.2.1.3"},
	}
	c := &config.Config{
		Node:     config.Node{Interfaces: []string{"eth0.7"}},
		Fullnat:  config.Fullnat{LocalAddresses: []netip.Prefix{netip.MustParsePrefix("10.2.1.0/28")}},
		Services: []config.Service{{Name: "web", VIP: netip.MustParseAddrPort("203.0.113.10:80")}, {Name: "tls", VIP: netip.MustParseAddrPort("203.0.113.10:443")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proc := t.TempDir()
			unguarded := errors.New("needs eBPF")
			if rest, guarded := strings.CutPrefix(tt.set, "guarded,"); guarded {
				tt.set, unguarded = rest, nil
			}
			for setting := range strings.SplitSeq(tt.set, ",") {
				name, value, _ := strings.Cut(strings.TrimSpace(setting), " ")
				if name == "" {
					continue
				}
				path := filepath.Join(proc, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(value+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var own config.Host
			if tt.own != "" {
				own.Addresses = append(own.Addresses, netip.MustParseAddr(tt.own))
			}
			var got []string
			for _, f := range examine(c, own, unguarded, proc) {
				if f.State != "ok" && f.Check != "eth0.7" && f.Check != "open files" {
					got = append(got, fmt.Sprintf("%s %s: %s → %s", f.State, f.Check, f.Found, f.Advice))
				}
			}
			if s := strings.Join(got, "\n"); s != tt.want {
				t.Errorf("got\n%s\nwant\n%s", s, tt.want)
			}
		})
	}
}

// TestThisMachine: whatever is found here, what is not well has advice.
func TestThisMachine(t *testing.T) {
	own, err := config.ThisHost()
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{Node: config.Node{Interfaces: append(own.Interfaces, "none0")}}
	for _, f := range Examine(c, own, nil) {
		if f.State != "ok" && f.Advice == "" {
			t.Errorf("%s: %s: no advice", f.Check, f.Found)
		}
		if f.Check == "none0" && f.State != "fail" {
			t.Errorf("an interface that is not there: %+v", f)
		}
	}
}
