package bgp

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*Config, *Neighbor)
		want  string // "": nothing is wrong
	}{
		{"all is well", func(*Config, *Neighbor) {}, ""},
		{"no asn", func(c *Config, _ *Neighbor) { c.ASN = 0 }, "bgp: asn 0 is reserved"},
		{"an IPv6 router id", func(c *Config, _ *Neighbor) { c.RouterID = netip.MustParseAddr("::1") }, "bgp: router id ::1 is not an IPv4 address"},
		{"no router id", func(c *Config, _ *Neighbor) { c.RouterID = netip.Addr{} }, "bgp: router id invalid IP is not an IPv4 address"},
		{"a neighbour twice", func(c *Config, n *Neighbor) { c.Neighbors = append(c.Neighbors, *n) }, "bgp: neighbor 10.1.0.1: given twice"},
		{"a neighbour without an asn", func(_ *Config, n *Neighbor) { n.ASN = 0 }, "bgp: neighbor 10.1.0.1: asn 0 is reserved"},
		{"a local address of the other family", func(_ *Config, n *Neighbor) { n.LocalAddress = netip.MustParseAddr("2001:db8::1") }, "bgp: neighbor 10.1.0.1: local address 2001:db8::1 is of the other family"},
		{"a hold time too short", func(_ *Config, n *Neighbor) { n.HoldTime = time.Second }, "bgp: neighbor 10.1.0.1: hold time 1s is not between 3s and 65535s"},
		{"a hold time of fractions", func(_ *Config, n *Neighbor) { n.HoldTime = 3500 * time.Millisecond }, "bgp: neighbor 10.1.0.1: hold time 3.5s is not in whole seconds"},
		{"a retry of fractions", func(_ *Config, n *Neighbor) { n.ConnectRetry = time.Millisecond }, "bgp: neighbor 10.1.0.1: connect retry 1ms is not in whole seconds"},
		{"a password too long", func(_ *Config, n *Neighbor) { n.Password = strings.Repeat("x", 81) }, "bgp: neighbor 10.1.0.1: password is longer than 80 bytes"},
		{"gtsm and multihop", func(_ *Config, n *Neighbor) { n.TTLSecurity, n.Multihop = 1, 2 }, "bgp: neighbor 10.1.0.1: ttl security and multihop exclude each other"},
		{"gtsm beyond the ttl", func(_ *Config, n *Neighbor) { n.TTLSecurity = 255 }, "bgp: neighbor 10.1.0.1: ttl security of 255 hops is not between 1 and 254"},
		{"multihop iBGP", func(c *Config, n *Neighbor) { n.ASN, n.Multihop = c.ASN, 2 }, "bgp: neighbor 10.1.0.1: multihop is for a neighbour of another asn"},
		{"prepend iBGP", func(c *Config, n *Neighbor) { n.ASN, n.Prepend = c.ASN, 2 }, "bgp: neighbor 10.1.0.1: prepend is for a neighbour of another asn: inside one, a path with our own asn is a loop"},
		{"an IPv6 next hop for IPv4", func(_ *Config, n *Neighbor) { n.NextHop4 = netip.MustParseAddr("::2") }, "bgp: neighbor 10.1.0.1: next hop ::2 is not an IPv4 address"},
		{"no community", func(_ *Config, n *Neighbor) { n.Communities = []string{"blackhole", "65000"} }, `bgp: neighbor 10.1.0.1: community "65000" is not two numbers up to 65535 as in "65000:100"`},
		{"a mark of our own", func(_ *Config, n *Neighbor) { n.Communities = []string{"65535:64513"} }, `bgp: neighbor 10.1.0.1: community "65535:64513" is reserved`},
		{"no large community", func(_ *Config, n *Neighbor) { n.LargeCommunities = []string{"1:2"} }, `bgp: neighbor 10.1.0.1: large community "1:2" is not three numbers as in "65000:1:2"`},
		{"all faults are told", func(c *Config, n *Neighbor) { c.ASN, n.ASN = 0, 0 }, "bgp: asn 0 is reserved\nbgp: neighbor 10.1.0.1: asn 0 is reserved"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{ASN: 65001, RouterID: netip.MustParseAddr("10.1.0.11"),
				Neighbors: []Neighbor{{Address: netip.MustParseAddr("10.1.0.1"), ASN: 65000}}}
			tt.spoil(&c, &c.Neighbors[0])
			got := ""
			if err := c.Check(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestCheckRoutes(t *testing.T) {
	prefix := netip.MustParsePrefix
	tests := []struct {
		routes []Route
		want   string
	}{
		{nil, ""},
		{[]Route{{Prefix: prefix("203.0.113.10/32")}, {Prefix: prefix("2001:db8::/124")}}, ""},
		{[]Route{{}}, "bgp: route invalid Prefix: not a prefix"},
		{[]Route{{Prefix: prefix("10.2.1.1/28")}}, "bgp: route 10.2.1.1/28: has host bits set; did you mean 10.2.1.0/28?"},
		{[]Route{{Prefix: prefix("10.2.1.0/28"), Prepend: 17}}, "bgp: route 10.2.1.0/28: prepend 17 is not between 0 and 16"},
		{[]Route{{Prefix: prefix("10.2.1.0/28")}, {Prefix: prefix("10.2.1.0/28"), MED: 1}}, "bgp: route 10.2.1.0/28: given twice"},
		{[]Route{{Prefix: prefix("10.2.1.0/28"), Communities: []string{"none"}}}, `bgp: route 10.2.1.0/28: community "none" is not two numbers up to 65535 as in "65000:100"`},
	}
	for _, tt := range tests {
		got := ""
		if err := checkRoutes(tt.routes); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%v\ngot  %q\nwant %q", tt.routes, got, tt.want)
		}
	}
}

// What is read is numbers between colons, and comes back when it is written.
func FuzzCommunity(f *testing.F) {
	for _, seed := range []string{"65000:100", "0:0", "65535:65535", "65536:1", "1:2:3", "4294967295:0:1", "no-export", "", ":", "-1:2", "+1:2", "1:2 ", "0x1:2", "00:01"} {
		f.Add(seed)
	}
	canonical := regexp.MustCompile(`^\d+(:\d+){1,2}$`)
	zeros := regexp.MustCompile(`\b0+(\d)`)
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if c, err := parseCommunity(s); err == nil {
			if _, named := wellKnown[s]; named {
				return
			}
			got = fmt.Sprintf("%d:%d", c>>16, c&0xffff)
		} else if c, err := parseLargeCommunity(s); err == nil {
			got = fmt.Sprintf("%d:%d:%d", c[0], c[1], c[2])
		} else {
			return
		}
		if !canonical.MatchString(s) || got != zeros.ReplaceAllString(s, "$1") {
			t.Errorf("%q is read as %s", s, got)
		}
	})
}

func TestListenPort(t *testing.T) {
	passive := []Neighbor{{}, {Passive: true}}
	tests := []struct {
		port      uint16
		neighbors []Neighbor
		want      int
	}{
		{0, nil, -1}, {1790, nil, -1}, {0, passive, 179}, {1790, passive, 1790},
	}
	for _, tt := range tests {
		if got := (&Config{ListenPort: tt.port, Neighbors: tt.neighbors}).listenPort(); got != tt.want {
			t.Errorf("port %d, passive %v: listens on %d, want %d", tt.port, tt.neighbors != nil, got, tt.want)
		}
	}
}

func TestReword(t *testing.T) {
	tests := []struct{ reason, want string }{
		{"notification-received code 6(cease) subcode 4(administrative reset)", "received cease: administrative reset"},
		{"notification-sent code 4(hold timer expired) subcode 0(undefined)", "sent hold timer expired"},
		{"notification-received code 3(update) subcode 11(sub malformed as path)", "received update: sub malformed as path"},
		{"read-failed", "connection closed by the neighbor"},
		{"something new", "something new"},
	}
	for _, tt := range tests {
		if got := reword(tt.reason); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.reason, got, tt.want)
		}
	}
}

func TestRemember(t *testing.T) {
	a := netip.MustParseAddr("10.1.0.1")
	before := []NeighborStatus{{Address: a, LastError: "speaker: died"}}
	now := remember(before, []NeighborStatus{{Address: a, State: Established}})
	if got := now[0]; got.LastError != "speaker: died" || got.State != Established {
		t.Errorf("after a new child: %+v", got)
	}
	now = remember(now, []NeighborStatus{{Address: a, LastError: "hold timer expired"}})
	if got := now[0].LastError; got != "hold timer expired" {
		t.Errorf("last error %q", got)
	}
	if now = remember(now, nil); len(now) != 0 {
		t.Errorf("a neighbour that is no longer configured: %+v", now)
	}
}
