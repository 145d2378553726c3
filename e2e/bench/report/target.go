package report

// A Target is what one measure of one device is to reach.
type Target struct {
	Measure string `json:"measure"`
	Device  string `json:"device"`

	// Whose figure it is held against, as a ratio. Without a peer the figure
	// itself is judged.
	Peer        string `json:"peer,omitempty"`
	PeerMeasure string `json:"peer_measure,omitempty"` // "": the same

	Least  float64 `json:"least"`
	Aim    float64 `json:"aim"`
	AtMost bool    `json:"at_most,omitempty"` // smaller is better: Least and Aim are bounds from above
}

// An Outcome says whether a target was reached.
type Outcome string

const (
	Unmeasured Outcome = "not measured"
	Missed     Outcome = "missed"
	Partly     Outcome = "reached, not in every round"
	Reached    Outcome = "reached"
	Aimed      Outcome = "aim reached"
)

// Judge sets what was measured against a target. The median decides.
func (t *Target) Judge(results []Result) (Spread, Outcome) {
	r := find(results, t.Measure, t.Device)
	s := r.Spread()
	if t.Peer != "" {
		s = r.Over(t.peer(results))
	}
	worst := s.Min
	reaches := func(v, bound float64) bool { return v >= bound }
	if t.AtMost {
		worst = s.Max
		reaches = func(v, bound float64) bool { return v <= bound }
	}
	switch {
	case s.N == 0:
		return s, Unmeasured
	case reaches(s.Median, t.Aim):
		return s, Aimed
	case !reaches(s.Median, t.Least):
		return s, Missed
	case !reaches(worst, t.Least):
		return s, Partly
	}
	return s, Reached
}

// peer is the result that a ratio is taken to.
func (t *Target) peer(results []Result) *Result {
	measure := t.PeerMeasure
	if measure == "" {
		measure = t.Measure
	}
	return find(results, measure, t.Peer)
}

// than marks a ratio of which one side may be capable of more.
func (t *Target) than(results []Result) string {
	return than(find(results, t.Measure, t.Device), t.peer(results))
}

// find returns a measure of a device, nil if there is none.
func find(results []Result, measure, device string) *Result {
	for i := range results {
		if r := &results[i]; r.Measure == measure && r.Device == device {
			return r
		}
	}
	return nil
}
