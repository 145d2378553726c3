package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// A Life is a director at one address, from one start to its end. A director
// that starts again is the same Node with a greater Epoch.
type Life struct {
	Node  uint64 // a hash of its name and address
	Epoch uint64
}

func (l Life) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, l.Node)
	return binary.BigEndian.AppendUint64(b, l.Epoch)
}

// maxPeers bounds how many nodes are remembered. Only who has a key can make
// one be remembered; none is forgotten while this life lasts, for what it said
// could be said again.
const maxPeers = 4096

// An Endpoint is a director's own end of all it says and hears. All methods may
// be called from any goroutine.
type Endpoint struct {
	ring  *Ring
	boot  Life          // what others address
	epoch atomic.Uint64 // what we are heard as: it may grow

	sending sync.RWMutex
	out     map[Life]*outgoing
	first   uint64 // what counters of new pairs begin above: no nonce is used twice

	hearing sync.Mutex
	in      map[uint64]*incoming

	refused [NumReasons]atomic.Uint64
}

// outgoing seals for one receiver. All but the counter is never changed.
type outgoing struct {
	key   *key
	epoch uint64 // of ours
	aead  cipher.AEAD
	held  []KeyID // what the receiver is known to hold
	last  *atomic.Uint64
}

// incoming is what is known of one sender, in the latest of its lives.
type incoming struct {
	epoch  uint64
	aeads  map[KeyID]cipher.AEAD
	window window
}

// NewEndpoint makes the end of a director in a life that begins now.
func NewEndpoint(ring *Ring, self Life) *Endpoint {
	e := &Endpoint{ring: ring, boot: self, out: map[Life]*outgoing{}, in: map[uint64]*incoming{}}
	e.epoch.Store(self.Epoch)
	return e
}

// Ring is what the endpoint seals with.
func (e *Endpoint) Ring() *Ring { return e.ring }

// Boot is the life by which others address this end.
func (e *Endpoint) Boot() Life { return e.boot }

// Renew begins another life without a restart: others hear us as of this epoch,
// which must be greater, and no longer as of the one before.
func (e *Endpoint) Renew(epoch uint64) { e.epoch.Store(epoch) }

// Holds tells which keys a receiver has, so that it is sent what it can open
// while keys are being replaced.
func (e *Endpoint) Holds(to Life, ids []KeyID) {
	e.sending.Lock()
	defer e.sending.Unlock()
	e.out[to] = e.pair(to, e.out[to], ids)
}

// Forget drops what is kept for sending to a life that is over.
func (e *Endpoint) Forget(to Life) {
	e.sending.Lock()
	defer e.sending.Unlock()
	if o := e.out[to]; o != nil {
		e.first = max(e.first, o.last.Load())
		delete(e.out, to)
	}
}

// Refused is how many messages were refused for a reason.
func (e *Endpoint) Refused(r Reason) uint64 { return e.refused[r].Load() }

func (e *Endpoint) refuse(r Reason) Reason {
	e.refused[r].Add(1)
	return r
}

// heard remembers a life that has proven itself; StaleEpoch when a later one
// did. The caller holds hearing.
func (e *Endpoint) heard(from Life) (*incoming, Reason) {
	i := e.in[from.Node]
	switch {
	case i != nil && from.Epoch < i.epoch:
		return nil, StaleEpoch
	case i != nil && from.Epoch == i.epoch:
		return i, Fine
	case i == nil && len(e.in) == maxPeers:
		return nil, Crowded
	}
	i = &incoming{epoch: from.Epoch, aeads: map[KeyID]cipher.AEAD{}}
	e.in[from.Node] = i
	return i, Fine
}

// pair makes what seals for a receiver, following was. The caller holds sending.
func (e *Endpoint) pair(to Life, was *outgoing, held []KeyID) *outgoing {
	o := &outgoing{key: choose(*e.ring.keys.Load(), held), epoch: e.epoch.Load(), held: held}
	o.aead = o.key.expand(pairInfo(Life{e.boot.Node, o.epoch}, to))
	if was != nil {
		o.last = was.last
		return o
	}
	if len(e.out) >= maxPeers { // lives of long ago, mostly
		for l, old := range e.out {
			e.first = max(e.first, old.last.Load())
			delete(e.out, l)
			break
		}
	}
	o.last = new(atomic.Uint64)
	o.last.Store(e.first)
	return o
}

func pairInfo(from, to Life) string {
	return string(to.append(from.append([]byte("datagram"))))
}
