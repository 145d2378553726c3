package gossip

import (
	"net/netip"
	"time"

	"fleetlb/gossip/seal"
)

// A beat is a datagram from each member to each other, once a second and
// whenever it has news. It carries the member's numbers and how far what it
// shares has come, and for a while after a change all of its Info, so that news
// take one journey, not several rounds of gossip. It also goes to members that
// are thought dead: who hears one from a stranger asks it to join, which is how
// a partition ends and how somebody frozen comes back.
const (
	beatInterval = time.Second
	beatPause    = 50 * time.Millisecond // between two, at least, whatever the news
	newsFor      = 5 * time.Second       // how long a change is repeated in full

	// silence is how long nothing is heard from a member that memberlist has for
	// alive, before it is dead to us. memberlist asks its members in turn: who is
	// alone among 64 would need minutes to find out. At one beat in two lost,
	// fifteen in a row are one in 30,000.
	silence = 15 * time.Second
)

const (
	beatTime = 1 + iota // µs of Unix time
	beatNumbers
	beatMeta
	beatRevision // of what the sender shares
	beatBye      // it leaves
)

// beats sends them until the fleet is closed.
func (f *Fleet) beats() {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	for {
		f.beat(false)
		select {
		case <-time.After(beatPause):
		case <-f.ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-f.news:
		case <-f.ctx.Done():
			return
		}
	}
}

// beat sends one to every other member.
func (f *Fleet) beat(bye bool) {
	f.mu.Lock()
	if f.gone && !bye {
		f.mu.Unlock()
		return
	}
	f.shrink()
	f.listen()
	message := newFields()
	message.number(beatTime, uint64(time.Now().UnixMicro()))
	message.number(beatRevision, f.own.revision)
	message.bytes(beatNumbers, f.info.Numbers.append(newFields()))
	if f.greet || time.Since(f.told) < newsFor {
		message.bytes(beatMeta, f.encoded)
	}
	if bye {
		message.number(beatBye, 1)
	}
	f.greet = false
	to := make([]target, 0, len(f.peers))
	for _, p := range f.peers {
		if !p.left {
			to = append(to, target{life: p.life, address: p.address})
		}
	}
	f.mu.Unlock()
	for _, t := range to {
		_ = f.wire.send(t.life, t.address, forBeat, message)
	}
}

// heardBeat takes one.
func (f *Fleet) heardBeat(from seal.Life, address netip.AddrPort, message []byte) {
	b, err := parseBeat(message)
	if err != nil {
		f.dropped.malformed.Add(1)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[from.Node]
	if p == nil || !p.alive && !b.bye {
		f.hint(p, address)
		return
	}
	p.heard = time.Now()
	if p.silent {
		f.listen()
	}
	before, skewed := p.member(), p.ahead >= skewedBeats
	if b.meta.seq > p.meta.seq {
		f.learn(p, b.meta)
	}
	p.meta.info.Numbers = b.numbers
	if b.bye && !p.left {
		p.left, p.since = true, time.Now()
		f.log.Info("gossip: member "+p.name+": left", "address", p.address)
	}
	if off := time.Since(b.time); off > maxSkew || off < -maxSkew {
		p.ahead = min(p.ahead+1, skewedBeats)
	} else {
		p.ahead = 0
	}
	if !same(before, p.member()) || skewed != (p.ahead >= skewedBeats) {
		f.changed()
	}
	f.follow(p, b.revision)
}

// same says whether two views of a member are, but for its numbers.
func same(a, b Member) bool {
	same := a.Epoch == b.Epoch && a.Version == b.Version && a.State == b.State && a.Config == b.Config &&
		a.Alive == b.Alive && len(a.Blocks) == len(b.Blocks)
	for i := range a.Blocks {
		same = same && a.Blocks[i] == b.Blocks[i]
	}
	return same
}

type beat struct {
	time     time.Time
	numbers  Numbers
	meta     meta
	revision uint64
	bye      bool
}

func parseBeat(message []byte) (b beat, err error) {
	for f, err := range parseFields(message) {
		if err != nil {
			return beat{}, err
		}
		switch f.tag {
		case beatTime:
			b.time = time.UnixMicro(int64(f.number()))
		case beatNumbers:
			b.numbers, err = parseNumbers(f.value)
		case beatMeta:
			b.meta, err = parseMeta(f.value)
		case beatRevision:
			b.revision = f.number()
		case beatBye:
			b.bye = f.number() != 0
		}
		if err != nil {
			return beat{}, err
		}
	}
	return b, nil
}
