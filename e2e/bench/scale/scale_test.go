package main

import (
	"math"
	"os"
	"strings"
	"testing"
)

// TestPage: the page shows what the formulae say.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../performance.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	tables(&want)
	for _, table := range strings.Split(want.String(), "\n\n") {
		if !strings.Contains(string(page), strings.TrimSpace(table)) {
			t.Errorf("e2e/bench/performance.md does not have this table of `go run ./e2e/bench/scale`:\n%s", table)
		}
	}
}

// TestFormulae holds them to what is known otherwise.
func TestFormulae(t *testing.T) {
	for _, tt := range []struct {
		name         string
		is, want, of float64 // want ± of it
	}{
		{"the wire's own rate of 64 B frames", traffic[0].packets(10e9), 14.88e6, 0.001},
		{"the mean frame of IMIX", 1e9 / 8 / traffic[1].packets(1e9), 361.8 + gap, 0.01},
		// of TestScale: 2,000 sessions a second, told alone, in bursts of 5 ms
		{"the simulation of 3", fleet{3, 2000. * 5 / lifeRecords}.told(), 97, 0.05},
		{"the simulation of 16", fleet{16, 2000. * 5 / lifeRecords}.told(), 145, 0.05},
		{"the simulation of 64", fleet{64, 2000. * 5 / lifeRecords}.told(), 174, 0.05},
		{"a fleet without end", fleet{10000, 1}.told(), 2 * (recordBytes + datagramBytes), 0.01},
		{"two directors keep one copy", fleet{2, 1}.copies(), 1, 0},
	} {
		if math.Abs(tt.is-tt.want) > tt.of*tt.want {
			t.Errorf("%s: %g, want %g", tt.name, tt.is, tt.want)
		}
	}
}
