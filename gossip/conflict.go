package gossip

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A ConflictKind says in what two directors do not fit together.
type ConflictKind string

const (
	ConflictName   ConflictKind = "name"   // both have the same
	ConflictBlocks ConflictKind = "blocks" // local addresses of both overlap
	ConflictConfig ConflictKind = "config" // different services
	ConflictClock  ConflictKind = "clock"  // their clocks differ: lives cannot be told apart by when they began
)

// A Conflict is two live directors, this one and another, that must not both
// announce.
type Conflict struct {
	Kind ConflictKind
	With Member
	// Ours says that this director is the offender: the one of the two that
	// started later. Both sides come to the same verdict. In a conflict of clocks
	// nobody offends.
	Ours  bool
	Since time.Time
	Text  string // for the operator: what is wrong, and the cure
}

// maxSkew is how far apart clocks may be: less than what a restart takes would
// be best, but lives are also told apart by the addresses and by who answers.
const maxSkew = 5 * time.Second

// skewedBeats is how many beats in a row must show it: one may have been stuck.
const skewedBeats = 3

// Conflicts are sorted by kind, then by member.
func (f *Fleet) Conflicts() []Conflict {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.conflicts)
}

// conflict looks for conflicts between this director and each live peer.
func (f *Fleet) conflict() {
	var found []Conflict
	for _, p := range f.peers {
		if p.live() {
			found = append(found, f.conflictsWith(p)...)
		}
	}
	if f.outlived {
		found = append(found, Conflict{Kind: ConflictClock, Text: "other members have heard a later life of this director and refuse this one; " +
			"was it started while its clock was ahead? Start it again once the clock is right and past that time"})
	}
	slices.SortFunc(found, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.With.Name, b.With.Name), a.With.Address.Compare(b.With.Address))
	})
	for i := range found {
		found[i].Since = f.since(found[i])
	}
	f.conflicts = found
}

// since is when a conflict was found. A new one is logged.
func (f *Fleet) since(c Conflict) time.Time {
	for _, was := range f.conflicts {
		if was.Kind == c.Kind && was.With.Name == c.With.Name && was.With.Address == c.With.Address && was.Ours == c.Ours {
			return was.Since
		}
	}
	f.log.Warn("gossip: conflict: "+c.Text, "kind", string(c.Kind))
	return time.Now()
}

func (f *Fleet) conflictsWith(p *peer) (found []Conflict) {
	m := p.member()
	add := func(kind ConflictKind, text string) {
		ours := kind != ConflictClock && before(p.life, f.wire.endpoint.Boot())
		found = append(found, Conflict{Kind: kind, With: m, Ours: ours, Text: text})
	}
	if p.id == f.id {
		add(ConflictName, fmt.Sprintf("the director at %s is called %q as well; give each a node.name of its own", p.address, p.name))
	}
	if a, b, ok := overlap(f.info.Blocks, m.Blocks); ok {
		add(ConflictBlocks, fmt.Sprintf("%s: its local addresses %s overlap with ours, %s; give each director a block of its own", p.name, b, a))
	}
	if f.info.Config != 0 && m.Config != 0 && f.info.Config != m.Config {
		add(ConflictConfig, fmt.Sprintf("%s: its services are not the same as ours; compare `fleetlb config` on both", p.name))
	}
	if p.ahead >= skewedBeats {
		add(ConflictClock, fmt.Sprintf("%s: its clock and ours differ by more than %s; set both by NTP", p.name, maxSkew))
	}
	return found
}

// overlap returns the first two blocks that do.
func overlap(ours, theirs []netip.Prefix) (a, b netip.Prefix, ok bool) {
	for _, a := range ours {
		for _, b := range theirs {
			if a.Overlaps(b) {
				return a, b, true
			}
		}
	}
	return a, b, false
}
