package session

// A State is how far a session has come. Those of TCP are IPVS's, by whose names
// and timeouts operators know them; they are told from the server's side: a
// session in close_wait is one whose client has sent a FIN.
type State uint8

const (
	None        State = iota // opened, no packet tracked yet
	Established              // TCP: both ends have agreed
	SynSent                  // TCP: the server asked for the connection
	SynRecv                  // TCP: the client asked for the connection
	FinWait                  // TCP: the server has said its last; or, where only the client is seen, the client
	TimeWait                 // TCP: both have, the server first: it keeps its ports for a while
	Close                    // TCP: over, or reset
	CloseWait                // TCP: the client has said its last
	LastAck                  // TCP: both have, the client first
	OneWay                   // UDP: only one end has been heard
	TwoWay                   // UDP: both ends have
	NumStates
)

var stateNames = [NumStates]string{
	None:        "none",
	Established: "established",
	SynSent:     "syn_sent",
	SynRecv:     "syn_recv",
	FinWait:     "fin_wait",
	TimeWait:    "time_wait",
	Close:       "close",
	CloseWait:   "close_wait",
	LastAck:     "last_ack",
	OneWay:      "one_way",
	TwoWay:      "two_way",
}

func (s State) String() string {
	if s < NumStates {
		return stateNames[s]
	}
	return "unknown"
}

// active says which states count as active connections: IPVS's rule.
var active = [NumStates]bool{SynSent: true, SynRecv: true, Established: true}

// Timeouts are how long a session may be idle, by its State.
type Timeouts [NumStates]Tick

const second = Tick(10)

// DefaultTimeouts are IPVS's.
var DefaultTimeouts = Timeouts{
	None:        60 * second, // as syn_recv
	Established: 900 * second,
	SynSent:     120 * second,
	SynRecv:     60 * second,
	FinWait:     120 * second,
	TimeWait:    120 * second,
	Close:       10 * second,
	CloseWait:   60 * second,
	LastAck:     30 * second,
	OneWay:      300 * second,
	TwoWay:      300 * second,
}

// SetTimeouts makes tt the timeouts of every path whose Timeouts is id; those
// that are zero stay at their default. A path's Timeouts starts as 0, and 0 as
// the defaults. A session may notice a shorter timeout as late as its old one.
func (t *Table) SetTimeouts(id uint16, tt Timeouts) {
	for i := range tt {
		if tt[i] == 0 {
			tt[i] = DefaultTimeouts[i]
		}
	}
	for int(id) >= len(t.timeouts) {
		t.timeouts = append(t.timeouts, DefaultTimeouts)
	}
	t.timeouts[id] = tt
}

// enter moves s to a new state because of what happened here: others are to hear
// of it. Where that is a way back, s is born anew.
func (t *Table) enter(s *Session, state State, now Tick) {
	born := t.bornOf(s)
	if join(s.State, state) != state {
		born = t.stampAfter(born, now)
	}
	t.become(s, state, born, now)
	if s.marks&shared != 0 {
		s.marks |= news
	} else if s.Believed() {
		t.Share(s, now)
	}
}

// become moves s to a new state.
func (t *Table) become(s *Session, state State, born Born, now Tick) {
	t.land(s)
	n, p := t.number(s), t.paths[s.Path]
	if s.Shared() {
		t.dismiss(s)
	}
	p.uncount(s)
	s.State = state
	p.count(s)
	t.setBorn(s, born)
	if s.Shared() {
		t.enroll(s)
	}
	t.consider(n, s)
	t.rerank(s)
	t.schedule(n, s, now)
}

// consider notes whether s would give way to a new session. Those of others do
// not: they take no room from ours.
func (t *Table) consider(number uint32, s *Session) {
	if yields[s.State] != never && s.Role() == Home {
		t.yielding.add(number)
	} else {
		t.yielding.remove(number)
	}
}
