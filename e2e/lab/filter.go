package lab

import (
	"context"
	"fmt"
	"time"
)

// Filter gives a host a packet filter in the words of nft(8): the rules of one
// chain each, for what comes in and for what the host itself sends. It replaces
// the one before; two empty ones remove it. Directors' packets for VIPs and
// local addresses pass by it, as they pass by the whole of the kernel's stack.
func (h *Host) Filter(in, out string) error {
	rules, err := h.WriteFile("filter.nft", fmt.Sprintf(`table inet lab
delete table inet lab
table inet lab {
	chain in { type filter hook input priority 0; %s; }
	chain out { type filter hook output priority 0; %s; }
}
`, in, out))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = h.Run(ctx, "nft", "-f", rules)
	return err
}

// LoseGossip has a director lose a share of what the fleet sends it.
func (d *Director) LoseGossip(percent int) error {
	if percent == 0 {
		return d.Host.Filter("", "")
	}
	return d.Host.Filter(fmt.Sprintf("udp dport %d numgen random mod 100 < %d drop", GossipPort, percent), "")
}

// Secede cuts a director off from the fleet and from nothing else. LoseGossip(0)
// lets it back.
func (d *Director) Secede() error {
	rule := func(side string) string {
		return fmt.Sprintf("meta l4proto { tcp, udp } th %s %d drop", side, GossipPort)
	}
	return d.Host.Filter(rule("dport")+"; "+rule("sport"), rule("dport")+"; "+rule("sport"))
}
