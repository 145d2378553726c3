package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPrintAndRead: for any valid Config, what Marshal writes loads as an equal
// one, and writing that again gives the same bytes.
func TestPrintAndRead(t *testing.T) {
	dir := t.TempDir()
	path, key := filepath.Join(dir, "lb.toml"), filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t, key)
		text := Marshal(c)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Load(path, Host{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !c.Equal(d) {
			t.Fatalf("%v\n%s", Diff(c, d), text)
		}
		d.Files = nil
		if again := Marshal(d); string(again) != string(text) {
			t.Fatalf("printed\n%s\nand then\n%s", text, again)
		}
	})
}

// TestDiffTellsAll: two configurations without a difference are equal but for
// the order of things, and every difference is seen from both sides.
func TestDiffTellsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawConfig(t, ""), drawConfig(t, "")
		there, back := Diff(a, b), Diff(b, a)
		if (len(there) == 0) != (len(back) == 0) {
			t.Fatalf("%v\nand back\n%v", there, back)
		}
		if len(there) == 0 && !a.Equal(b) {
			t.Fatalf("no difference between\n%s\nand\n%s", Marshal(a), Marshal(b))
		}
		for _, c := range there {
			if c.Where == "" || c.Old == c.New || c.String() == "" {
				t.Fatalf("%#v", c)
			}
		}
	})
}

// drawConfig makes a valid Config. keyFile, when there is one, holds a password.
func drawConfig(t *rapid.T, keyFile string) *Config {
	c := defaultConfig("")
	c.Node.Name = rapid.StringMatching(`[a-z][a-z0-9.-]{0,20}[a-z]`).Draw(t, "name")
	c.Node.Interfaces = rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,8}[0-9]`), 1, 4, rapid.ID[string]).Draw(t, "interfaces")
	c.Fullnat.LocalAddresses = []netip.Prefix{netip.MustParsePrefix("10.2.1.0/28"), netip.MustParsePrefix("2001:db8:2::/124")}
	first := rapid.Uint16Range(1, 60000).Draw(t, "first port")
	c.Fullnat.LocalPorts = PortRange{first, rapid.Uint16Range(first+255, 65535).Draw(t, "last port")}
	fill(t, reflect.ValueOf(&c.Node).Elem(), "")
	fill(t, reflect.ValueOf(&c.Admin).Elem(), "")
	c.Dataplane.Offload = rapid.SampledFrom([]string{"auto", "off", "required"}).Draw(t, "offload")
	if rapid.Bool().Draw(t, "metrics?") {
		c.Admin.Metrics = netip.AddrPortFrom(drawAddr(t), 9590)
	}
	if rapid.Bool().Draw(t, "bgp?") {
		c.BGP = drawBGP(t, keyFile)
	}
	if rapid.Bool().Draw(t, "gossip?") {
		g := defaultGossip()
		g.Bind = netip.MustParseAddrPort("127.0.0.1:7946")
		fill(t, reflect.ValueOf(&g).Elem(), "")
		c.Gossip = &g
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "services") {
		c.Services = append(c.Services, drawService(t, i))
	}
	return c
}

func drawAddr(t *rapid.T) netip.Addr {
	n := byte(rapid.IntRange(1, 250).Draw(t, "host"))
	if rapid.Bool().Draw(t, "IPv4?") {
		return netip.AddrFrom4([4]byte{10, 1, 0, n})
	}
	return netip.AddrFrom16([16]byte{0x20, 1, 0x0d, 0xb8, 1, 15: n})
}

func drawBGP(t *rapid.T, keyFile string) *BGP {
	b := defaultBGP()
	b.ASN, b.RouterID = 65001, netip.MustParseAddr("10.1.0.255")
	fill(t, reflect.ValueOf(&b).Elem(), "")
	seen := make(map[netip.Addr]bool)
	for range rapid.IntRange(0, 3).Draw(t, "neighbors") {
		n := defaultNeighbor()
		n.Address, n.ASN = drawAddr(t), rapid.Uint32Range(1, 65000).Draw(t, "asn")
		if seen[n.Address] || n.ASN == 23456 {
			continue
		}
		seen[n.Address] = true
		fill(t, reflect.ValueOf(&n).Elem(), "")
		n.BFDInterval = n.BFDInterval.Truncate(time.Millisecond)
		n.HoldTime = n.HoldTime.Truncate(time.Second)
		n.ConnectRetry = n.ConnectRetry.Truncate(time.Second)
		n.NextHop4, n.NextHop6 = netip.MustParseAddr("10.1.0.255"), netip.MustParseAddr("2001:db8::255")
		if n.TTLSecurity > 0 {
			n.Multihop = 0
		}
		if rapid.Bool().Draw(t, "med?") {
			med := rapid.Uint32().Draw(t, "med")
			n.MED = &med
		}
		if keyFile != "" && rapid.Bool().Draw(t, "password?") {
			n.PasswordFile, n.Password = keyFile, "sesame"
		}
		if rapid.Bool().Draw(t, "communities?") {
			n.Communities, n.LargeCommunities = []string{"no-export", "1:65535"}, []string{"1:2:4294967295"}
		}
		b.Neighbors = append(b.Neighbors, n)
	}
	return &b
}

func drawService(t *rapid.T, i int) Service {
	s := defaultService(rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "protocol"))
	s.Name = fmt.Sprintf("service-%d", i)
	v6 := rapid.Bool().Draw(t, "IPv6?")
	at := func(net byte, port uint16) netip.AddrPort {
		if v6 {
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0x0d, 0xb8, 9, 15: net}), port)
		}
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, net}), port)
	}
	s.VIP = at(byte(200+i), 80)
	fill(t, reflect.ValueOf(&s).Elem(), "")
	s.Mode, s.Hysteresis, s.OnePacket, s.Tag = "fullnat", 0, false, uint32(i)
	switch rapid.IntRange(0, 3).Draw(t, "ports") {
	case 1:
		s.VIP = at(byte(200+i), 0)
	case 2:
		s.VIP, s.Ports = at(byte(200+i), 0), PortRange{100, rapid.Uint16Range(100, 65535).Draw(t, "last")}
	case 3:
		a := s.VIP.Addr()
		s.VIPs = []Listener{{a, 443, 443, ""}, {a, 0, 65535, "tcp"}, {a, 7, 9, "udp"}}
	}
	if 0 < s.MSS && s.MSS < leastMSS {
		s.MSS = leastMSS
	}
	if s.Scheduler == "mh" {
		s.SchedulerFlags = []string{"mh-port"}
	}
	s.Check = drawCheck(t)
	for k := range rapid.IntRange(0, 3).Draw(t, "servers") {
		r := defaultServer()
		r.Address = at(byte(k), uint16(1+k))
		fill(t, reflect.ValueOf(&r).Elem(), "")
		switch rapid.IntRange(0, 3).Draw(t, "own mode") {
		case 1:
			nat := "nat"
			r.Mode = &nat
		case 2:
			if s.VIP.Port() != 0 && len(s.VIPs) == 0 {
				r.Address = at(byte(k), s.VIP.Port())
				tun, gue, port, variant := "tun", "gue", rapid.Uint16Min(1).Draw(t, "tunnel_port"), rapid.IntRange(0, 1).Draw(t, "tunnel_variant")
				r.Mode, r.Tunnel, r.TunnelPort, r.TunnelVariant = &tun, &gue, &port, &variant
			}
		}
		r.LowerThreshold = min(r.LowerThreshold, r.UpperThreshold)
		if rapid.Bool().Draw(t, "own check?") {
			own := drawCheck(t)
			r.Check = &own
		}
		s.Servers = append(s.Servers, r)
	}
	s.Quorum = min(s.Quorum, len(s.Servers))
	if rapid.Bool().Draw(t, "sorry?") {
		s.SorryServer = at(99, 80)
	}
	return s
}

func drawCheck(t *rapid.T) Check {
	c := defaultCheck(rapid.SampledFrom([]string{"tcp", "http", "https", "udp", "dns", "ping", "exec", "none"}).Draw(t, "check"))
	fill(t, reflect.ValueOf(&c).Elem(), c.Type)
	text := rapid.StringN(0, 20, -1)
	switch c.Type {
	case "http", "https":
		c.Path = rapid.StringMatching(`/[a-z0-9/]{0,20}(\?[a-z=&]{0,10})?`).Draw(t, "path")
		c.Host = rapid.SampledFrom([]string{"", "example.com", "example.com:8080", "[2001:db8::1]:80"}).Draw(t, "host")
		c.Status = rapid.SliceOfN(rapid.SampledFrom([]StatusRange{{200, 200}, {200, 399}, {404, 404}}), 1, 3).Draw(t, "status")
		if c.Method != "HEAD" {
			c.Expect = text.Draw(t, "expect")
		}
	case "tcp", "udp":
		if rapid.Bool().Draw(t, "hex?") {
			c.PayloadHex, c.ExpectHex = "00ff", "ABcd"
		} else {
			c.Payload, c.Expect = text.Draw(t, "payload"), text.Draw(t, "expect")
		}
	case "dns":
		c.DNSName, c.Expect = "example.com", text.Draw(t, "expect")
	case "exec":
		c.Command = []string{"/bin/true", text.Filter(func(s string) bool { return !hasZero(s) }).Draw(t, "argument")}
		if rapid.Bool().Draw(t, "env?") {
			c.Env = map[string]string{"A": "1", "a b\"": text.Filter(func(s string) bool { return !hasZero(s) }).Draw(t, "env")}
		}
	}
	return c
}

func hasZero(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return true
		}
	}
	return false
}

// fill gives the fields that need only keep to their bounds any such value.
func fill(t *rapid.T, v reflect.Value, pick string) {
	for _, f := range fieldsOf(v.Type()) {
		if f.picks {
			pick = v.Field(f.index).String()
		}
	}
	for _, f := range fieldsOf(v.Type()) {
		x := v.Field(f.index)
		switch {
		case f.picks || f.need || !f.exists(pick) || x.Kind() == reflect.Pointer:
		case x.Kind() == reflect.Struct && element(x.Type()) == reflect.TypeFor[Timeouts]():
			fill(t, x, pick)
		case x.Kind() == reflect.Bool:
			x.SetBool(rapid.Bool().Draw(t, f.key))
		case len(f.in.words) > 0:
			x.SetString(rapid.SampledFrom(f.in.words).Draw(t, f.key))
		case f.in.ranged && x.CanInt():
			x.SetInt(rapid.Int64Range(f.in.lo, f.in.hi).Draw(t, f.key))
		case f.in.ranged && x.CanUint():
			x.SetUint(uint64(rapid.Int64Range(f.in.lo, f.in.hi).Draw(t, f.key)))
		}
	}
}
