package schedule

import (
	"fmt"
	"slices"
	"strings"
)

// A Scheduler picks servers by one law. It is safe for use by all workers at
// once.
type Scheduler interface {
	// Pick returns the position of a member in the slice given to New, or -1
	// when the connection must be refused. k is only read, and only until Pick
	// returns; but a pointer passed through an interface escapes, so a worker
	// keeps one Key and fills it anew.
	Pick(k *Key) int
}

// A Key is what a scheduler may know of a new connection. Addresses are in the
// 16-byte form, IPv4 mapped.
type Key struct {
	Client, VIP         [16]byte
	ClientPort, VIPPort uint16
	Protocol            uint8
}

// A Member is one server as a scheduler sees it.
type Member struct {
	Name     string // "ip:port"; tells members apart, here and on other directors
	Weight   int    // 0 to MaxWeight
	Eligible bool   // may get new connections; one of weight 0 may not
	Load     *Load  // nil: counted by nobody, and so always idle

	Upper, Lower uint32 // thresholds, see Load.Full: while it is full it gets nothing new; Upper 0: never
}

// MaxWeight is the largest weight ipvsadm takes.
const MaxWeight = 65535

// maxMembers is what the 16-bit positions in tables and sequences can tell apart.
const maxMembers = 65535

// New builds the scheduler called name. state carries on from the service's
// former scheduler; nil starts afresh. Calls with the same state must not
// overlap, but former schedulers may go on picking.
func New(name string, flags []string, members []Member, state *State) (Scheduler, error) {
	law, ok := laws[name]
	if !ok {
		return nil, fmt.Errorf("scheduler %q: unknown; there are %s", name, strings.Join(Names(), " "))
	}
	for _, f := range flags {
		if !slices.Contains(law.flags, f) {
			return nil, fmt.Errorf("scheduler %s: flag %q: unknown; %s", name, f, takes(law.flags))
		}
	}
	if err := check(members); err != nil {
		return nil, fmt.Errorf("scheduler %s: %w", name, err)
	}
	if state == nil {
		state = new(State)
	}
	return law.build(members, flags, state), nil
}

func takes(flags []string) string {
	if len(flags) == 0 {
		return "it takes none"
	}
	return "it takes " + strings.Join(flags, ", ")
}

func check(members []Member) error {
	if len(members) > maxMembers {
		return fmt.Errorf("%d members: at most %d", len(members), maxMembers)
	}
	names := make(map[string]bool, len(members))
	for _, m := range members {
		if m.Weight < 0 || m.Weight > MaxWeight {
			return fmt.Errorf("member %s: weight %d is not between 0 and %d", m.Name, m.Weight, MaxWeight)
		}
		if names[m.Name] {
			return fmt.Errorf("member %s: listed twice", m.Name)
		}
		names[m.Name] = true
	}
	return nil
}

// eligible says whether the member may be picked.
func (m *Member) eligible() bool { return m.Eligible && m.Weight > 0 }
