package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table writes all that was measured, and below it what was wanted.
func (r *Report) Table(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\n", r.Title, r.Machine)
	if r.Rounds == 1 {
		fmt.Fprintln(w, "One round: no spread is known.")
	} else {
		fmt.Fprintf(w, "%d rounds; each figure is the median, with the least and the greatest beside it.\n", r.Rounds)
	}
	for _, measure := range r.measures() {
		if err := r.section(w, measure); err != nil {
			return err
		}
	}
	if err := r.targets(w); err != nil {
		return err
	}
	if slices.ContainsFunc(r.Results, func(result Result) bool { return result.Idle }) {
		fmt.Fprintln(w, "\n≥: the device had time left. What binds there is the clients' and the server's core; it may be capable of more.")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "\n%s\n", note)
	}
	return nil
}

// section is one measure, a line a device.
func (r *Report) section(w io.Writer, measure string) error {
	peer := find(r.Results, measure, r.Peer)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	first := true
	for i := range r.Results {
		result := &r.Results[i]
		if result.Measure != measure {
			continue
		}
		if first {
			fmt.Fprintf(t, "\n%s%s\t%s\t", strings.ToUpper(measure), fewer(len(result.Values), r.Rounds), result.Unit)
			if peer != nil {
				fmt.Fprintf(t, "\t× %s", r.Peer)
			}
			fmt.Fprintln(t)
			first = false
		}
		s := result.Spread()
		if s.N == 0 {
			fmt.Fprintf(t, "%s\t–\t%s\n", result.Device, brief(result.Failure))
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s", result.Device, result.bound()+figure(s.Median), s.Range())
		switch {
		case result == peer:
			fmt.Fprintf(t, "\t1")
		case peer != nil:
			fmt.Fprintf(t, "\t%s%v", than(result, peer), result.Over(peer))
		}
		if lost := len(result.Values) - s.N; lost > 0 {
			fmt.Fprintf(t, "\t%d of %d rounds failed: %s", lost, len(result.Values), brief(result.Failure))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// fewer says so where a measure was not taken in every round.
func fewer(n, rounds int) string {
	switch {
	case n >= rounds:
		return ""
	case n == 1:
		return ", ONE ROUND"
	}
	return fmt.Sprintf(", %d ROUNDS", n)
}

// bound marks a figure that is not the device's limit.
func (r *Result) bound() string {
	if r.Idle {
		return "≥ "
	}
	return ""
}

// than marks a ratio of such figures.
func than(r, peer *Result) string {
	switch {
	case r == nil || peer == nil || r.Idle == peer.Idle:
		return ""
	case r.Idle:
		return "≥ "
	}
	return "≤ "
}

// targets is what was wanted beside what is.
func (r *Report) targets(w io.Writer) error {
	if len(r.Targets) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "\nTARGET\tDEVICE\tMEASURED\tAT LEAST\tAIM\t\n")
	for i := range r.Targets {
		target := &r.Targets[i]
		s, outcome := target.Judge(r.Results)
		unit, sign := "", "≥ "
		if target.Peer != "" {
			unit = " × " + target.against()
		} else if result := find(r.Results, target.Measure, target.Device); result != nil {
			unit = " " + result.Unit
		}
		if target.AtMost {
			sign = "≤ "
		}
		measured := "–"
		if s.N > 0 {
			measured = target.than(r.Results) + figure(s.Median) + unit
			if s.N > 1 {
				measured += " (" + s.Range() + ")"
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s%s\t%s%s\t%s\n", target.Measure, target.Device, measured,
			sign, figure(target.Least), sign, figure(target.Aim), outcome)
	}
	return t.Flush()
}

// against names the peer, and its measure where that is another.
func (t *Target) against() string {
	if t.PeerMeasure == "" || t.PeerMeasure == t.Measure {
		return t.Peer
	}
	return t.Peer + " at " + lastPart(t.PeerMeasure)
}

// lastPart is what a measure's name ends in, "100 k sessions".
func lastPart(measure string) string {
	return strings.TrimSpace(measure[strings.LastIndex(measure, ",")+1:])
}

// brief is a reason in one line that is not too long; the whole of it is in what
// Save writes.
func brief(reason string) string {
	const most = 100
	line := []rune(strings.Join(strings.Fields(reason), " "))
	if len(line) > most {
		line = append(line[:most], '…')
	}
	return string(line)
}
