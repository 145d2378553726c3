package nexthop

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"fleetlb/fullnat/packet"
)

const (
	maxWants = 256              // destinations that may wait to be asked for
	wantRate = 512              // destinations asked for in a second, new ones and retries
	checkAll = 30 * time.Second // between readings of everything, in case news was lost
)

// A Watcher follows the kernel's routes and neighbours.
type Watcher struct {
	table   atomic.Pointer[Table]
	changes chan struct{}
	wants   chan packet.Addr
	keep    chan []packet.Addr
	ended   sync.WaitGroup

	// The following belong to run.
	kernel    kernel
	names     []string
	news      *news
	mirror    *mirror
	neighbors map[neighborKey]neighbor
	hops      *hops
	kept      []packet.Addr
	allowance int // destinations that may still be asked for in this second

	generation uint32 // of the present table; 0 is none's

	stale    bool          // the mirror is behind the kernel
	missed   bool          // so are the neighbours
	read     time.Time     // when the mirror was last read
	reading  time.Duration // how long that took
	rebuild  bool          // the table must be built anew
	grown    bool          // hops have been added to it
	turnover bool          // hops have changed
}

// Watch starts to follow the kernel, in the present thread's network namespace,
// until ctx ends. A hop's Port is an index into interfaces. They are followed by
// name: one that is missing is down until it appears, with whatever index.
func Watch(ctx context.Context, interfaces []Interface) (*Watcher, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("next hops: netlink: %w", err)
	}
	news, err := subscribe()
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("next hops: subscribe: %w", err)
	}
	w := &Watcher{
		changes: make(chan struct{}, 1), wants: make(chan packet.Addr, maxWants), keep: make(chan []packet.Addr, 1),
		kernel: kernel{handle}, news: news,
		neighbors: make(map[neighborKey]neighbor), hops: newHops(), allowance: wantRate,
	}
	for _, ifi := range interfaces {
		w.names = append(w.names, ifi.Name)
	}
	if err := w.readAll(); err != nil {
		news.close()
		handle.Close()
		return nil, fmt.Errorf("next hops: %w", err)
	}
	w.rebuild = true
	w.publish()
	w.ended.Go(func() { w.run(ctx) })
	return w, nil
}

// Table returns the present table.
func (w *Watcher) Table() *Table { return w.table.Load() }

// Changes receives after the table has changed, once for any number of changes.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Wait waits until the watcher has ended, after its context has.
func (w *Watcher) Wait() { w.ended.Wait() }

// Want asks for the neighbour on the way to dst to be resolved: the gateway or,
// on-link, dst itself. It never blocks; any worker may call it for any packet.
// Under pressure it forgets, so that whoever still has packets must ask again.
func (w *Watcher) Want(dst packet.Addr) {
	select {
	case w.wants <- dst:
	default:
	}
}

// Keep names the whole set of destinations whose neighbours are to be kept
// resolved whether anything is sent to them or not; gateways always are. Those
// beyond 16,384 on our links are not; the table says how many.
func (w *Watcher) Keep(set []packet.Addr) {
	set = slices.Clone(set)
	for {
		select {
		case w.keep <- set:
			return
		case <-w.keep: // a set that nobody has looked at yet
		}
	}
}

// run is the watcher's life. What it hears of neighbours it publishes at once;
// after any other news it reads all of it again, since the kernel does not
// tell all that follows: routes go unannounced when their interface goes down.
func (w *Watcher) run(ctx context.Context) {
	defer w.kernel.Close()
	defer w.news.close()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-w.news.messages:
			w.hear(m)
		case dst := <-w.wants:
			w.want(dst)
		case set := <-w.keep:
			w.rebuild = w.rebuild || !slices.Equal(set, w.kept)
			w.kept = set
		case <-w.nextReading():
		case now := <-second.C:
			w.allowance = wantRate
			w.refresh(now)
			if now.Sub(w.read) > checkAll {
				w.stale, w.missed = true, true
			}
		}
		w.hearRest()
		w.catchUp()
		w.publish()
	}
}

// hearRest takes what else has arrived, so that it is published together.
func (w *Watcher) hearRest() {
	for range 1024 {
		select {
		case m := <-w.news.messages:
			w.hear(m)
		case dst := <-w.wants:
			w.want(dst)
		default:
			return
		}
	}
}

// hear notes one message of the kernel's; none stands for messages lost.
func (w *Watcher) hear(m *syscall.NetlinkMessage) {
	if m == nil {
		w.stale, w.missed = true, true
		return
	}
	switch m.Header.Type {
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		n, err := netlink.NeighDeserialize(m.Data)
		if err != nil {
			w.missed = true
			return
		}
		if m.Header.Type == unix.RTM_DELNEIGH {
			n.State = netlink.NUD_NONE
		}
		w.meet(n)
	default:
		w.stale = true
	}
}

// meet notes what became of a neighbour.
func (w *Watcher) meet(n *netlink.Neigh) {
	key, now, ok := neighborOf(n)
	if !ok {
		return
	}
	port, ours := w.mirror.portOf(key.index)
	if !ours {
		return
	}
	if now.state == netlink.NUD_NONE {
		delete(w.neighbors, key)
	} else {
		w.neighbors[key] = now
	}
	w.observe(key, port)
}

// observe takes a neighbour's state over to its hops.
func (w *Watcher) observe(key neighborKey, port uint8) {
	n := w.neighbors[key]
	for id := range w.hops.known {
		s := &w.hops.known[id]
		if s.key.addr != key.addr || s.key.port != port || ID(id) == None {
			continue
		}
		w.turnover = true
		if s.observe(n) && s.gateway {
			w.rebuild = true // equal-cost paths pass over gateways that fail
		}
	}
}

// nextReading fires when the kernel is to be read, if it is.
func (w *Watcher) nextReading() <-chan time.Time {
	if !w.stale && !w.missed {
		return nil
	}
	return time.After(time.Until(w.rested()))
}

// rested is when the kernel may be read again. News comes in floods when a
// routing daemon fills its table; reading takes a tenth of the time at most.
func (w *Watcher) rested() time.Time { return w.read.Add(10 * w.reading) }

// catchUp reads the kernel if it has news and enough time has passed.
func (w *Watcher) catchUp() {
	if !w.stale && !w.missed || time.Now().Before(w.rested()) {
		return
	}
	if w.readAll() != nil {
		w.read, w.reading = time.Now(), 10*time.Millisecond // try again, though not at once
	}
}

// readAll reads everything that is not known to be fresh.
func (w *Watcher) readAll() error {
	start := time.Now()
	m, err := w.kernel.mirror(w.names)
	if err != nil {
		return err
	}
	if w.mirror == nil || !slices.Equal(m.ports, w.mirror.ports) {
		w.missed = true
		w.hops.hasten()
	}
	if !reflect.DeepEqual(m, w.mirror) {
		w.mirror = m
		w.rebuild = true
	}
	if w.missed {
		all, err := w.kernel.neighbors(m)
		if err != nil {
			return err
		}
		if !maps.Equal(all, w.neighbors) {
			w.neighbors = all
			w.observeAll()
		}
	}
	w.stale, w.missed = false, false
	w.read, w.reading = time.Now(), time.Since(start)
	return nil
}

// observeAll takes all neighbours' states over to the hops.
func (w *Watcher) observeAll() {
	w.turnover = true
	for id := range w.hops.known {
		s := &w.hops.known[id]
		key := neighborKey{w.mirror.ports[s.key.port].Index, s.key.addr}
		if s.observe(w.neighbors[key]) && s.gateway {
			w.rebuild = true
		}
	}
}

// publish replaces the table if something has changed.
func (w *Watcher) publish() {
	var t Table
	switch {
	case w.rebuild:
		if w.hops.full() {
			w.hops.forget()
		}
		t = *build(w.mirror, w.neighbors, w.hops, w.kept)
		w.generation++
	case w.grown:
		t = *w.table.Load()
		t.onLink = maps.Clone(w.hops.ids)
		t.fill(w.mirror, w.neighbors, w.hops)
		w.generation++
	case w.turnover:
		t = *w.table.Load()
		t.fill(w.mirror, w.neighbors, w.hops)
	default:
		return
	}
	t.generation = w.generation
	w.table.Store(&t)
	if w.rebuild {
		w.refresh(time.Now())
	}
	w.rebuild, w.grown, w.turnover = false, false, false
	select {
	case w.changes <- struct{}{}:
	default:
	}
}
