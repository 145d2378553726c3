package replica

import "time"

// A batch is records for one peer, as they go into a datagram.
type batch struct {
	body    []byte
	tickets []int32
	number  uint32 // once it has been sent
	behind  slotSet
	sentAt  time.Time
	sends   int
	held    bool // by the peer, who has not applied it yet
}

// pool keeps batches that are not in use: as many as one peer's queue may need.
type pool struct{ free []*batch }

func (p *pool) get() *batch {
	if last := len(p.free) - 1; last >= 0 {
		b := p.free[last]
		p.free = p.free[:last]
		return b
	}
	return &batch{body: make([]byte, 0, maxBody), tickets: make([]int32, 0, 48)}
}

func (p *pool) put(b *batch) {
	*b = batch{body: b.body[:0], tickets: b.tickets[:0]}
	if len(p.free) < maxQueue {
		p.free = append(p.free, b)
	}
}
