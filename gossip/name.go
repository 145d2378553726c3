package gossip

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"fleetlb/gossip/seal"
	"fleetlb/session"
)

// A member has another name in memberlist each time it starts: its own, and when
// it did. So a restart faster than any detection is a member of its own, the one
// before dies its natural death unheeded, and no incarnation number of an
// earlier life stands in the way of a later one.

// longestName bounds a director's name, in bytes.
const longestName = 128

func lifeName(name string, boot uint64) string { return fmt.Sprintf("%s#%016x", name, boot) }

var errName = errors.New("it is not a director's name with the time of its start")

func parseLifeName(s string) (name string, boot uint64, err error) {
	i := strings.LastIndexByte(s, '#')
	if i < 1 || i > longestName || len(s)-i != 17 {
		return "", 0, errName
	}
	boot, err = strconv.ParseUint(s[i+1:], 16, 64)
	if err != nil || lifeName(s[:i], boot) != s {
		return "", 0, errName
	}
	return s[:i], boot, nil
}

// nodeOf is how messages name a director: by its name and its address. Two of
// one name are two, so neither can be taken for another life of the other.
func nodeOf(name string, address netip.AddrPort) uint64 {
	return uint64(session.NodeIDOf(name + "\x00" + plain(address).String()))
}

// lifeOf is the life of the member whom memberlist knows by this name at this
// address.
func lifeOf(name, address string) (seal.Life, error) {
	own, boot, err := parseLifeName(name)
	if err != nil {
		return seal.Life{}, err
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return seal.Life{}, err
	}
	return seal.Life{Node: nodeOf(own, a), Epoch: boot}, nil
}

// plain is an address in the one form that is compared: an IPv4 address is not
// written as IPv6.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
