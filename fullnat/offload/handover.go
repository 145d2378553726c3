package offload

import (
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A director that is to be replaced at once, by an update of the program, leaves
// its programs and tables to the next one of its name: pinned below pinRoot, with
// a moment in them after which the programs carry nothing. Nothing is pinned
// before: the programs of a director that dies of anything else go with it.

// pinRoot is where; handOverVersion changes with the layout of the tables.
const (
	pinRoot         = "/sys/fs/bpf/fleetlb"
	handOverVersion = "3"
)

// handOverWithin is how long the next director has time to come up.
const handOverWithin = 10 * time.Second

// pinsOf is where those of a director are. A bpf filesystem keeps names with a
// dot for itself.
func pinsOf(node string) string {
	return filepath.Join(pinRoot, strings.ReplaceAll(url.PathEscape(node), ".", "%2E"))
}

// hookName names the program's place at an interface.
func hookName(m mode, index int) string { return fmt.Sprintf("%v-%d", m, index) }

// Heritable says why a director could not hand over.
func Heritable() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(pinRoot), &fs); err != nil || int64(fs.Type) != unix.BPF_FS_MAGIC {
		return errors.New("no bpf filesystem to hand over by: mount -t bpf bpf /sys/fs/bpf")
	}
	return nil
}

// HandOver is Close for a director that is replaced at once by another of the name
// node, which takes over with Inherit: for some seconds more packets are carried.
func (d *Driver) HandOver(node string) error {
	d.heir = node
	d.Close()
	return d.failed
}

// handOver pins what the next director needs.
func (d *Driver) handOver(node string) (err error) {
	dir := filepath.Join(pinsOf(node), handOverVersion)
	defer func() {
		if err != nil {
			os.RemoveAll(pinsOf(node))
			err = fmt.Errorf("hand over: %w", err)
		}
	}()
	if d.mode == off {
		return errors.New("the offload is off")
	}
	if err := os.RemoveAll(pinsOf(node)); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, m := range d.table.maps {
		if err := m.Pin(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for port := range d.sites {
		if s := &d.sites[port]; s.hook != nil {
			if err := s.hook.Pin(filepath.Join(dir, hookName(d.mode, s.index))); err != nil {
				return err
			}
		}
	}
	d.table.Renew(atomic.LoadUint32(&d.table.control.tick), handOverWithin)
	return nil
}

// A Legacy is what a director that ended has left to the next one of its name.
type Legacy struct {
	dir   string
	table Table
	links map[string]link.Link // by hookName
}

// Inherit takes what the director of this name left, if it did and in time. What
// cannot be used is removed, and nil returned.
func Inherit(node string) (*Legacy, error) {
	l := &Legacy{
		dir:   pinsOf(node),
		table: Table{maps: map[string]*ebpf.Map{}}, links: map[string]link.Link{},
	}
	if _, err := os.Stat(l.dir); err != nil {
		return nil, nil
	}
	if err := l.open(); err != nil {
		l.Close()
		return nil, fmt.Errorf("what a former director left: %w", err)
	}
	return l, nil
}

func (l *Legacy) open() (err error) {
	dir := filepath.Join(l.dir, handOverVersion)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("not of this version: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.Contains(e.Name(), "-") {
			l.links[e.Name()], err = link.LoadPinnedLink(path, nil)
		} else {
			l.table.maps[e.Name()], err = ebpf.LoadPinnedMap(path, nil)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range []string{flowsMapBuckets, flowsMapFaces, flowsMapEndsOf, flowsMapHops, flowsMapControl} {
		if l.table.maps[name] == nil {
			return fmt.Errorf("map %s is missing", name)
		}
	}
	t := &l.table
	if err := t.share(Capacity{
		Flows: int(t.maps[flowsMapEndsOf].MaxEntries()) - 1, Hops: int(t.maps[flowsMapHops].MaxEntries()),
	}, int(t.maps[flowsMapBuckets].MaxEntries())); err != nil {
		return err
	}
	if left := l.left(); left <= 0 {
		return fmt.Errorf("%v too late", -left)
	}
	t.Renew(t.control.tick, handOverWithin) // until we are up
	return nil
}

// left is how long the programs would still have carried packets.
func (l *Legacy) left() time.Duration {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &now)
	return time.Duration(l.table.control.until) - time.Duration(now.Nano())
}

// Close removes all that was not taken over.
func (l *Legacy) Close() {
	for _, k := range l.links {
		if k != nil {
			k.Close()
		}
	}
	l.table.Close()
	os.RemoveAll(l.dir)
}

// An Heirloom is a flow of a former director.
type Heirloom struct {
	Flow
	Mode session.Mode
	Idle session.Tick // since its last packet
	Seen [2]Seen      // since it was lifted
}

// GoesTo says whether a flow may lead to a server. Of one that is rewritten its
// tuples tell.
func (h *Heirloom) GoesTo(server packet.Addr, port uint16) bool {
	return !h.direct() || h.To == server && h.ToPort == port
}

// Flows goes through those that were lifted.
func (l *Legacy) Flows() iter.Seq[*Heirloom] { return l.table.Flows() }

// Flows goes through those that are lifted, while none is lifted or dropped.
func (t *Table) Flows() iter.Seq[*Heirloom] {
	return func(yield func(*Heirloom) bool) {
		mask := t.numberMask()
		for i := range t.buckets {
			for _, slot := range t.buckets[i] {
				n := slot & mask
				if n == 0 || n&1 != 0 || int(n) >= len(t.faces) { // once for each: by its first face
					continue
				}
				if h := t.heirloom(n >> 1); !yield(h) {
					return
				}
			}
		}
	}
}

func (t *Table) heirloom(number uint32) *Heirloom {
	f, ends := t.facesOf(number), &t.ends[number]
	h := &Heirloom{Mode: session.FULLNAT}
	h.Client, h.OneWay = t.tuple(number, session.Inbound), !t.has(number, session.Outbound)
	used := false
	for d := range h.Seen {
		if !t.has(number, session.Direction(d)) {
			continue
		}
		face := &f[d]
		h.Seen[d] = Seen{Packets: uint64(face.packets), Bytes: face.bytes, Used: face.used, Next: face.next, Ack: face.ack}
		if idle := session.Tick(t.control.tick - face.used); face.packets > 0 && (!used || idle < h.Idle) {
			h.Idle, used = idle, true
		}
	}
	if kind := f[session.Inbound].kind; kind != rewrite {
		o := t.outer(number)
		h.To, h.ToPort = o.server, o.port
		h.Mode = session.DR
		if kind == tunnel {
			h.Mode = session.TUN
		}
		return h
	}
	if ends[0] == ends[2] {
		h.Mode = session.NAT
	}
	becomes := packet.Tuple{Src: ends[2], Dst: ends[3], Protocol: h.Client.Protocol}
	becomes.SrcPort, becomes.DstPort = splitPorts(f[session.Inbound].newPorts)
	h.Server = becomes.Reverse()
	return h
}
