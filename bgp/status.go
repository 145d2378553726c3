package bgp

import (
	"net/netip"
	"time"
)

// State is where a session stands, in the words of RFC 4271 §8.2.2.
type State string

const (
	Idle        State = "idle"        // waiting before the next try
	Connect     State = "connect"     // trying to reach the neighbour
	Active      State = "active"      // waiting for the neighbour to connect
	OpenSent    State = "opensent"    // connected, our OPEN is sent
	OpenConfirm State = "openconfirm" // OPENs agree, waiting for a KEEPALIVE
	Established State = "established"
)

// NeighborStatus is one neighbour as it is now.
type NeighborStatus struct {
	Address     netip.Addr `json:"address"`
	ASN         uint32     `json:"asn"`
	State       State      `json:"state"`
	Since       time.Time  `json:"since"`     // when it came into this state
	Announced   int        `json:"announced"` // prefixes that were written to the session and not withdrawn
	LastError   string     `json:"last_error,omitempty"`
	LastErrorAt time.Time  `json:"last_error_at,omitzero"`
}

// Uptime is how long the session has been established, 0 when it is not.
func (n *NeighborStatus) Uptime(now time.Time) time.Duration {
	if n.State != Established {
		return 0
	}
	return now.Sub(n.Since)
}

// Process is the child that speaks.
type Process struct {
	PID      int       // 0: not running
	Started  time.Time // of this child
	Restarts int       // how often one had to be replaced
	LastExit string    // why the last one ended
	Problem  string    // what it could not apply, such as a port in use
}
