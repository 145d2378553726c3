package bfd

import "fmt"

// State is that of one end of a session (RFC 5880 §4.1).
type State uint8

const (
	AdminDown State = iota // ended on purpose: no failure
	Down
	Init // the peer is heard, and does not know yet that it is
	Up
	numStates
)

func (s State) String() string { return [numStates]string{"admin-down", "down", "init", "up"}[s] }

// transitions is RFC 5880 §6.2: what a state becomes when the peer says its own.
var transitions = [numStates][numStates]State{
	//           the peer: AdminDown  Down       Init       Up
	AdminDown: {AdminDown, AdminDown, AdminDown, AdminDown},
	Down:      {Down, Init, Up, Down},
	Init:      {Down, Init, Up, Up},
	Up:        {Down, Down, Up, Up},
}

// Diag says why a session is not up any more (RFC 5880 §4.1).
type Diag uint8

const (
	NoDiag      Diag = 0
	Expired     Diag = 1 // the peer has not been heard
	Signaled    Diag = 3 // the peer says that its end is down
	ForwardDown Diag = 4 // packets do not flow
	ByOperator  Diag = 7
)

var diags = [...]string{
	"no diagnostic", "detection time expired", "echo failed", "neighbor signaled session down",
	"forwarding plane reset", "path down", "concatenated path down", "administratively down",
	"reverse concatenated path down",
}

func (d Diag) String() string {
	if int(d) < len(diags) {
		return diags[d]
	}
	return fmt.Sprintf("diagnostic %d", uint8(d))
}
