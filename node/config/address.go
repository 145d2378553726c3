package config

import (
	"net/netip"
	"strconv"
	"strings"
)

func readAddr(raw any) (netip.Addr, string) {
	s, ok := raw.(string)
	if !ok {
		return netip.Addr{}, wrongType
	}
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil && looksLikeAddrPort(s):
		return netip.Addr{}, show(s) + ` has a port; want the address alone`
	case err != nil:
		return netip.Addr{}, wrongForm
	case a.Zone() != "":
		return netip.Addr{}, show(s) + ` has a zone; want an address that is good everywhere`
	case a.Is4In6():
		return netip.Addr{}, show(s) + ` is an IPv4 address in disguise; did you mean "` + a.Unmap().String() + `"?`
	}
	return a, ""
}

func looksLikeAddrPort(s string) bool {
	_, err := netip.ParseAddrPort(s)
	return err == nil
}

// readAddrPort complains about the port by itself, so that the sentence says
// which number is wrong.
func readAddrPort(raw any) (netip.AddrPort, string) {
	s, ok := raw.(string)
	if !ok {
		return netip.AddrPort{}, wrongType
	}
	host, port, bracketed := s, "", false
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i+1:]
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host, bracketed = host[1:len(host)-1], true
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPort{}, noPort
	}
	a, err := netip.ParseAddr(host)
	switch {
	case err != nil || a.Is6() != bracketed:
		return netip.AddrPort{}, wrongForm
	case a.Zone() != "":
		return netip.AddrPort{}, show(s) + ` has a zone; want an address that is good everywhere`
	case a.Is4In6():
		return netip.AddrPort{}, show(s) + ` is an IPv4 address in disguise; did you mean "` + a.Unmap().String() + ":" + port + `"?`
	}
	n, complaint := readPort(port)
	return netip.AddrPortFrom(a, n), complaint
}

// readPort lets 0 pass: it means something for some keys, and for the others the
// decoder refuses it.
func readPort(s string) (uint16, string) {
	n, err := strconv.ParseUint(s, 10, 16)
	switch {
	case err == nil:
		return uint16(n), ""
	case !digits(s):
		return 0, "port " + show(s) + " is not a number"
	}
	return 0, "port " + s + " is not between 1 and 65535"
}

func digits(s string) bool {
	return s != "" && len(s) < 20 && strings.Trim(s, "0123456789") == ""
}

// readPrefix takes a single address for the prefix that holds just it.
func readPrefix(raw any) (netip.Prefix, string) {
	s, ok := raw.(string)
	if !ok {
		return netip.Prefix{}, wrongType
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, wrongForm
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	switch {
	case p.Addr().Is4In6():
		return netip.Prefix{}, show(s) + ` is an IPv4 prefix in disguise; write it as IPv4`
	case p != p.Masked():
		return netip.Prefix{}, show(s) + ` does not begin where its block does; did you mean "` + p.Masked().String() + `"?`
	}
	return p, ""
}

var reserved4 = netip.MustParsePrefix("240.0.0.0/4")

// odd says why packets cannot be sent to the address from afar; "" when they
// can.
func odd(a netip.Addr) string {
	switch {
	case a.IsUnspecified() || a.Is4() && a.As4()[0] == 0:
		return "is nobody's address"
	case a.IsMulticast():
		return "is a multicast address"
	case a.IsLoopback():
		return "is a loopback address"
	case a.IsLinkLocalUnicast():
		return "is a link-local address"
	case reserved4.Contains(a):
		return "is a reserved address"
	}
	return ""
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}
