package bgp

import (
	"net/netip"
	"slices"
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

// newPath puts r into GoBGP's words. The unspecified next hop stands for each
// session's own local address. GoBGP itself adds our ASN once for eBGP.
func newPath(r Route, asn uint32) (*api.Path, error) {
	var nlri bgp.AddrPrefixInterface
	attrs := []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(bgp.BGP_ORIGIN_ATTR_TYPE_IGP)}
	if addr, bits := r.Prefix.Addr().String(), uint8(r.Prefix.Bits()); r.Prefix.Addr().Is4() {
		nlri = bgp.NewIPAddrPrefix(bits, addr)
		attrs = append(attrs, bgp.NewPathAttributeNextHop("0.0.0.0"))
	} else {
		nlri = bgp.NewIPv6AddrPrefix(bits, addr)
		attrs = append(attrs, bgp.NewPathAttributeMpReachNLRI("::", []bgp.AddrPrefixInterface{nlri}))
	}
	if r.Prepend > 0 {
		again := bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, slices.Repeat([]uint32{asn}, r.Prepend))
		attrs = append(attrs, bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{again}))
	}
	if r.MED > 0 {
		attrs = append(attrs, bgp.NewPathAttributeMultiExitDisc(r.MED))
	}
	if len(r.Communities) > 0 {
		var cs []uint32
		for _, s := range r.Communities {
			c, err := parseCommunity(s)
			if err != nil {
				return nil, err
			}
			cs = append(cs, c)
		}
		attrs = append(attrs, bgp.NewPathAttributeCommunities(cs))
	}
	if len(r.LargeCommunities) > 0 {
		var cs []*bgp.LargeCommunity
		for _, s := range r.LargeCommunities {
			c, err := parseLargeCommunity(s)
			if err != nil {
				return nil, err
			}
			cs = append(cs, &bgp.LargeCommunity{ASN: c[0], LocalData1: c[1], LocalData2: c[2]})
		}
		attrs = append(attrs, bgp.NewPathAttributeLargeCommunities(cs))
	}
	return apiutil.NewPath(nlri, false, attrs, time.Now())
}
