package service

import "fmt"

// A Mode is how packets reach a server. The zero Mode is none.
type Mode uint8

const (
	FULLNAT Mode = 1 + iota // both addresses and ports replaced
	NAT                     // destination replaced; the server's gateway is the director
	DR                      // link-layer destination replaced; replies bypass the director
	TUN                     // inside another IP packet; replies bypass the director
)

var modes = [...]string{FULLNAT: "fullnat", NAT: "nat", DR: "dr", TUN: "tun"}

func (m Mode) String() string {
	if m.known() {
		return modes[m]
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

func (m Mode) known() bool { return m >= FULLNAT && int(m) < len(modes) }

// ParseMode is the inverse of String.
func ParseMode(s string) (Mode, error) {
	for m := FULLNAT; int(m) < len(modes); m++ {
		if modes[m] == s {
			return m, nil
		}
	}
	return 0, fmt.Errorf("mode %q: unknown; there are fullnat, nat, dr, tun", s)
}

// A Tunnel is what packets of mode TUN travel in. The zero Tunnel is IP in IP.
type Tunnel struct {
	Port    uint16 // at which the server takes GUE; 0: no UDP
	Variant uint8  // of GUE: 0 or 1
}

func (t Tunnel) String() string {
	if t.Port == 0 {
		return "ipip"
	}
	return fmt.Sprintf("gue variant %d at port %d", t.Variant, t.Port)
}

// mapsPorts says whether a server may listen on another port than the VIP's:
// only if the mode rewrites the packet.
func (m Mode) mapsPorts() bool { return m == FULLNAT || m == NAT }

// crossesFamilies says whether a server may be of the other address family:
// only if the packet travels inside another.
func (m Mode) crossesFamilies() bool { return m == TUN }
