package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/perf/benchfmt"

	"fleetlb/session"
)

// inside is the device of what is measured without any network.
const inside = "fleetlb, in process"

// A benchmark is one of `go test -bench`, in a metric of its own.
type benchmark struct {
	measure string
	name    string // as printed, without "Benchmark" and the number of cores
	less    string // a benchmark whose share is not ours: "" for none
	metric  string
}

// benchmarks are those with a target. `make bench-process` runs them all.
var benchmarks = []benchmark{
	{forward, "Forward/both/sessions=1000000", "Forward/nothing/sessions=1000000", "cpu-ns/op"},
	{openings, "Open/sessions=1000000", "", "cpu-ns/op"},
	{stall, "Stall/collected/sessions=1000000", "", "p99.9-µs"},
}

// footprint is what a session takes in a table of a million: itself, and both its
// faces in the index.
func footprint() float64 {
	const n = 1_000_000
	return float64(session.NewTable(session.Config{Sessions: n, Slots: [2]int{0, session.Slots}}).Footprint()) / n
}

// inProcess runs the benchmarks of the packet path once a round.
func inProcess() sitting {
	s := sitting{name: "in process", devices: []string{inside}, takes: 30 * time.Second, turn: benchProcess}
	for _, b := range benchmarks {
		unit := "ns"
		if strings.HasSuffix(b.metric, "-µs") {
			unit = "µs"
		}
		s.measures = append(s.measures, measure{name: b.measure, unit: unit})
	}
	s.measures = append(s.measures, measure{name: indexed, unit: "B"})
	return s
}

// goTest is `go test` of the packet path, built as the director is.
func goTest(ctx context.Context, args ...string) *exec.Cmd {
	args = append([]string{"test", "-pgo", "cmd/fleetlbd/default.pgo", "-run", "^$"}, args...)
	return exec.CommandContext(ctx, "go", append(args, "./fullnat")...)
}

func benchProcess(ctx context.Context, t *turn) error {
	t.Is(indexed, footprint())
	cmd := goTest(ctx, "-benchtime", "2000000x", "-timeout", "5m",
		"-bench", `^BenchmarkForward$/^(both|nothing)$/^sessions=1000000$|^BenchmarkOpen$/^sessions=1000000$|^BenchmarkStall$/^collected$/^sessions=1000000$`)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.Output()
	if err != nil {
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)+" "+string(out)))
		}
		return fmt.Errorf("go test: %w", err)
	}
	values, err := readBenchmarks(bytes.NewReader(out), runtime.GOMAXPROCS(0))
	if err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	for _, b := range benchmarks {
		v, ok := values[b.name][b.metric]
		if !ok {
			return fmt.Errorf("go test: it has no benchmark %s with %s", b.name, b.metric)
		}
		if b.less != "" {
			v -= values[b.less][b.metric]
		}
		t.Is(b.measure, v)
	}
	return nil
}

// readBenchmarks reads what `go test -bench` prints: metrics by name.
func readBenchmarks(r io.Reader, cores int) (map[string]map[string]float64, error) {
	values := map[string]map[string]float64{}
	lines := benchfmt.NewReader(r, "go test")
	for lines.Scan() {
		switch line := lines.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, line
		case *benchfmt.Result:
			name := strings.TrimSuffix(string(line.Name), fmt.Sprintf("-%d", cores))
			metrics := map[string]float64{}
			for _, v := range line.Values {
				metrics[v.Unit] = v.Value
				if v.OrigUnit != "" { // benchfmt has made seconds of it
					metrics[v.OrigUnit] = v.OrigValue
				}
			}
			values[name] = metrics
		}
	}
	return values, lines.Err()
}
