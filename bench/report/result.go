// Package report sets measurements of several devices beside each other.
//
// A [Result] holds one measure of one device, a value a round. Devices take
// turns within a round, so values with the same index were measured within
// seconds of each other: the ratio of two devices is taken round by round, and
// what is claimed is the median of those ratios with their spread. Absolute
// figures of a shared machine drift; ratios hold.
package report

// A Result is one measure of one device.
type Result struct {
	Measure string    // what was measured, "established, 64 B, 100 sessions"
	Device  string    // what carried it, "nftables"
	Unit    string    // "round trips/s", "µs", "B"
	Values  []float64 // one a round, in the order of the rounds
}
