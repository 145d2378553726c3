package session

import "fleetlb/fullnat/packet"

// An event is what a TCP segment means to the state machine: the first of its
// flags in this order.
type event uint8

const (
	onReset event = iota
	onSYN
	onFIN
	onACK
	numEvents
	nothing = numEvents // none of these flags
)

// eventOf returns the event of TCP flags.
func eventOf(flags uint8) event {
	switch {
	case flags&packet.FlagRST != 0:
		return onReset
	case flags&packet.FlagSYN != 0:
		return onSYN
	case flags&packet.FlagFIN != 0:
		return onFIN
	case flags&packet.FlagACK != 0:
		return onACK
	}
	return nothing
}

// The table's columns, in the order of the states of TCP.
const (
	no = None
	es = Established
	ss = SynSent
	sr = SynRecv
	fw = FinWait
	tw = TimeWait
	cl = Close
	cw = CloseWait
	la = LastAck
)

// A view is whose segments are seen, and of whom this one is.
type view uint8

const (
	fromClient view = iota // as fromServer: both ends are seen
	fromServer
	clientOnly // replies bypass the director
	numViews
)

// transitions is RFC 9293 §3.3.2 as one who stands in the middle can follow it,
// told from the server's side. Where the middle cannot know it prefers the state
// that keeps a living connection:
//
//   - A SYN from the client alone reopens only what is over. In a half-closed
//     connection the server answers it with an ACK (RFC 9293 §3.10.7.4), and a
//     forged one must change nothing; if the server agrees, its SYN-ACK says so.
//   - A reset in time_wait is ignored (RFC 1337): the server may still hold the
//     port, which must not be given to another client.
//   - After both FINs, whoever sent the first holds the port in TIME-WAIT. If
//     that is the server, we wait as well; if it is the client, the server's end
//     is free with the last ACK, and so is ours.
//   - The server's ACK establishes: it sends none before the connection is, and
//     the client's may have taken another way.
var transitions = [numViews][numEvents][LastAck + 1]State{
	fromClient: {
		//        no  es  ss  sr  fw  tw  cl  cw  la
		onReset: {cl, cl, cl, cl, cl, tw, cl, cl, cl},
		onSYN:   {sr, es, es, sr, fw, sr, sr, cw, la},
		onFIN:   {cw, cw, ss, cw, tw, tw, cl, cw, la},
		onACK:   {es, es, ss, es, fw, tw, cl, cw, cl},
	},
	fromServer: {
		//        no  es  ss  sr  fw  tw  cl  cw  la
		onReset: {cl, cl, cl, cl, cl, tw, cl, cl, cl},
		onSYN:   {ss, es, ss, sr, sr, sr, sr, sr, sr},
		onFIN:   {fw, fw, fw, fw, fw, tw, cl, la, la},
		onACK:   {es, es, es, es, fw, tw, cl, cw, la},
	},
	clientOnly: {
		//        no  es  ss  sr  fw  tw  cl  cw  la
		onReset: {cl, cl, cl, cl, cl, tw, cl, cl, cl},
		onSYN:   {sr, es, es, sr, sr, sr, sr, sr, sr},
		onFIN:   {fw, fw, ss, fw, fw, tw, cl, cw, la},
		onACK:   {es, es, ss, es, fw, tw, cl, cw, cl},
	},
}

// A segment is what the state machine reads of a TCP packet.
type segment struct {
	seq, ack uint32
	length   uint32 // in sequence space: SYN and FIN count
	flags    uint8
}

// segmentOf reads the segment of p, which is a whole TCP packet.
func segmentOf(p *packet.Packet) segment {
	h := p.TCP()
	g := segment{seq: h.Seq(), ack: h.Ack(), length: uint32(len(p.Frame) - p.Payload), flags: p.Flags}
	if g.flags&packet.FlagSYN != 0 {
		g.length++
	}
	if g.flags&packet.FlagFIN != 0 {
		g.length++
	}
	return g
}

// window is how far a number may lie from the one we know, 64 KiB: as much as a
// receiver may take in before it acknowledges, where segments are merged. An end
// that aborts with more than that in flight is asked about the rest of it by the
// other's ACKs, and answers each with a reset that carries exactly the number
// acknowledged (RFC 9293 §3.10.7.1). So nothing legitimate is missed, and one
// who guesses needs 65,536 packets for a client whose port he knows.
const window = 1 << 16

// next returns the state of s after a segment, and learns its numbers.
func (s *Session) next(d Direction, v view, g segment) State {
	e := eventOf(g.flags)
	from := s.State
	switch {
	case e == nothing:
		return from
	case e == onReset && !s.believes(d, g):
		return from
	case from == SynRecv && v == fromClient && e >= onFIN && !s.answers(g):
		return from
	case from == Close && s.flags.has(reset, d) && e >= onFIN:
		// An end that speaks after its own reset did not send it: the numbers of
		// a forged one can be right, by luck or after many tries.
		from = Established
		s.flags &^= reset << d
	}
	to := transitions[v][e][from]
	if to != s.State && (to == SynRecv || to == SynSent) {
		s.flags = 0 // a new connection
	}
	switch {
	case e == onReset:
		s.flags |= reset << d
	case s.marks&elsewhere != 0:
		s.learnHalf(d, g)
	default:
		s.learn(d, g)
	}
	return to
}

// learn notes which number each end is to send next. The other end's ACK is the
// authority; until there is one, or where the other end is not seen, the sender's
// own count has to do.
func (s *Session) learn(d Direction, g segment) {
	if g.flags&packet.FlagACK != 0 {
		s.expects[1-d] = g.ack
		s.flags |= acked << (1 - d)
	}
	if !s.flags.has(acked, d) {
		s.expects[d] = g.seq + g.length
	}
	s.flags |= spoke << d
}

// learnHalf does so where others carry packets of s as well. Where a number is
// known from when somebody saw what is acknowledged, the sender's own count leads
// on from there step by step: whoever can forge one segment could set any number
// otherwise, and then reset by it.
func (s *Session) learnHalf(d Direction, g segment) {
	known, leap := s.expects[d], s.half(d) && g.seq-s.expects[d] >= window
	s.learn(d, g)
	if leap {
		s.expects[d] = known
	}
}

// half says whether others see the ACKs of what goes d.
func (s *Session) half(d Direction) bool {
	return s.marks&elsewhere != 0 && s.flags.has(spoke, d) && !s.flags.has(acked, d)
}

// Expects returns the sequence number that the other end expects next from the
// end whose packets go d: what a reset in its name must carry to be believed
// (RFC 5961 §3.2). It is unknown as long as neither end has told.
func (s *Session) Expects(d Direction) (seq uint32, known bool) {
	return s.expects[d], s.flags&((spoke|acked)<<d) != 0
}

// believes says whether a reset may be what it says. Anyone can send one with a
// client's address; only the other end's acknowledgements tell its number. Where
// nothing is known, in a session of which only one direction has been seen, it
// is believed.
func (s *Session) believes(d Direction, g segment) bool {
	if seq, known := s.Expects(d); known {
		return g.seq-seq < window || s.half(d) && seq-g.seq < window
	}
	// The answer to a SYN that is refused has no number of its own
	// (RFC 9293 §3.10.7.3).
	if ack, known := s.Expects(1 - d); known && g.flags&packet.FlagACK != 0 {
		return ack-g.ack < window
	}
	return true
}

// answers says whether the client's segment acknowledges what the server sent
// to its SYN. Without it, who sends SYN and ACK from a forged address would have
// a session that stays for fifteen minutes and is replicated.
func (s *Session) answers(g segment) bool {
	return s.flags.has(spoke, Outbound) && g.flags&packet.FlagACK != 0 && s.expects[Outbound]-g.ack < window
}
