package replica

import "time"

// A ticket follows one record on its way to several keepers. It is at risk until
// the first of them has it, and the time until then is the lag.
type ticket struct {
	told time.Duration // after start
	held int32         // by how many queues
	safe bool
}

// noTicket is of records that nobody waits for.
const noTicket = int32(-1)

type tickets struct {
	start  time.Time
	all    []ticket
	free   []int32
	atRisk int
	lag    Lag
}

// issue gives a ticket for a record that was told then.
func (t *tickets) issue(told time.Time) int32 {
	var n int32
	if last := len(t.free) - 1; last >= 0 {
		n, t.free = t.free[last], t.free[:last]
	} else {
		n = int32(len(t.all))
		t.all = append(t.all, ticket{})
	}
	t.all[n] = ticket{told: told.Sub(t.start), held: 1} // by the issuer
	t.atRisk++
	return n
}

// issued ends the issue: the ticket is in all the queues where it shall be.
func (t *tickets) issued(n int32) { t.release(n) }

func (t *tickets) hold(n int32) {
	if n != noTicket {
		t.all[n].held++
	}
}

// arrived says that one keeper has the record.
func (t *tickets) arrived(n int32, now time.Time) {
	if k := &t.all[n]; !k.safe {
		k.safe = true
		t.atRisk--
		t.lag.observe(now.Sub(t.start) - k.told)
	}
	t.release(n)
}

// release says that one queue is done with the record.
func (t *tickets) release(n int32) {
	if n == noTicket {
		return
	}
	k := &t.all[n]
	if k.held--; k.held > 0 {
		return
	}
	if !k.safe {
		t.atRisk--
	}
	t.free = append(t.free, n)
}

// LagBounds are the upper bounds of the buckets of a [Lag].
var LagBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
}

// A Lag is a histogram of the times from Tell to the first keeper's
// acknowledgement.
type Lag struct {
	Counts [len(LagBounds) + 1]uint64 // by bound, not cumulative; the last is of the rest
	Sum    time.Duration
}

func (l *Lag) observe(d time.Duration) {
	l.Sum += d
	for i, bound := range LagBounds {
		if d <= bound {
			l.Counts[i]++
			return
		}
	}
	l.Counts[len(LagBounds)]++
}

// Count is how many records were acknowledged.
func (l *Lag) Count() (n uint64) {
	for _, c := range l.Counts {
		n += c
	}
	return n
}

// Quantile returns the bound below which a share q of all lags were; of those
// beyond the last bound, twice that.
func (l *Lag) Quantile(q float64) time.Duration {
	want := uint64(q * float64(l.Count()))
	for i, c := range l.Counts {
		if c > want {
			if i < len(LagBounds) {
				return LagBounds[i]
			}
			break
		}
		want -= c
	}
	if l.Count() == 0 {
		return 0
	}
	return 2 * LagBounds[len(LagBounds)-1]
}
