package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"fleetlb/gossip/seal"
	"fleetlb/session"
)

// MaxDatagram is how many bytes [Fleet.Send] takes: what fits into a packet of
// 1,500 bytes over IPv6, sealed, with room for a tunnel's header.
const MaxDatagram = 1360

// Config is what a director must know to join its fleet.
type Config struct {
	Name      string           // unique in the fleet
	Bind      netip.AddrPort   // UDP and TCP; port 0 lets the kernel choose
	Advertise netip.AddrPort   // where the others reach Bind; invalid: Bind itself
	Seeds     []netip.AddrPort // other members, asked for the rest; its own address may be among them
	Keys      [][]byte         // 32 bytes each, the first is sent with; none: every address must be loopback
	KeyFile   string           // where changes of the ring are kept; "": nowhere
	Label     string           // of the fleet: fleets of different labels never meet, even with the same keys
	Self      Info             // Epoch zero: now
}

// Options are what a director may set besides.
type Options struct {
	Log *slog.Logger // nil: slog.Default()

	// OnDatagram gets what others sent by [Fleet.Send], from one goroutine, in
	// the order it came. The payload is valid until it returns.
	OnDatagram func(from session.Owner, payload []byte)

	// OnStream gets what others opened by [Fleet.Open], each in a goroutine of
	// its own, and c is closed when it returns.
	OnStream func(from session.Owner, c net.Conn)

	Network Network // nil: Kernel
}

// Fleet is a director's membership. Join makes one.
type Fleet struct {
	name string
	id   session.NodeID
	log  *slog.Logger
	o    Options
	wire *wire
	list *memberlist.Memberlist

	keyFile  string
	keying   sync.Mutex // one change of the ring at a time
	handlers sync.Map   // string → Handler
	view     atomic.Pointer[view]
	dropped  dropped

	mu        sync.Mutex
	info      Info
	seq       uint64    // of the Info
	encoded   []byte    // the Info, as meta
	told      time.Time // when it last changed
	greet     bool      // there is somebody new
	gone      bool      // we said good-bye
	listened  time.Time // when it was last seen who is silent
	peers     map[uint64]*peer
	sought    map[netip.AddrPort]*sought
	own       shares
	conflicts []Conflict
	outlived  bool // others have heard a later life of ours
	settled   bool // tried is closed

	changes, sharedChanges chan struct{}
	news                   chan struct{} // for beats
	heralded               chan struct{} // for memberlist
	tried                  chan struct{} // closed when a seed answered, or none did

	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	once   sync.Once
}

// Join makes this director a member of the fleet. It returns once a seed has
// told who else there is, or none did, or the context ended: none of that is an
// error, for seeds are asked for ever.
func Join(ctx context.Context, c Config, o Options) (*Fleet, error) {
	if c.Self.Epoch == 0 {
		c.Self.Epoch = uint64(time.Now().UnixNano())
	}
	if err := c.valid(); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	f, err := newFleet(c, o)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if err := f.startList(); err != nil {
		f.cancel()
		f.wire.Close()
		return nil, fmt.Errorf("gossip: %w", err)
	}
	f.wire.start()
	f.wait.Go(f.beats)
	f.wait.Go(f.seek)
	f.wait.Go(f.herald)
	select {
	case <-f.tried:
	case <-ctx.Done():
	}
	return f, nil
}

// valid says whether a director can join like this.
func (c *Config) valid() error {
	switch a := c.Bind.Addr(); {
	case c.Name == "" || len(c.Name) > longestName:
		return fmt.Errorf("name %q: it must have 1 to %d bytes", c.Name, longestName)
	case !c.Bind.IsValid() || a.IsMulticast() || a.IsLinkLocalUnicast():
		return fmt.Errorf("bind %s: it is not an address that others reach", c.Bind)
	case a.IsUnspecified() && !c.Advertise.IsValid():
		return fmt.Errorf("bind %s: say which address others reach", c.Bind)
	case c.Advertise.IsValid() && (c.Advertise.Port() == 0 || c.Advertise.Addr().IsUnspecified()):
		return fmt.Errorf("advertise %s: others cannot reach it", c.Advertise)
	}
	if len(c.Keys) == 0 {
		for _, a := range append([]netip.AddrPort{c.Bind, c.Advertise}, c.Seeds...) {
			if a.IsValid() && !a.Addr().Unmap().IsLoopback() {
				return fmt.Errorf("%s: a fleet without keys must be on loopback alone; give it a key file", a)
			}
		}
	}
	return c.Self.valid()
}

func newFleet(c Config, o Options) (*Fleet, error) {
	f := &Fleet{
		name: c.Name, id: session.NodeIDOf(c.Name), o: o, keyFile: c.KeyFile, info: c.Self,
		peers: map[uint64]*peer{}, sought: map[netip.AddrPort]*sought{},
		changes: make(chan struct{}, 1), sharedChanges: make(chan struct{}, 1),
		news: make(chan struct{}, 1), heralded: make(chan struct{}, 1), tried: make(chan struct{}),
	}
	if f.log = o.Log; f.log == nil {
		f.log = slog.Default()
	}
	ring, err := seal.NewRing(c.Label, c.Keys)
	if err != nil {
		return nil, err
	}
	w := &wire{network: o.Network, bind: c.Bind, advertise: plain(c.Advertise), dropped: &f.dropped, datagram: f.datagram, stream: f.stream}
	if w.network == nil {
		w.network = Kernel{}
	}
	if err := w.listen(); err != nil {
		return nil, err
	}
	w.endpoint = seal.NewEndpoint(ring, seal.Life{Node: nodeOf(c.Name, w.advertise), Epoch: c.Self.Epoch})
	f.wire = w
	f.ctx, f.cancel = context.WithCancel(context.Background())
	for _, s := range c.Seeds {
		if s = plain(s); s != w.advertise {
			f.sought[s] = &sought{seed: true}
		}
	}
	f.Handle(shareCall, f.answerShares)
	f.Handle(keysCall, f.answerKeys)
	f.renew()
	f.changed()
	f.settle()
	return f, nil
}

// renew makes the present Info news. The caller holds mu, or is alone.
func (f *Fleet) renew() {
	f.seq++
	f.encoded = meta{f.seq, f.info, f.wire.endpoint.Ring().IDs()}.append(newFields())
	f.told = time.Now()
	signal(f.news)
	signal(f.heralded)
}

func (f *Fleet) nodeMeta() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.encoded
}

// herald lets memberlist spread our Info whenever it has changed, for those the
// beats do not reach.
func (f *Fleet) herald() {
	for {
		select {
		case <-f.heralded:
			_ = f.list.UpdateNode(2 * gossipInterval) // it is queued, however long it waits
		case <-f.ctx.Done():
			return
		}
	}
}

// Self is this director in its present life.
func (f *Fleet) Self() session.Owner {
	f.mu.Lock()
	defer f.mu.Unlock()
	return session.Owner{ID: f.id, Epoch: f.info.Epoch}
}

// Address is where the others reach this director.
func (f *Fleet) Address() netip.AddrPort { return f.wire.advertise }

// Members are the other directors, sorted by name: the live ones, and for a day
// those that died or left. There is one of each name and none of our own, see
// [Fleet.Conflicts].
func (f *Fleet) Members() []Member {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Member
	for _, p := range f.chosen() {
		all = append(all, p.member())
	}
	return all
}

// Changes gets something whenever Members or Conflicts have changed, but for the
// members' numbers.
func (f *Fleet) Changes() <-chan struct{} { return f.changes }

// Announce tells the others what is new of this director. All but the numbers
// reaches every live member at once. An epoch of zero is the present one; a
// greater one begins another life.
func (f *Fleet) Announce(i Info) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i.Epoch == 0 {
		i.Epoch = f.info.Epoch
	}
	if err := i.valid(); err != nil {
		return fmt.Errorf("gossip: announce: %w", err)
	}
	if i.Epoch < f.info.Epoch {
		return fmt.Errorf("gossip: announce: epoch %d is before the present, %d", i.Epoch, f.info.Epoch)
	}
	i.Blocks = slices.Clone(i.Blocks)
	was := Member{Info: f.info}
	f.info = i
	if same(was, Member{Info: i}) {
		return nil // the next beat tells the numbers
	}
	f.wire.endpoint.Renew(i.Epoch)
	f.renew()
	f.changed()
	return nil
}

// datagram takes one of a member's.
func (f *Fleet) datagram(from seal.Life, address netip.AddrPort, kind byte, payload []byte) {
	switch kind {
	case forBeat:
		f.heardBeat(from, address, payload)
	case forShare:
		f.heardShare(from, payload)
	case forEngine:
		if t := f.view.Load().byNode[from.Node]; t == nil {
			f.dropped.stranger.Add(1)
		} else if f.o.OnDatagram != nil {
			f.o.OnDatagram(session.Owner{ID: t.id, Epoch: from.Epoch}, payload)
		}
	default: // of a later build
		f.dropped.malformed.Add(1)
	}
}

// stream takes one of a member's, until it is over.
func (f *Fleet) stream(c *seal.Conn, kind byte) {
	t, err := f.await(f.ctx, c.Peer().Node)
	if err != nil {
		f.dropped.stranger.Add(1)
		return
	}
	s := &stream{Conn: c, wire: f.wire}
	switch {
	case kind == toCall:
		f.answerCall(s, t.member)
	case kind == toEngine && f.o.OnStream != nil:
		f.o.OnStream(session.Owner{ID: t.id, Epoch: c.Peer().Epoch}, s)
	default:
		f.dropped.malformed.Add(1)
	}
}

// Send seals one datagram and sends it, best effort. It copies the payload and
// never waits.
func (f *Fleet) Send(to session.NodeID, payload []byte) error {
	t, err := f.find(to)
	if err != nil {
		return err
	}
	if err := f.wire.send(t.life, t.address, forEngine, payload); err != nil {
		return fmt.Errorf("gossip: member %s: send: %w", t.member.Name, err)
	}
	return nil
}

// Leave tells the others that this director goes by its own will, and does not
// speak of itself any more. Close must follow.
func (f *Fleet) Leave(ctx context.Context) error {
	f.mu.Lock()
	if f.gone || f.ctx.Err() != nil {
		f.mu.Unlock()
		return nil
	}
	f.info.State = Leaving
	f.renew()
	f.gone = true
	f.mu.Unlock()
	f.beat(true)
	timeout := time.Second
	if d, ok := ctx.Deadline(); ok {
		timeout = max(time.Millisecond, min(timeout, time.Until(d)))
	}
	err := f.list.Leave(timeout)
	f.beat(true) // the first may have been lost
	if err != nil {
		return fmt.Errorf("gossip: leave: %w", err)
	}
	return nil
}

// Close ends all and waits for it. Without Leave before, the others find this
// director dead.
func (f *Fleet) Close() error {
	var err error
	f.once.Do(func() {
		f.mu.Lock() // whoever starts something holds it
		f.cancel()
		f.mu.Unlock()
		err = errors.Join(f.list.Shutdown())
		f.wire.Close()
		f.wait.Wait()
	})
	return err
}
