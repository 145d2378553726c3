package service

import (
	"cmp"
	"slices"
)

// A span is a run of ports and the service that listens there.
type span struct {
	first, last uint16
	service     *Service
}

// spans are those of one VIP and protocol. A port that no service has to itself
// is looked for here, and so is one that no service has at all: a scan of a VIP's
// ports takes a few nanoseconds more a packet.
type spans struct {
	ranges []span   // in the order of their ports, without overlap
	any    *Service // the ports that are left; nil: nobody's
}

// of returns the service of a port, or nil.
func (s *spans) of(port uint16) *Service {
	lo, hi := 0, len(s.ranges)
	for lo < hi {
		switch mid := (lo + hi) / 2; {
		case port < s.ranges[mid].first:
			hi = mid
		case port > s.ranges[mid].last:
			lo = mid + 1
		default:
			return s.ranges[mid].service
		}
	}
	return s.any
}

// with returns the spans and one more service's.
func (s spans) with(v *Service) spans {
	if v.Port == 0 {
		s.any = v
		return s
	}
	s.ranges = append(slices.Clip(s.ranges), span{v.Port, v.Last, v})
	slices.SortFunc(s.ranges, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	return s
}
