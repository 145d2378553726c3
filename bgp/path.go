package bgp

import (
	"net/netip"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/apiutil"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

var (
	ipv4 = &api.Family{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST}
	ipv6 = &api.Family{Afi: api.Family_AFI_IP6, Safi: api.Family_SAFI_UNICAST}
)

// exampleOf is an address of f's family.
func exampleOf(f *api.Family) netip.Addr {
	if f.Afi == api.Family_AFI_IP {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// localPref is what a route starts from that is not to be preferred less. It
// goes to iBGP neighbours only.
const localPref = 100

// newPath puts r into GoBGP's words. The unspecified next hop stands for each
// session's own local address. GoBGP itself adds our ASN once for eBGP.
func newPath(r Route) (*api.Path, error) {
	var nlri bgp.AddrPrefixInterface
	attrs := []bgp.PathAttributeInterface{
		bgp.NewPathAttributeOrigin(bgp.BGP_ORIGIN_ATTR_TYPE_IGP),
		bgp.NewPathAttributeLocalPref(uint32(localPref - r.Prepend)),
	}
	if addr, bits := r.Prefix.Addr().String(), uint8(r.Prefix.Bits()); r.Prefix.Addr().Is4() {
		nlri = bgp.NewIPAddrPrefix(bits, addr)
		attrs = append(attrs, bgp.NewPathAttributeNextHop("0.0.0.0"))
	} else {
		nlri = bgp.NewIPv6AddrPrefix(bits, addr)
		attrs = append(attrs, bgp.NewPathAttributeMpReachNLRI("::", []bgp.AddrPrefixInterface{nlri}))
	}
	if r.MED > 0 {
		attrs = append(attrs, bgp.NewPathAttributeMultiExitDisc(r.MED))
	}
	standard, large, err := communities(r)
	if err != nil {
		return nil, err
	}
	if r.Prepend > 0 {
		standard = append(standard, mark(r.Prepend))
	}
	if len(standard) > 0 {
		attrs = append(attrs, bgp.NewPathAttributeCommunities(standard))
	}
	if len(large) > 0 {
		attrs = append(attrs, bgp.NewPathAttributeLargeCommunities(large))
	}
	return apiutil.NewPath(nlri, false, attrs, time.Now())
}

func communities(r Route) (standard []uint32, large []*bgp.LargeCommunity, err error) {
	for _, s := range r.Communities {
		c, err := parseCommunity(s)
		if err != nil {
			return nil, nil, err
		}
		standard = append(standard, c)
	}
	for _, s := range r.LargeCommunities {
		c, err := parseLargeCommunity(s)
		if err != nil {
			return nil, nil, err
		}
		large = append(large, &bgp.LargeCommunity{ASN: c[0], LocalData1: c[1], LocalData2: c[2]})
	}
	return standard, large, nil
}
