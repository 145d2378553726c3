package offload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Of the kernel's generic netlink family "netdev", which tells since Linux 6.3
// what XDP an interface can do.
const (
	netdevGet      = 1 // NETDEV_CMD_DEV_GET
	netdevIndex    = 1 // NETDEV_A_DEV_IFINDEX
	netdevFeatures = 3 // NETDEV_A_DEV_XDP_FEATURES
)

// features is a set of NETDEV_XDP_ACT_*.
type features uint64

const (
	basic    features = 1 << 0 // runs programs in its driver
	transmit features = 1 << 2 // sends frames that a program redirects to it
)

var errUntold = errors.New("this kernel does not tell what XDP its interfaces can do: Linux 6.3 does")

// A genl is the header of a generic netlink message: command and version. That of
// package nl leaves chance in the two bytes after them, which must be zero.
type genl [nl.SizeofGenlmsg]byte

func (g genl) Len() int          { return len(g) }
func (g genl) Serialize() []byte { return g[:] }

// featuresOf asks the kernel about an interface of the calling thread's network
// namespace.
func featuresOf(index int) (features, error) {
	family, err := netlink.GenlFamilyGet("netdev")
	if err != nil {
		return 0, errUntold
	}
	request := nl.NewNetlinkRequest(int(family.ID), 0)
	request.AddData(genl{netdevGet, 1})
	request.AddData(nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(index))))
	answers, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, err
	}
	for _, a := range answers {
		if len(a) < nl.SizeofGenlmsg {
			continue
		}
		attributes, err := nl.ParseRouteAttr(a[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, err
		}
		for _, at := range attributes {
			if at.Attr.Type == netdevFeatures && len(at.Value) >= 8 {
				return features(binary.NativeEndian.Uint64(at.Value)), nil
			}
		}
	}
	return 0, errUntold
}

// driverOf names what drives an interface.
func driverOf(name string) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "unknown"
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	if err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(info.Driver[:])
}

// near says whether the other end of such an interface is software: its frames
// may be large, and owe checksums.
func near(driver string) bool {
	return slices.Contains([]string{"veth", "tun", "virtio_net", "vif", "netkit"}, driver)
}

// turns says whether a frame that a program has a driver send back (XDP_TX)
// reaches the other end. A veth's wakes only if it runs a program itself: GRO
// is enough for frames that are redirected to the veth, not for these.
func turns(driver string) bool { return driver != "veth" }

// deaf says why frames that a program sends to an interface would be lost.
func deaf(name, driver string, has features) error {
	switch {
	case has&transmit != 0:
		return nil
	case driver == "veth":
		return fmt.Errorf("interface %s: its peer takes no frames from a driver: ethtool -K PEER gro on", name)
	}
	return fmt.Errorf("interface %s: driver %s sends no frames for a program", name, driver)
}
