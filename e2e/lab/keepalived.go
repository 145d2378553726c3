package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Keepalived is the other router of a LAN: keepalived with VRRP version 3, one
// instance for each family.
type Keepalived struct {
	Host      *Host
	Interface string
	ID        int
	Priority  int
	Interval  string // seconds, as it wants them
	NoPreempt bool
	VIPs      []string // prefixes, "10.3.0.80/24"

	Process *Process
}

// Start starts it; it begins as backup.
func (k *Keepalived) Start() (err error) {
	var text strings.Builder
	text.WriteString("global_defs {\n vrrp_version 3\n}\n")
	for i, vip := range k.VIPs {
		more := ""
		if k.NoPreempt {
			more = " nopreempt\n"
		}
		fmt.Fprintf(&text, "vrrp_instance lan%d {\n state BACKUP\n interface %s\n virtual_router_id %d\n priority %d\n advert_int %s\n%s virtual_ipaddress {\n  %s\n }\n}\n",
			i, k.Interface, k.ID, k.Priority, k.Interval, more, vip)
	}
	file, err := k.Host.WriteFile("keepalived.conf", text.String())
	if err != nil {
		return err
	}
	k.Process, err = k.Host.Start("keepalived", "keepalived", "-n", "-l", "-D", "-P", "-f", file,
		"-p", k.Host.File("keepalived.pid"), "-r", k.Host.File("vrrp.pid"))
	return err
}

// Die is the death of the whole host: it falls silent at once. What the program
// leaves behind is removed, as nobody is left to answer for it.
func (k *Keepalived) Die() error {
	port := k.Host.Ports[0]
	if err := port.Unplug(); err != nil {
		return err
	}
	k.Process.Kill() // its child ends with it, and takes the addresses away
	return Await(10*time.Second, "the dead keepalived's addresses to go", func() error {
		for _, vip := range k.VIPs {
			if k.Holds(netip.MustParsePrefix(vip).Addr()) {
				return fmt.Errorf("it has %s", vip)
			}
		}
		return nil
	})
}

// Revive is the host back again, with nothing running.
func (k *Keepalived) Revive() error { return k.Host.Ports[0].Plug() }

// Holds says whether the host has an address.
func (k *Keepalived) Holds(a netip.Addr) bool {
	link, err := k.Host.Ports[0].link()
	if err != nil {
		return false
	}
	all, _ := k.Host.net.AddrList(link, 0)
	for _, have := range all {
		if ip, ok := netip.AddrFromSlice(have.IP); ok && ip.Unmap() == a {
			return true
		}
	}
	return false
}
