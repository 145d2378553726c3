package main

import "math"

// at returns the point of the curve at so many sessions; below and above it, the
// nearest there is.
func at(sessions float64) point {
	best := curve[0]
	for _, p := range curve {
		if p.sessions <= sessions {
			best = p
		}
	}
	return best
}

// A mix is what fills a line: so many frames of each length, from the Ethernet
// header to the checksum behind it.
type mix struct {
	name   string
	frames map[float64]float64
}

var traffic = []mix{
	{"64 B frames", map[float64]float64{64: 1}},
	{"IMIX: 7 × 64, 4 × 594, 1 × 1,518 B", map[float64]float64{64: 7, 594: 4, 1518: 1}},
	{"1,400 B segments", map[float64]float64{1400 + 20 + 20 + 14 + 4: 1}},
}

// gap is what Ethernet puts between frames: preamble and pause.
const gap = 20

// packets is how many a second fill a line of so many bits a second.
func (m mix) packets(line float64) float64 {
	n, size := 0.0, 0.0
	for length, times := range m.frames {
		n += times
		size += times * (length + gap)
	}
	return line / 8 / (size / n)
}

// opening returns what a session costs with so many others, as far as that was
// measured.
func opening(sessions float64) (ns float64) {
	for _, p := range curve {
		if p.sessions <= sessions && p.open > 0 {
			ns = p.open
		}
	}
	return ns
}

// A fleet is directors that open so many sessions a second each.
type fleet struct {
	directors int
	rate      float64
}

const (
	replicas = 2
	pace     = 1e-3 // seconds between datagrams to one director that are not full
	lasting  = 100  // seconds that a session lasts, where the page does not say

	sealBytes  = 48                // gossip/seal.Overhead
	frameBytes = 8 + 20 + 18 + gap // UDP, IPv4, Ethernet
	fill       = 1300              // bytes of records that a datagram takes
)

func (f fleet) copies() float64 { return float64(min(replicas, f.directors-1)) }

// waiting is how many records there are for one director, on average, when a
// datagram to it leaves: a session's life is lifeRecords of them.
func (f fleet) waiting() float64 {
	return lifeRecords * f.rate * f.copies() * pace / float64(f.directors-1)
}

// share is which share of a datagram a record has: those that arrive by chance,
// together with one that does.
func (f fleet) share() float64 {
	m := f.waiting()
	return max((1-math.Exp(-m))/m, recordBytes/fill)
}

func (f fleet) together() float64 { return 1 / f.share() }

// told is how many bytes of payload it takes to tell a session once, to all its
// keepers. The simulation bears it out: see copyCost in package replica.
func (f fleet) told() float64 {
	return f.copies() * (recordBytes + datagramBytes*f.share())
}

// life is how many bytes on the wire a session takes from its beginning to its
// end, with seals and headers of datagrams and acknowledgements.
func (f fleet) life() float64 {
	const each = datagramBytes + 2*(sealBytes+frameBytes)
	return f.copies() * (lifeBytes + lifeRecords*each*f.share())
}

// busy is which share of a core replication takes of each director: what it sends,
// and as much that it receives.
func (f fleet) busy() float64 {
	records := f.rate * f.copies() * lifeRecords
	datagrams := 2 * records * f.share() // with their acknowledgements
	return (records*(tellNs/replicas+receiveNs) + datagrams*(sendNs+openNs)) / 1e9
}
