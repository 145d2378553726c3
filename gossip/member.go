package gossip

import (
	"net/netip"
	"time"

	"fleetlb/session"
)

// A State is where a director is in its life, as it tells the others.
type State string

const (
	Syncing  State = "syncing"  // fetches sessions; announces nothing yet
	Serving  State = "serving"  // carries traffic
	Draining State = "draining" // gives its traffic to the others
	Leaving  State = "leaving"  // goes for good, by its own will
)

// Info is what a director tells all others of itself.
type Info struct {
	Epoch   uint64         // of its present life, as in session.Owner; grows when it fenced itself after having been frozen
	Version string         // of its program
	State   State          //
	Blocks  []netip.Prefix // its local addresses; MaxBlocks at most
	Config  uint64         // digest of its services; zero: not known, compared with nobody
	Numbers Numbers
}

// Numbers are the small numbers of an [Info]. They are told once a second; the
// rest of an Info is told at once.
type Numbers struct {
	Sessions   uint64        // in its table, whatever their role
	Slots      int           // it keeps and has whole
	SlotsOf    int           // it shall keep
	Lag        time.Duration // until a keeper acknowledged its news, lately; told in µs, an hour at most
	AtRisk     uint64        // sessions no keeper has acknowledged
	Suppressed bool          // it announces nothing because of a conflict
}

// A Member is another director, as far as is known here.
type Member struct {
	ID      session.NodeID
	Name    string
	Address netip.AddrPort
	Info
	Alive bool
	Left  bool      // not alive, by its own will
	Since time.Time // it is so
}

// Owner is the member in its present life.
func (m Member) Owner() session.Owner { return session.Owner{ID: m.ID, Epoch: m.Epoch} }
