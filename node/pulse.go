package node

import "time"

const (
	// heartbeatPeriod is how often the workers are looked at. They come round
	// every 50 ms at least.
	heartbeatPeriod = 100 * time.Millisecond
	// aliveWithin is how old the heartbeat may be; a worker that has not come
	// round for a second is stuck.
	aliveWithin = time.Second
	// steadyFor is how long workers that were stuck must come round again until
	// they are trusted. A machine that is short of cores would otherwise move
	// its VIPs to and fro every second.
	steadyFor = 5 * time.Second
)

// A pulse is what the workers' heartbeat amounts to. The zero pulse has not been
// felt; the first good one is believed at once.
type pulse struct {
	alive bool
	stuck time.Time // when the workers last were, zero if never
}

// feel looks at the age of the heartbeat and says whether alive has changed.
func (p *pulse) feel(age time.Duration, now time.Time) bool {
	was := p.alive
	switch {
	case age < aliveWithin:
		p.alive = p.stuck.IsZero() || now.Sub(p.stuck) >= steadyFor
	case was || !p.stuck.IsZero():
		p.alive, p.stuck = false, now
	}
	return p.alive != was
}
