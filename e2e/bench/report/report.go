package report

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// A Report is one run: what was measured, on what, and what was wanted.
type Report struct {
	Title   string   `json:"title"`
	Machine string   `json:"machine"`
	When    string   `json:"when"`
	Peer    string   `json:"peer"` // with whom everybody is compared
	Rounds  int      `json:"rounds"`
	Notes   []string `json:"notes,omitempty"` // what one must know to read it
	Results []Result `json:"results"`
	Targets []Target `json:"targets"`
	Panels  []Panel  `json:"panels"`
}

// A Panel is one picture of several: bars in groups, a group a measure.
type Panel struct {
	Title  string  `json:"title"`
	Unit   string  `json:"unit"`
	Groups []Group `json:"groups"`
	Less   bool    `json:"less,omitempty"` // less is better
}

// A Group names a measure among the groups of a panel.
type Group struct {
	Name    string `json:"name"`
	Measure string `json:"measure"`
}

// Add appends a round's value to a measure of a device, NaN with the reason why
// there is none. The result is the report's until the next Add.
func (r *Report) Add(measure, device, unit string, value float64, failure string) *Result {
	result := find(r.Results, measure, device)
	if result == nil {
		r.Results = append(r.Results, Result{Measure: measure, Device: device, Unit: unit})
		result = &r.Results[len(r.Results)-1]
	}
	result.Values = append(result.Values, value)
	if failure != "" {
		result.Failure = failure
	}
	return result
}

// measures lists what was measured, devices who was, in the order of the results.
func (r *Report) measures() (names []string) {
	for i := range r.Results {
		if name := r.Results[i].Measure; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (r *Report) devices() (names []string) {
	for i := range r.Results {
		if name := r.Results[i].Device; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Save writes the report as JSON.
func (r *Report) Save(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("report %s: %w", path, err)
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// Load reads what Save wrote.
func Load(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("report %s: %w", path, err)
	}
	return r, nil
}
