// Package report sets measurements of several devices beside each other.
//
// A [Result] holds one measure of one device, a value a round. Devices take
// turns within a round, so values with the same index were measured within
// seconds of each other: the ratio of two devices is taken round by round, and
// what is claimed is the median of those ratios with their spread. Absolute
// figures of a shared machine drift; ratios hold.
package report

import (
	"encoding/json"
	"math"
	"slices"
)

// A Result is one measure of one device.
type Result struct {
	Measure string    // what was measured, "established, 64 B, 100 sessions"
	Device  string    // what carried it, "nftables"
	Unit    string    // "round trips/s", "µs", "B"
	Values  []float64 // one a round, in the order of the rounds; NaN: the round has none
	Failure string    // why a round has none, in the words of the last
	Idle    bool      // the device had time left: it may be capable of more
}

// A Spread is the median of some values between the least and the greatest.
type Spread struct {
	Median, Min, Max float64
	N                int // how many there are; 0: nothing is known
}

// Spread is that of the rounds.
func (r *Result) Spread() Spread {
	if r == nil {
		return Spread{}
	}
	return spread(r.Values)
}

// Over is the spread of the ratios to a peer, round by round. A round that one
// of both has not counts for neither.
func (r *Result) Over(peer *Result) Spread {
	if r == nil || peer == nil {
		return Spread{}
	}
	var ratios []float64
	for i := range min(len(r.Values), len(peer.Values)) {
		ratios = append(ratios, r.Values[i]/peer.Values[i])
	}
	return spread(ratios)
}

func spread(values []float64) Spread {
	known := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	n := len(known)
	if n == 0 {
		return Spread{}
	}
	slices.Sort(known)
	return Spread{Median: (known[(n-1)/2] + known[n/2]) / 2, Min: known[0], Max: known[n-1], N: n}
}

// MarshalJSON writes a round without a value as null.
func (r Result) MarshalJSON() ([]byte, error) {
	values := make([]*float64, len(r.Values))
	for i := range r.Values {
		if v := r.Values[i]; !math.IsNaN(v) && !math.IsInf(v, 0) {
			values[i] = &v
		}
	}
	return json.Marshal(resultJSON{r.Measure, r.Device, r.Unit, values, r.Failure, r.Idle})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Result) UnmarshalJSON(b []byte) error {
	var in resultJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*r = Result{Measure: in.Measure, Device: in.Device, Unit: in.Unit, Failure: in.Failure, Idle: in.Idle}
	for _, v := range in.Values {
		if v == nil {
			r.Values = append(r.Values, math.NaN())
		} else {
			r.Values = append(r.Values, *v)
		}
	}
	return nil
}

type resultJSON struct {
	Measure string     `json:"measure"`
	Device  string     `json:"device"`
	Unit    string     `json:"unit"`
	Values  []*float64 `json:"values"`
	Failure string     `json:"failure,omitempty"`
	Idle    bool       `json:"idle,omitempty"`
}
