package fullnat

import (
	"fmt"
	"testing"
)

// A talk is a conversation of one client with one server, of any protocol and
// family, as each end sees it.
type talk struct {
	name                       string
	protocol                   string
	client, vip, local, server string // local is that of lb1
}

var talks = []talk{
	{"TCP", "tcp", "198.51.100.7:4711", "203.0.113.80:443", "10.9.1.1:5235", "10.0.0.11:8443"},
	{"UDP", "udp", "198.51.100.7:4711", "203.0.113.53:53", "10.9.1.1:5238", "10.0.0.11:5353"},
	{"TCP over IPv6", "tcp", "[2001:db8:7::7]:4711", "[2001:db8::80]:443", "[2001:db8:9:1::1]:5154", "[fd00::11]:8443"},
	{"UDP over IPv6", "udp", "[2001:db8:7::7]:4711", "[2001:db8::53]:53", "[2001:db8:9:1::1]:5257", "[fd00::11]:5353"},
}

// talkServices are theirs.
var talkServices = []string{
	"vip 203.0.113.80:443 → 10.0.0.11:8443",
	"udp 203.0.113.53:53 → 10.0.0.11:5353",
	"vip [2001:db8::80]:443 → [fd00::11]:8443",
	"udp [2001:db8::53]:53 → [fd00::11]:5353",
}

// inbound is a leg of the client's packet, outbound one of the server's. rest is
// what follows the TTL: of TCP the numbers, of both the length.
func (k *talk) inbound(name string, at int, flags, rest string) leg {
	return leg{name, at,
		fmt.Sprintf("%s %s > %s%s ttl 64%s", k.protocol, k.client, k.vip, k.only(flags), k.only(rest)),
		fmt.Sprintf("%s %s > %s%s ttl 63%s", k.protocol, k.local, k.server, k.only(flags), k.only(rest)), "forwarded"}
}

func (k *talk) outbound(name string, at int, flags, rest string) leg {
	return leg{name, at,
		fmt.Sprintf("eth1 %s %s > %s%s ttl 64%s", k.protocol, k.server, k.local, k.only(flags), k.only(rest)),
		fmt.Sprintf("%s %s > %s%s ttl 63%s", k.protocol, k.vip, k.client, k.only(flags), k.only(rest)), "forwarded"}
}

// only is what TCP has and UDP has not.
func (k *talk) only(s string) string {
	switch {
	case s == "":
		return ""
	case k.protocol == "udp":
		return ""
	}
	return " " + s
}

// begin has the talk established by lb1.
func (r *rig) begin(k *talk) {
	r.Helper()
	r.converse([]leg{
		k.inbound("SYN", 0, "S", "seq 1000"),
		k.outbound("SYN-ACK", 0, "SA", "seq 5000 ack 1001"),
		k.inbound("ACK", 0, "A", "seq 1001 ack 5001"),
	})
}

// Connections move between directors in every way, with their home alive or gone.
func TestMoves(t *testing.T) {
	for _, k := range talks {
		for _, alive := range []bool{true, false} {
			for _, way := range []string{"inbound", "outbound", "both"} {
				t.Run(fmt.Sprintf("%s/%s/home alive %v", k.name, way, alive), func(t *testing.T) {
					r := newRig(t, 3, talkServices...)
					r.begin(&k)
					in, out := 0, 0
					switch {
					case way == "inbound":
						in, out = 1, 0
					case way == "outbound":
						in, out = 0, 1
					default:
						in, out = 1, 2
					}
					if !alive {
						r.kill(0)
						in, out = max(in, 1), max(out, 1)
					}
					for i := range 3 {
						r.converse([]leg{
							k.inbound("a request", in, "PA", fmt.Sprintf("seq %d ack %d len 99", 1001+99*i, 5001+500*i)),
							k.outbound("its answer", out, "PA", fmt.Sprintf("seq %d ack %d len 500", 5001+500*i, 1100+99*i)),
						})
					}
					r.converse([]leg{
						k.outbound("or the other way about", in, "A", "seq 6501 ack 1298"),
						k.inbound("it makes no difference", out, "A", "seq 1298 ack 6501"),
					})
				})
			}
		}
	}
}
