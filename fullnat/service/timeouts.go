package service

import (
	"cmp"
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

// A timeout is one of them with the name operators know it by.
type timeout struct {
	name string
	time.Duration
}

func (t *Timeouts) named() []timeout {
	return []timeout{
		{"established", t.Established},
		{"syn_sent", t.SynSent},
		{"syn_recv", t.SynRecv},
		{"fin_wait", t.FinWait},
		{"time_wait", t.TimeWait},
		{"close", t.Close},
		{"close_wait", t.CloseWait},
		{"last_ack", t.LastAck},
		{"udp", t.UDP},
	}
}
