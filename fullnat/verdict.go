package fullnat

import "fleetlb/fullnat/packet"

// A Verdict says what became of one frame. The comment on each is its help
// text: `go generate` turns this list into names, counters and what
// `fleetlb drops` prints.
//
//go:generate go run ./internal/verdicts
type Verdict uint8

const (
	Forwarded          Verdict = iota // rewritten and sent on
	Answered                          // answered by the director itself: ping, ARP, neighbour solicitation
	Rejected                          // answered with a reset or an ICMP error; its own reason is counted as well
	Cut                               // sent on in fragments, for a link with a smaller MTU
	Segmented                         // sent on as the packets that a super-packet stands for, where no card could cut it
	Originated                        // made by the director itself: the resets of a session that it ends, announcements of addresses
	Parked                            // held until its first fragment, its next hop or its session is known
	HandedOver                        // given to the worker that owns its slot
	NotOurs                           // for an address that is neither a VIP nor a local address
	DropNoService                     // no service listens at this port of the VIP
	DropNoSession                     // mid-connection packet of no connection we know
	DropSpoofed                       // its source is an address of our own: forged, or on its way round
	DropNoServer                      // every server of the service is down or draining
	DropOverloaded                    // every server that could have it is at its upper threshold
	DropDeadServer                    // the server of its session is down; the client is told to connect anew
	DropForgotten                     // the server of its session is down or gone; the session is forgotten, and nobody told
	DropNoPort                        // the local ports for the chosen server are all in use
	DropTableFull                     // the session table is full
	DropHairpin                       // the connection would come to the server of mode nat that makes it
	DropLoop                          // it would go back to the station it came from: a server of mode dr that balances too
	DropOffLink                       // the server of mode dr is behind a router: it must be on a link of ours
	DropNoSource                      // the host has no address of the server's family for a tunnel to begin at
	DropNoRoute                       // the kernel has no route to the destination
	DropNoNeighbor                    // the next hop did not answer in time
	DropTTL                           // no hops left
	DropTooBig                        // larger than the next link's MTU, and not to be cut
	DropFragmentLost                  // the first fragment did not come in time
	DropFragmentLimit                 // too many fragments are waiting already
	DropErrorUnmatched                // ICMP error about no connection we know
	DropProtocol                      // a protocol or ICMP type that no service carries
	DropBroadcast                     // sent to every station on the link, though to one address of ours
	DropHandOff                       // the owning worker's inbox is full
	DropTxFull                        // counted as sent, but the interface took no more frames
	DropNoFrame                       // all frames of the worker are in use: nothing left to make a packet in
	DropDefect                        // a defect of this program, which the log tells of; the frame is lost
	DropUnasked                       // no session here, and too many are asked for already: the other directors were not asked
	DropUnanswered                    // no session here, and the other directors did not answer in time
	DropSoughtLimit                   // too many packets wait for the other directors to tell whose they are
	DropFenced                        // would open a connection, but this director has not caught up with the fleet yet
	DropBackup                        // would open a connection to a VIP that another router holds: see fleetlb vrrp
	DropStale                         // came while the director was stopped
	DropFault                         // first of the malformed: one for each packet.Fault follows
)

// numVerdicts leaves room for one verdict per parser fault behind DropFault.
const numVerdicts = int(DropFault) + int(packet.NumFaults) - 1

// faulty is the verdict on a frame that Parse refused.
func faulty(f packet.Fault) Verdict { return DropFault + Verdict(f) - 1 }

// Name is the word for the verdict in tables and metrics.
func (v Verdict) Name() string {
	if v >= DropFault {
		return packet.Fault(v - DropFault + 1).Name()
	}
	return verdictTexts[v].name
}

// Help explains the verdict to an operator.
func (v Verdict) Help() string {
	if v >= DropFault {
		return packet.Fault(v - DropFault + 1).Help()
	}
	return verdictTexts[v].help
}

// carried says whether the frame has left or will, towards its destination.
func (v Verdict) carried() bool { return v == Forwarded || v == Cut || v == Segmented || v == Parked }

// Dropped says whether the frame ended here without an answer being its purpose.
func (v Verdict) Dropped() bool { return v >= DropNoService }

// Verdicts lists all there are, for those who show them.
func Verdicts() []Verdict {
	all := make([]Verdict, numVerdicts)
	for i := range all {
		all[i] = Verdict(i)
	}
	return all
}
