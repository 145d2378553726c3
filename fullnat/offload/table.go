package offload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A Table holds the lifted sessions. A flow belongs to whoever lifts under its
// number: calls about one flow must not overlap, those about different ones may.
type Table struct {
	maps   map[string]*ebpf.Map
	memory [][]byte

	seed    uint64
	buckets []bucket
	faces   []face // by number: that of the flow twice, and the direction
	ends    []ends // by number of the flow
	hops    []hopWords
	control *control

	told    []told   // by face
	dropped []uint32 // by flow: the period in which it was last dropped; 0: never
	grace   *grace
	lifted  atomic.Int64
}

// told is how much of what a face has carried is known.
type told struct {
	packets uint32
	bytes   [2]uint32 // from the low end: the whole takes 12 bytes, not 16
}

// Capacity says how much a table can hold.
type Capacity struct {
	Flows int // numbers run from 1 to Flows
	Hops  int // indices run from 0 to Hops-1
}

var errNotPermitted = errors.New("not permitted: run as root or with CAP_BPF and CAP_NET_ADMIN")

// NewTable makes an empty table. All its memory is taken at once: about 230
// bytes a flow.
func NewTable(c Capacity) (*Table, error) {
	if c.Flows < 1 || c.Flows >= 1<<26 || c.Hops < 1 || c.Hops > 1<<24 {
		panic("offload: table for impossible flows or hops")
	}
	spec, err := loadFlows()
	if err != nil {
		return nil, err
	}
	n := bucketsFor(c.Flows)
	t := &Table{
		maps: map[string]*ebpf.Map{}, seed: rand.Uint64(),
		told: make([]told, 2*(c.Flows+1)), dropped: make([]uint32, c.Flows+1),
	}
	for name, entries := range map[string]int{
		flowsMapBuckets: n, flowsMapFaces: 2 * (c.Flows + 1), flowsMapEndsOf: c.Flows + 1, flowsMapHops: c.Hops, flowsMapControl: 1, flowsMapPorts: maxPorts,
	} {
		spec.Maps[name].MaxEntries = uint32(entries)
		if t.maps[name], err = ebpf.NewMap(spec.Maps[name]); err != nil {
			t.Close()
			return nil, explain(name, err)
		}
	}
	if err := t.share(c, n); err != nil {
		t.Close()
		return nil, err
	}
	t.grace = newGrace()
	return t, nil
}

// bucketsFor returns how many buckets a number of flows wants: two thirds full
// when every flow has both faces. One in a hundred is then in the second of its
// pair, and one in a thousand finds no room in either.
func bucketsFor(flows int) int {
	n := (2*flows*3 + 2*slots - 1) / (2 * slots)
	return n + n&1
}

// explain names the cure of an error of loading, where there is one.
func explain(what string, err error) error {
	if errors.Is(err, unix.EPERM) {
		return errNotPermitted
	}
	if errors.Is(err, unix.ENOMEM) {
		return fmt.Errorf("map %s: %w: lower node.max_sessions", what, err)
	}
	return fmt.Errorf("map %s: %w", what, err)
}

// share maps the tables into our memory.
func (t *Table) share(c Capacity, buckets int) (err error) {
	if t.buckets, err = shared[bucket](t, flowsMapBuckets, buckets); err != nil {
		return err
	}
	if t.faces, err = shared[face](t, flowsMapFaces, 2*(c.Flows+1)); err != nil {
		return err
	}
	if t.ends, err = shared[ends](t, flowsMapEndsOf, c.Flows+1); err != nil {
		return err
	}
	if t.hops, err = shared[hopWords](t, flowsMapHops, c.Hops); err != nil {
		return err
	}
	one, err := shared[control](t, flowsMapControl, 1)
	if err != nil {
		return err
	}
	t.control = &one[0]
	return nil
}

// shared returns the n elements of a map where they are.
func shared[T any](t *Table, name string, n int) ([]T, error) {
	var element T
	size := n * int(unsafe.Sizeof(element))
	page := unix.Getpagesize()
	b, err := unix.Mmap(t.maps[name].FD(), 0, (size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: mmap: %w", name, err)
	}
	t.memory = append(t.memory, b)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n), nil
}

// Close gives the table up. Nobody may use it any more.
func (t *Table) Close() {
	if t.grace != nil {
		t.grace.close()
	}
	for _, b := range t.memory {
		unix.Munmap(b)
	}
	for _, m := range t.maps {
		m.Close()
	}
}

// Renew lets the programs carry packets until so long from now, and tells them
// what tick to say they did it in.
func (t *Table) Renew(tick uint32, valid time.Duration) {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &now)
	atomic.StoreUint32(&t.control.tick, tick)
	atomic.StoreUint64(&t.control.until, uint64(now.Nano())+uint64(valid))
}

// Lifted is how many flows there are.
func (t *Table) Lifted() int { return int(t.lifted.Load()) }

// Cap is how many there can be.
func (t *Table) Cap() int { return len(t.ends) - 1 }

// A Flow is what the programs are told of a session: how it is known on either
// side. Packets of one face become packets of the other, turned round. Without a
// Server what the client sends goes to its next hop as it is (direct routing).
type Flow struct {
	Client packet.Tuple // what the client sends, as it comes
	Server packet.Tuple // what the server sends; zero: it passes by
	OneWay bool         // only what the client sends is carried
	Outer  []byte       // with no Server: the IP header, and what follows, of a packet around each
	To     packet.Addr  // with no Server: which one it goes to, for the next director
	ToPort uint16
	Hops   [2]HopRef // towards the server, towards the client
}

// face is the tuple of packets that go d as they come, and as they leave.
func (f *Flow) face(d session.Direction) (is, becomes packet.Tuple) {
	switch {
	case f.direct():
		return f.Client, f.Client
	case d == session.Inbound:
		return f.Client, f.Server.Reverse()
	}
	return f.Server, f.Client.Reverse()
}

// faces is how many directions are carried.
func (f *Flow) faces() session.Direction {
	if f.OneWay || f.direct() {
		return 1
	}
	return 2
}

func (f *Flow) direct() bool { return f.Server == packet.Tuple{} }

// ends are the four addresses of the flow.
func (f *Flow) ends() ends {
	if f.direct() {
		return ends{f.Client.Src, f.Client.Dst, f.Client.Src, f.Client.Dst}
	}
	return ends{f.Client.Src, f.Client.Dst, f.Server.Dst, f.Server.Src}
}
