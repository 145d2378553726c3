package service

import (
	"cmp"
	"iter"
	"time"
)

// Timeouts say how long a session may be idle in each state before it expires,
// by the names of IPVS. Zero stands for IPVS's own value.
type Timeouts struct {
	Established time.Duration // 15m
	SynSent     time.Duration // 2m
	SynRecv     time.Duration // 1m
	FinWait     time.Duration // 2m
	TimeWait    time.Duration // 2m
	Close       time.Duration // 10s
	CloseWait   time.Duration // 1m
	LastAck     time.Duration // 30s
	UDP         time.Duration // 5m
}

// withDefaults replaces what is zero.
func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Established: cmp.Or(t.Established, 15*time.Minute),
		SynSent:     cmp.Or(t.SynSent, 2*time.Minute),
		SynRecv:     cmp.Or(t.SynRecv, time.Minute),
		FinWait:     cmp.Or(t.FinWait, 2*time.Minute),
		TimeWait:    cmp.Or(t.TimeWait, 2*time.Minute),
		Close:       cmp.Or(t.Close, 10*time.Second),
		CloseWait:   cmp.Or(t.CloseWait, time.Minute),
		LastAck:     cmp.Or(t.LastAck, 30*time.Second),
		UDP:         cmp.Or(t.UDP, 5*time.Minute),
	}
}

// byName yields each timeout with the name operators know it by.
func (t *Timeouts) byName() iter.Seq2[string, time.Duration] {
	return func(yield func(string, time.Duration) bool) {
		_ = yield("established", t.Established) &&
			yield("syn_sent", t.SynSent) &&
			yield("syn_recv", t.SynRecv) &&
			yield("fin_wait", t.FinWait) &&
			yield("time_wait", t.TimeWait) &&
			yield("close", t.Close) &&
			yield("close_wait", t.CloseWait) &&
			yield("last_ack", t.LastAck) &&
			yield("udp", t.UDP)
	}
}
