package session

// joins is what a session's state is when one director knows the one and another
// the other. Each sees what passes by it, which may be one direction alone, so
// that neither state needs to be wrong. Joining is a lattice: in whatever order,
// and however often, states are joined, the result is the same, and what is known
// to be finished stays so.
//
//	none < syn_sent < syn_recv < established < fin_wait               < time_wait < close
//	                                         < close_wait < last_ack <
//
// Whoever knows of one FIN alone, of the server's or of the client's, cannot know
// which was first: together they are time_wait, which keeps the port for longer.
// That the client's was first is known to those who saw it come first, and only
// they say last_ack. A state that goes back, for a connection that a SYN reopens
// or an end that speaks after its forged reset, is none of this session but of
// one that is born anew: see [Born].
var joins = [NumStates][NumStates]State{
	//            no  es  ss  sr  fw  tw  cl  cw  la
	None:        {no, es, ss, sr, fw, tw, cl, cw, la, ow, bw},
	Established: {es, es, es, es, fw, tw, cl, cw, la},
	SynSent:     {ss, es, ss, sr, fw, tw, cl, cw, la},
	SynRecv:     {sr, es, sr, sr, fw, tw, cl, cw, la},
	FinWait:     {fw, fw, fw, fw, fw, tw, cl, tw, tw},
	TimeWait:    {tw, tw, tw, tw, tw, tw, cl, tw, tw},
	Close:       {cl, cl, cl, cl, cl, cl, cl, cl, cl},
	CloseWait:   {cw, cw, cw, cw, tw, tw, cl, cw, la},
	LastAck:     {la, la, la, la, tw, tw, cl, la, la},
	OneWay:      {None: ow, OneWay: ow, TwoWay: bw},
	TwoWay:      {None: bw, OneWay: bw, TwoWay: bw},
}

const (
	ow = OneWay
	bw = TwoWay
)

// join returns what two directors know together.
func join(a, b State) State { return joins[a][b] }
