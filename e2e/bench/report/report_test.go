package report

import (
	"bytes"
	"flag"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is a run of three rounds in which one device failed always and one once.
func sample() *Report {
	r := &Report{
		Title: "fleetlb beside its peers", Machine: "2 × Some CPU, Linux 6.18", When: "1 January 2030", Peer: "nftables", Rounds: 3,
		Notes: []string{"All devices had one core."},
	}
	missing := math.NaN()
	add := func(measure, device, unit string, values ...float64) {
		for _, v := range values {
			failure := ""
			if math.IsNaN(v) {
				failure = "device: open: no such thing"
			}
			r.Add(measure, device, unit, v, failure)
		}
	}
	for _, m := range []struct {
		name  string
		share float64
	}{{"64 B, 100 sessions", 1}, {"64 B, 100 k sessions", 0.9}, {"64 B, 1 M sessions", 0.5}} {
		measure, share := "established, "+m.name, m.share
		add(measure, "bare XDP", "round trips/s", 1.5e6*share, 1.52e6*share, 1.49e6*share)
		add(measure, "kernel forwarding", "round trips/s", 385e3, 381e3, 390e3)
		add(measure, "nftables", "round trips/s", 240e3*share, 252e3*share, 239e3*share)
		add(measure, "fleetlb, offload", "round trips/s", 1.05e6*share, 1.01e6*share, 1.04e6*share)
		add(measure, "fleetlb, offload off", "round trips/s", 101e3*share, missing, 99e3*share)
	}
	for device, values := range map[string][]float64{"HAProxy": {21e3, 22e3, 20e3}} {
		add("new TCP connections", "nftables", "connections/s", 61e3, 64e3, 66e3)
		add("new TCP connections", "fleetlb, offload", "connections/s", 55e3, 50e3, 48e3)
		add("new TCP connections", device, "connections/s", values...)
		add("new TCP connections", "bare XDP", "connections/s", missing, missing, missing)
	}
	add("added latency at half load, p99", "nftables", "µs", 30, 31, 35)
	add("added latency at half load, p99", "fleetlb, offload", "µs", 12, 11, 14)
	for i, device := range []string{"kernel forwarding", "nftables", "HAProxy", "fleetlb, offload", "fleetlb, offload off"} {
		add("iperf3, CPU", device, "CPU ms a Gbit", 50+10*float64(i), 51+10*float64(i), 53+9*float64(i))
	}
	add("memory, a session", "fleetlb, offload off", "B", 122)

	find(r.Results, "established, 64 B, 100 sessions", "bare XDP").Idle = true

	r.Targets = []Target{
		{Measure: "established, 64 B, 100 sessions", Device: "fleetlb, offload", Peer: "nftables", Least: 4, Aim: 5},
		{Measure: "established, 64 B, 100 sessions", Device: "fleetlb, offload", Peer: "bare XDP", Least: 0.65, Aim: 0.8},
		{Measure: "established, 64 B, 1 M sessions", Device: "fleetlb, offload", Peer: "nftables", PeerMeasure: "established, 64 B, 100 k sessions", Least: 2, Aim: 2.2},
		{Measure: "established, 64 B, 100 sessions", Device: "fleetlb, offload off", Peer: "nftables", Least: 0.5, Aim: 1},
		{Measure: "new TCP connections", Device: "fleetlb, offload", Peer: "nftables", Least: 0.75, Aim: 1.5},
		{Measure: "memory, a session", Device: "fleetlb, offload off", Least: 160, Aim: 128, AtMost: true},
		{Measure: "iperf3", Device: "fleetlb, offload", Peer: "kernel forwarding", Least: 0.5, Aim: 1},
	}
	r.Panels = []Panel{
		{Title: "Established, 64 B", Unit: "round trips/s", Groups: []Group{
			{"100 sessions", "established, 64 B, 100 sessions"}, {"100 k", "established, 64 B, 100 k sessions"}, {"1 M", "established, 64 B, 1 M sessions"},
		}},
		{Title: "New TCP connections", Unit: "connections/s", Groups: []Group{{"", "new TCP connections"}}},
		{Title: "Latency", Unit: "µs", Less: true, Groups: []Group{{"p99", "added latency at half load, p99"}}},
		{Title: "iperf3 through each", Unit: "CPU ms a Gbit", Less: true, Groups: []Group{{"", "iperf3, CPU"}}},
		{Title: "Nobody was asked", Unit: "s", Groups: []Group{{"", "patience"}}},
	}
	return r
}

func TestTable(t *testing.T) {
	var got bytes.Buffer
	if err := sample().Table(&got); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "table.txt")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("the table (-want +got; go test -update writes it):\n%s", diff)
	}
}

// Rounds are paired: what shakes both devices of a round does not shake their
// ratio.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	peer := &Result{Values: []float64{100, 200, 50, math.NaN(), 10}}
	us := &Result{Values: []float64{200, 410, 100, 7, math.NaN()}}
	want := Spread{Median: 2, Min: 2, Max: 2.05, N: 3}
	if got := us.Over(peer); !cmp.Equal(got, want, cmpopts.EquateApprox(0, 1e-9)) {
		t.Errorf("ratio %+v, want %+v", got, want)
	}
	for name, s := range map[string]Spread{
		"a peer that was not measured":   us.Over(nil),
		"a device that was not measured": (*Result)(nil).Over(peer),
		"no round in common":             (&Result{Values: []float64{math.NaN(), 1}}).Over(&Result{Values: []float64{1}}),
		"a peer that carried nothing":    (&Result{Values: []float64{5}}).Over(&Result{Values: []float64{0}}),
	} {
		if s.N != 0 || s.String() != "–" {
			t.Errorf("%s: ratio %v, want none", name, s)
		}
	}
}

func TestJudge(t *testing.T) {
	results := []Result{
		{Measure: "m", Device: "us", Values: []float64{10, 12, 8}},
		{Measure: "m", Device: "peer", Values: []float64{10, 10, 10}},
		{Measure: "n", Device: "peer", Values: []float64{100, 100, 100}},
	}
	tests := []struct {
		name   string
		target Target
		want   Outcome
	}{
		{"the median decides", Target{Least: 0.5, Aim: 1, Peer: "peer"}, Aimed},
		{"every round is enough", Target{Least: 0.8, Aim: 1.1, Peer: "peer"}, Reached},
		{"a round is not", Target{Least: 0.9, Aim: 1.1, Peer: "peer"}, Partly},
		{"nor is the median", Target{Least: 1.1, Aim: 1.3, Peer: "peer"}, Missed},
		{"another measure of the peer's", Target{Least: 0.2, Aim: 1, Peer: "peer", PeerMeasure: "n"}, Missed},
		{"the figure itself", Target{Least: 8, Aim: 11}, Reached},
		{"small enough", Target{Least: 20, Aim: 10, AtMost: true}, Aimed},
		{"not always", Target{Least: 11, Aim: 9, AtMost: true}, Partly},
		{"too much", Target{Least: 9, Aim: 8, AtMost: true}, Missed},
		{"no such peer", Target{Least: 0, Aim: 0, Peer: "nobody"}, Unmeasured},
	}
	for _, tt := range tests {
		tt.target.Measure, tt.target.Device = "m", "us"
		if s, got := tt.target.Judge(results); got != tt.want {
			t.Errorf("%s: %v, want %v (%+v)", tt.name, got, tt.want, s)
		}
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.00123: "0.0012", 0.4567: "0.457", 0.9996: "1", 4.3: "4.3", 12.34: "12.3", 122: "122", 1234: "1230", 9996: "10 k",
		23_456: "23.5 k", 999_400: "999 k", 999_900: "1 M", 1_520_000: "1.52 M", 8.12e9: "8.12 G", -5: "-5", math.NaN(): "–",
	} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
}

// What is saved is what was measured, rounds without a value included.
func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	want := sample()
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("loaded (-saved +loaded):\n%s", diff)
	}
	if err := os.WriteFile(path, []byte(`{"rounds": "many"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), "report "+path+": ") {
		t.Errorf("a file that is no report: error %v", err)
	}
}

// The picture shows who was measured, what came out and how it compares; what
// was not measured leaves no hole.
func TestPictures(t *testing.T) {
	r := sample()
	svg, err := r.SVG()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"fleetlb beside its peers", "2 × Some CPU, Linux 6.18 · 1 January 2030",
		"bare XDP", "kernel forwarding", "nftables", "fleetlb, offload", "fleetlb, offload off", "HAProxy",
		"Established, 64 B", "100 k", "New TCP connections", "µs (less is better)",
		"≥ 6.2×",       // whose core had time left
		"4.4×",         // 1.05 M of 240 k
		"0.42×",        // 100 k of 240 k
		"50 k", "64 k", // of a panel with one group
	} {
		if !bytes.Contains(svg, []byte(">"+want+"<")) {
			t.Errorf("the picture does not say %q", want)
		}
	}
	for _, no := range []string{"Nobody was asked", "NaN", "Inf"} {
		if bytes.Contains(svg, []byte(no)) {
			t.Errorf("the picture says %q", no)
		}
	}
	b, err := r.PNG()
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("PICTURES"); dir != "" { // to be looked at
		r.SavePictures(filepath.Join(dir, "sample"))
	}
	picture, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[any]bool{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			seen[picture.At(x, y)] = true
		}
	}
	for device, c := range colours {
		if !seen[c] {
			t.Errorf("%s has no bar in its colour", device)
		}
	}
}

// A run in which nothing could be measured still has its table and picture.
func TestNothing(t *testing.T) {
	r := &Report{Peer: "nftables", Panels: sample().Panels, Targets: sample().Targets}
	var table bytes.Buffer
	if err := r.Table(&table); err != nil || !strings.Contains(table.String(), string(Unmeasured)) {
		t.Errorf("the table: %v\n%s", err, table.String())
	}
	if err := r.SavePictures(filepath.Join(t.TempDir(), "p")); err != nil {
		t.Error(err)
	}
}
