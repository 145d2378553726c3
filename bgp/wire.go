package bgp

import (
	"net/netip"
	"time"
)

// wireVersion is refused when it differs. Both ends are the same executable, so
// it can only differ when that assumption has broken.
const wireVersion = 1

// Heartbeats. A stopped director is a black hole until its child notices, so
// the child is the less patient of the two.
const (
	heartbeat     = time.Second
	parentPatient = 5 * time.Second // with a silent child
	childPatient  = 3 * time.Second // with a silent parent
)

// order is one line from parent to child.
type order struct {
	Version    int      `json:"version"`
	Generation uint64   `json:"generation"`
	Desired    *desired `json:"desired,omitempty"`  // nil: as before, the line is only a heartbeat
	Shutdown   bool     `json:"shutdown,omitempty"` // close the sessions in good manners and end
}

// desired is everything the child shall be doing.
type desired struct {
	Config Config  `json:"config"`
	Routes []Route `json:"routes"`

	// Resets are how often each neighbour's session had to be ended, and why the
	// last time; a child that sees more than before ends it once more.
	Resets map[netip.Addr]reset `json:"resets,omitempty"`
}

type reset struct {
	Count uint64 `json:"count"`
	Why   string `json:"why"`
}

// report is one line from child to parent.
type report struct {
	Version    int              `json:"version"`
	Generation uint64           `json:"generation"`        // applied
	Settled    bool             `json:"settled,omitempty"` // and written to every established session
	Neighbors  []NeighborStatus `json:"neighbors"`
	Problem    string           `json:"problem,omitempty"`
	Log        []string         `json:"log,omitempty"`
}
