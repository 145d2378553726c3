package lab

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Neighbor returns the link-layer address at which the host believes an address
// to be, "" if it believes nothing.
func (h *Host) Neighbor(address string) (mac string, err error) {
	entries, err := h.neighbors(address)
	for _, e := range entries {
		if e.State&(netlink.NUD_FAILED|netlink.NUD_INCOMPLETE) == 0 {
			mac = e.HardwareAddr.String()
		}
	}
	return mac, err
}

// Forget has the host ask for an address anew.
func (h *Host) Forget(address string) error {
	entries, err := h.neighbors(address)
	for _, e := range entries {
		if err := h.net.NeighDel(&e); err != nil {
			return fmt.Errorf("%s: forget neighbour %s: %w", h.Name, address, err)
		}
	}
	return err
}

func (h *Host) neighbors(address string) (found []netlink.Neigh, err error) {
	want, err := netip.ParseAddr(address)
	if err != nil {
		return nil, err
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		all, err := h.net.NeighList(0, family)
		if err != nil {
			return nil, fmt.Errorf("%s: neighbours: %w", h.Name, err)
		}
		for _, e := range all {
			if ip, ok := netip.AddrFromSlice(e.IP); ok && ip.Unmap() == want {
				found = append(found, e)
			}
		}
	}
	return found, nil
}
