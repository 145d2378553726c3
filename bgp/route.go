package bgp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Route is one prefix to announce.
type Route struct {
	Prefix           netip.Prefix `json:"prefix"`
	Prepend          int          `json:"prepend,omitempty"`           // the larger, the less wanted: our ASN this many times more, or LOCAL_PREF as much below 100
	MED              uint32       `json:"med,omitempty"`               // added to the neighbour's
	Communities      []string     `json:"communities,omitempty"`       // "65000:100" or a well-known name
	LargeCommunities []string     `json:"large_communities,omitempty"` // "65000:1:2"
}

// Equal reports whether r and o announce the same thing.
func (r Route) Equal(o Route) bool {
	return r.Prefix == o.Prefix && r.Prepend == o.Prepend && r.MED == o.MED &&
		slices.Equal(r.Communities, o.Communities) && slices.Equal(r.LargeCommunities, o.LargeCommunities)
}

func (r Route) check() error {
	switch {
	case !r.Prefix.IsValid() || r.Prefix.Addr().Is4In6():
		return errors.New("not a prefix")
	case r.Prefix != r.Prefix.Masked():
		return fmt.Errorf("has host bits set; did you mean %v?", r.Prefix.Masked())
	case r.Prepend < 0 || r.Prepend > maxPrepend:
		return fmt.Errorf("prepend %d is not between 0 and %d", r.Prepend, maxPrepend)
	}
	return checkCommunities(r.Communities, r.LargeCommunities)
}

// checkRoutes checks the whole set, which holds each prefix once.
func checkRoutes(routes []Route) error {
	seen := make(map[netip.Prefix]bool, len(routes))
	for _, r := range routes {
		if err := r.check(); err != nil {
			return fmt.Errorf("bgp: route %v: %w", r.Prefix, err)
		}
		if seen[r.Prefix] {
			return fmt.Errorf("bgp: route %v: given twice", r.Prefix)
		}
		seen[r.Prefix] = true
	}
	return nil
}

// wellKnown are the community names operators write (RFC 1997, RFC 7999,
// RFC 8326).
var wellKnown = map[string]uint32{
	"graceful-shutdown":   0xffff0000,
	"blackhole":           0xffff029a,
	"no-export":           0xffffff01,
	"no-advertise":        0xffffff02,
	"no-export-subconfed": 0xffffff03,
	"no-peer":             0xffffff04,
}

func checkCommunities(standard, large []string) error {
	for _, s := range standard {
		if _, err := parseCommunity(s); err != nil {
			return err
		}
	}
	for _, s := range large {
		if _, err := parseLargeCommunity(s); err != nil {
			return err
		}
	}
	return nil
}

// parseCommunity reads "65000:100" or a well-known name, and refuses what
// would be taken for a mark of our own.
func parseCommunity(s string) (uint32, error) {
	if v, ok := wellKnown[s]; ok {
		return v, nil
	}
	parts, ok := numbers(s, 2, 16)
	if !ok {
		return 0, fmt.Errorf("community %q is not two numbers up to 65535 as in \"65000:100\"", s)
	}
	if c := parts[0]<<16 | parts[1]; c > mark(0) && c <= mark(maxPrepend) {
		return 0, fmt.Errorf("community %q is reserved", s)
	}
	return parts[0]<<16 | parts[1], nil
}

// parseLargeCommunity reads "65000:1:2" (RFC 8092).
func parseLargeCommunity(s string) ([3]uint32, error) {
	parts, ok := numbers(s, 3, 32)
	if !ok {
		return [3]uint32{}, fmt.Errorf("large community %q is not three numbers as in \"65000:1:2\"", s)
	}
	return [3]uint32(parts), nil
}

func numbers(s string, count, bits int) ([]uint32, bool) {
	fields := strings.Split(s, ":")
	if len(fields) != count {
		return nil, false
	}
	out := make([]uint32, count)
	for i, f := range fields {
		v, err := strconv.ParseUint(f, 10, bits)
		if err != nil {
			return nil, false
		}
		out[i] = uint32(v)
	}
	return out, true
}
