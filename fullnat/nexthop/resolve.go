package nexthop

import (
	"time"

	"fleetlb/fullnat/packet"
)

// want makes a hop of an on-link destination and has the neighbour resolved.
func (w *Watcher) want(dst packet.Addr) {
	t := w.table.Load()
	id := t.Lookup(dst)
	if id >= unknown {
		if id = w.meetOnLink(t, dst); id == None {
			return
		}
	}
	if id != None {
		w.ask(id, time.Now())
	}
}

// meetOnLink gives an on-link destination a hop, unless that many are asked for
// already that it must wait.
func (w *Watcher) meetOnLink(t *Table, dst packet.Addr) ID {
	key, ok := t.neighborOf(dst)
	if !ok || w.allowance == 0 {
		return None
	}
	if id, known := w.hops.ids[key]; known { // though not published yet
		return id
	}
	if w.hops.full() {
		w.hops.forget()
		w.rebuild = true
	}
	w.grown = true
	return w.hops.id(key)
}

// refresh asks for those kept hops whose neighbour is not confirmed.
func (w *Watcher) refresh(now time.Time) {
	for id := range w.hops.known {
		if w.hops.known[id].kept {
			w.ask(ID(id), now)
		}
	}
}

// ask has the kernel resolve a hop's neighbour if that is due.
func (w *Watcher) ask(id ID, now time.Time) {
	s := &w.hops.known[id]
	port := &w.mirror.ports[s.key.port]
	key := neighborKey{port.Index, s.key.addr}
	if !port.Up || w.allowance == 0 || !s.due(w.neighbors[key], now) {
		return
	}
	w.allowance--
	// An error means that the interface has just gone or the kernel's neighbour
	// table is full; either way the hop stays unresolved and is asked for again.
	w.kernel.solicit(key)
}
