package bgptest

import (
	"net/netip"
	"time"
)

// Config is a peer's identity and whom it listens to.
type Config struct {
	ASN       uint32
	RouterID  netip.Addr
	Listen    []netip.Addr  // none: every address
	Port      uint16        // 0: 179
	HoldTime  time.Duration // whole seconds; 0: 9 s
	Neighbors []Neighbor
	Install   bool          // put what is learned into the main routing table,
	Resilient bool          // over resilient groups of next hops: who leaves moves nobody else's flows
	BFD       time.Duration // interval of BFD with every neighbour, three of which may be missed; 0: none
}

// Neighbor is who may connect, or, given a port, who is connected to.
type Neighbor struct {
	Prefix   netip.Prefix // one address, or everybody in a network
	ASN      uint32       // 0: any
	Password string       // TCP-MD5
	MinTTL   int          // GTSM: the least TTL accepted, 255 for next door; 0: off
	Multihop bool         // eBGP with a TTL above 1
	Connect  uint16       // port to connect to; 0: wait to be connected to
}

// Route is one neighbour's path to one prefix.
type Route struct {
	Prefix           netip.Prefix
	From             netip.Addr
	NextHop          netip.Addr
	Path             []uint32 `json:",omitempty"`
	MED              *uint32  `json:",omitempty"`
	LocalPref        *uint32  `json:",omitempty"`
	Communities      []string `json:",omitempty"` // "65000:100"
	LargeCommunities []string `json:",omitempty"` // "65000:1:2"
}

// Session is what became of the sessions with one neighbour.
type Session struct {
	Neighbor netip.Addr
	Up       bool
	Count    int // how often it has come up
}

// State is all a peer knows.
type State struct {
	Done       int    // commands carried out
	Fault      string `json:",omitempty"` // of the last command
	TableFault string `json:",omitempty"` // what could not be installed; it is tried again
	Listening  bool
	Sessions   []Session `json:",omitempty"` // sorted by neighbour
	Routes     []Route   `json:",omitempty"` // sorted by prefix and neighbour
}
