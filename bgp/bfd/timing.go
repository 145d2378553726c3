package bfd

import (
	"math/rand/v2"
	"time"
)

// slow is the interval of a session that is not up, at least: a peer that is
// not there is not to be hammered (RFC 5880 §6.8.3).
const slow = time.Second

// timing is when to send and how long to wait, as the two ends agree on it.
//
// What is said and what is done differ while a poll is out (RFC 5880 §6.8.3):
// we send less often, or expect to be sent to more often, only once the peer
// has answered that it knows.
type timing struct {
	desired, required time.Duration // as we say them
	sending, waiting  time.Duration // as we act on them
	polling           bool

	remoteDesired, remoteRequired time.Duration // as the peer says them
	remoteMultiplier              uint8
}

// remoteRequired of a peer that has not been heard (RFC 5880 §6.8.1).
const unheard = time.Microsecond

// set changes what we say. Without a session there is nobody to poll, and what
// is said is done.
func (t *timing) set(desired, required time.Duration, up bool) {
	changed := desired != t.desired || required != t.required
	t.desired, t.required = desired, required
	switch {
	case !up:
		t.answered()
	case changed:
		t.sending, t.waiting = min(desired, t.sending), max(required, t.waiting)
		t.polling = true
	}
}

// answered ends the poll.
func (t *timing) answered() { t.sending, t.waiting, t.polling = t.desired, t.required, false }

// interval is from packet to packet of ours, before jitter; 0: the peer wants
// none (RFC 5880 §6.8.1: a required interval of zero).
func (t *timing) interval() time.Duration {
	if t.remoteRequired == 0 {
		return 0
	}
	return max(t.sending, t.remoteRequired)
}

// detect is the silence of the peer that ends the session (RFC 5880 §6.8.4).
func (t *timing) detect() time.Duration {
	return time.Duration(t.remoteMultiplier) * max(t.waiting, t.remoteDesired)
}

// jitter is the part of the interval to wait until the next packet, so that
// sessions that began together do not stay in step: 75 to 100 %, and 75 to 90 %
// where a single late packet ends the session (RFC 5880 §6.8.7).
func jitter(multiplier int) float64 {
	if multiplier == 1 {
		return 0.75 + 0.15*rand.Float64()
	}
	return 0.75 + 0.25*rand.Float64()
}
