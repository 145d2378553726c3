package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"time"

	"fleetlb/fullnat"
	"fleetlb/gossip"
	"fleetlb/gossip/replica"
	"fleetlb/node/config"
	"fleetlb/session"
)

// A company is the other directors of the fleet: who they are, and what they and
// we tell each other of sessions. A director that is alone has none.
type company struct {
	members fleet
	engine  replicator
	spoken  chan struct{} // something was shared; see spread.go

	// The rest is owned by the goroutine in run.

	others    []gossip.Member
	conflicts []gossip.Conflict
	syncing   bool   // our tables may be stale
	behind    string // why the last sync is not whole; "": it is
	served    bool   // has announced in this life
	epoch     uint64 // of this life
	state     gossip.State
	digest    uint64 // of the services, as state was told
	numbers   gossip.Numbers
	mute      bool                      // has complained of what cannot be shared
	down      map[session.NodeID]string // servers that others say are down, as they told
	saidDown  string

	offers      map[session.NodeID]map[netip.Addr]bool // VIPs that others could serve: whether they hold them
	holding     map[netip.Addr]bool                    // VIPs that could be served here: whether they are held
	heardOffers map[session.NodeID]string              // offers, as they were told
	saidOffers  string
}

// join makes this director a member of its fleet, if it has one.
func (d *director) join() (leave func(), err error) {
	c := d.config.Gossip
	if c == nil {
		return func() {}, nil
	}
	d.company = &company{spoken: make(chan struct{}, 1), syncing: true, state: gossip.Syncing, epoch: uint64(d.started.UnixNano()), digest: servicesDigest(d.running), down: map[session.NodeID]string{}}
	w := new(wire)
	engine := replica.New(d.self(), w, d.plane, replica.Options{
		Replicas: c.Replicas, Blocks: d.config.Fullnat.LocalAddresses, Log: d.log,
	})
	g := gossip.Config{
		Name: d.config.Node.Name, Bind: c.Bind, Seeds: c.Seeds, Keys: keysOf(c), KeyFile: c.KeyFile, Label: c.Label, Self: d.info(gossip.Numbers{}),
	}
	members, err := gossip.Join(d.life, g, gossip.Options{Log: d.log, OnDatagram: engine.Receive, OnStream: engine.Accept})
	if err != nil {
		return nil, err
	}
	w.fleet.Store(members)
	d.relay.to.Store(engine)
	d.company.members, d.company.engine = members, engine
	d.answerPeers()
	d.meet()

	life, end := context.WithCancel(d.life)
	epoch := d.company.epoch
	var all sync.WaitGroup
	all.Go(func() { engine.Run(life) })
	all.Go(func() { d.report(life) })
	all.Go(func() { d.sync(life, epoch) })
	all.Go(func() { d.listen(life) })
	all.Go(func() { d.templates(life) })
	return func() {
		end()
		all.Wait()
		members.Close()
	}, nil
}

func keysOf(c *config.Gossip) (keys [][]byte) {
	for _, k := range c.Keys {
		keys = append(keys, []byte(k))
	}
	return keys
}

// rekey takes the keys that the key file has now. Only a reload has just read it:
// they may have been changed by command since any configuration was loaded.
func (d *director) rekey(c *config.Gossip) {
	if d.company != nil && c != nil {
		if err := d.company.members.SetKeys(keysOf(c)); err != nil {
			d.log.Error("fleet: " + err.Error())
		}
	}
}

// info is what the others are told of this director.
func (d *director) info(n gossip.Numbers) gossip.Info {
	return gossip.Info{
		Epoch: d.company.epoch, Version: d.version, State: d.company.state,
		Blocks: d.running.Fullnat.LocalAddresses, Config: d.company.digest, Numbers: n,
	}
}

// servicesDigest tells apart what must be the same on every director: the
// services. It is never zero.
func servicesDigest(c *config.Config) uint64 {
	bare := config.Config{Services: c.Services}
	sum := sha256.Sum256(config.Marshal(&bare))
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

// gathered gets something when the fleet has changed; nil, and so never, without
// one.
func (d *director) gathered() <-chan struct{} {
	if d.company == nil {
		return nil
	}
	return d.company.members.Changes()
}

// meet looks who is there and what does not fit.
func (d *director) meet() {
	c := d.company
	c.others = c.members.Members()
	live := make([]replica.Member, 0, len(c.others))
	for _, m := range c.others {
		if m.Alive {
			live = append(live, replica.Member{
				ID: m.ID, Epoch: m.Epoch, Blocks: m.Blocks,
				Serving: m.State == gossip.Serving || m.State == gossip.Draining,
			})
		}
	}
	c.engine.SetMembers(live)
	before := c.conflicts
	c.conflicts = c.members.Conflicts()
	for _, x := range c.conflicts {
		if !containsConflict(before, x) {
			d.log.Error("fleet: " + x.Text)
		}
	}
}

func containsConflict(all []gossip.Conflict, x gossip.Conflict) bool {
	for _, y := range all {
		if y.Kind == x.Kind && y.With.ID == x.With.ID && y.Ours == x.Ours {
			return true
		}
	}
	return false
}

// held says why nothing may be announced yet; "" when nothing holds it.
func (c *company) held() string {
	if c == nil {
		return ""
	}
	if why := c.unfit(); why != "" {
		return why
	}
	if c.syncing {
		return "it learns the fleet's sessions first"
	}
	return ""
}

// unfit says why this director does not fit into the fleet, if it does not.
func (c *company) unfit() string {
	for _, x := range c.conflicts {
		// Services change while a fleet serves, on one director after the other:
		// that must not take the VIPs away. Who only just joins has time to agree.
		if x.Ours && (x.Kind != gossip.ConflictConfig || !c.served) && x.Kind != gossip.ConflictClock {
			return x.Text
		}
	}
	return ""
}

// alone says whether there is nobody to take over what this director carries.
func (c *company) alone() bool {
	if c == nil {
		return true
	}
	for i := range c.others {
		if c.others[i].Alive && c.others[i].State == gossip.Serving {
			return false
		}
	}
	return true
}

// fleetOf is what the workers are told of the fleet; nil without one.
func (d *director) fleetOf() *fullnat.Fleet {
	c := d.company
	if c == nil {
		return nil
	}
	f := &fullnat.Fleet{
		Self:  d.self(),
		Keeps: c.engine.Keeps(), Partly: c.engine.Partly(),
		Fenced: c.syncing, Leaving: d.sharing,
	}
	for _, m := range c.others {
		f.Members = append(f.Members, fullnat.Member{ID: m.ID, Blocks: m.Blocks, Alive: m.Alive, Kept: c.engine.KeepsOf(m.ID)})
	}
	return f
}

// tell lets the fleet know in which state this director is.
func (d *director) tell() {
	c := d.company
	if c == nil {
		return
	}
	state := gossip.Serving
	switch {
	case d.drained:
		state = gossip.Leaving
	case d.draining:
		state = gossip.Draining
	case c.syncing:
		state = gossip.Syncing
	}
	digest := servicesDigest(d.running)
	if state == c.state && digest == c.digest {
		return
	}
	c.state, c.digest = state, digest
	if err := c.members.Announce(d.info(c.numbers)); err != nil {
		d.log.Error("fleet: " + err.Error())
	}
}

// report tells the fleet how this director is.
func (d *director) report(ctx context.Context) {
	tick := time.NewTicker(reportPeriod)
	defer tick.Stop()
	tick.Reset(reportPeriod / 10) // at first, soon
	var before replica.Lag
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			tick.Reset(reportPeriod)
		}
		counters, err := d.plane.Counters(ctx)
		if err != nil {
			continue
		}
		s := d.company.engine.Stats()
		lag := lately(s.Lag, before)
		before = s.Lag
		d.do(ctx, func() error {
			c := d.company
			c.numbers = gossip.Numbers{
				Sessions: uint64(counters.Sessions), Slots: s.Slots, SlotsOf: s.SlotsOf,
				Lag: lag.Quantile(0.5), AtRisk: uint64(s.AtRisk), Suppressed: c.held() != "" && !c.syncing,
			}
			d.exchangeLoads()
			return c.members.Announce(d.info(c.numbers))
		})
	}
}

// lately is what a histogram counted after it was as before.
func lately(now, before replica.Lag) replica.Lag {
	now.Sum -= before.Sum
	for i := range now.Counts {
		now.Counts[i] -= before.Counts[i]
	}
	return now
}

var errAlone = errors.New("there is no [gossip]: this director is alone")

// self is this director in its present life.
func (d *director) self() session.Owner {
	return session.Owner{ID: session.NodeIDOf(d.config.Node.Name), Epoch: d.company.epoch}
}
