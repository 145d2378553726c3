package lab

import (
	"errors"
	"strings"
)

// ResetWatch records every TCP reset on a director's ports, to tell those that
// it passed on from those that began there.
type ResetWatch struct{ captures []*Capture }

// WatchResets starts to watch all ports of a director.
func (d *Director) WatchResets() (*ResetWatch, error) {
	w := &ResetWatch{}
	for _, p := range d.Host.Ports {
		c, err := p.Capture(Resets)
		if err != nil {
			return nil, err
		}
		w.captures = append(w.captures, c)
	}
	return w, nil
}

// Born stops the watch and returns the resets that left the director without
// having come in: its own, or worse, its kernel's. Sequence numbers survive
// FULLNAT and tell which are the same.
func (w *ResetWatch) Born() ([]Seen, error) {
	type number struct{ seq, ack uint32 }
	var failed error
	came := make(map[number]bool)
	var left []Seen
	for _, c := range w.captures {
		failed = errors.Join(failed, c.Stop())
		for _, s := range c.Select(func(s Seen) bool { return strings.Contains(s.Flags, "R") }) {
			if s.Outgoing {
				left = append(left, s)
			} else {
				came[number{s.Seq, s.Ack}] = true
			}
		}
	}
	var born []Seen
	for _, s := range left {
		if !came[number{s.Seq, s.Ack}] {
			born = append(born, s)
		}
	}
	return born, failed
}
