package metrics

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write what is served into testdata; then read the difference")

var quiet = slog.New(slog.DiscardHandler)

type sourceFunc func() Snapshot

func (f sourceFunc) Metrics() (Snapshot, error) { return f(), nil }

// failing is a director that cannot say how it is.
type failing struct{}

func (failing) Metrics() (Snapshot, error) { return Snapshot{}, errors.New("worker 1 does not answer") }

// example has one of everything.
func example() Snapshot {
	return Snapshot{
		Version: "1.0", Started: time.Unix(1700000000, 500e6),
		Sessions: 4, MaxSessions: 1000000, Templates: 17, TemplatesEvicted: 3,
		Services: []Service{{Name: "web", Up: true, Announced: true, Quorum: 2}, {Name: "dns"}},
		Servers: []Server{
			{Service: "web", Address: "10.3.0.11:8080", Up: true, Weight: 10, Checks: 3700, CheckFailures: 3, CheckDuration: 1830 * time.Microsecond,
				Persists: true, Persistent: 9, Upper: 3, Overloaded: true,
				Active: 2, Inactive: 1, Opened: 12300, PacketsIn: 1199000, PacketsOut: 1099000, BytesIn: 123400000, BytesOut: 9876500000},
			{Service: "web", Address: "[2001:db8:3::12]:8080"},
		},
		Drops:  []Drop{{"no hops left", 1007}},
		Locals: []Local{{Address: "10.2.1.1", Ports: 64512, Sessions: 3, Busiest: 2}},
		Neighbors: []Neighbor{{Address: "10.1.0.1", ASN: 65000, State: "established", Uptime: 7390 * time.Second, Announced: 3,
			BFD: &BFD{Up: true, Failures: 2, Detect: 900 * time.Millisecond}}},
		BFDDrops:   []Drop{{"no_session", 5}},
		Workers:    []Worker{{Busy: 1500 * time.Millisecond, Packets: 2298000, Batches: 200000}, {}},
		Interfaces: []Interface{{Name: "eth0", KernelDrops: 7}},
		Offload:    Offload{Mode: "native", Sessions: 12, Room: 1024, Packets: 4711, Bytes: 81500},
		Routes:     3, SpeakerRestarts: 1, ReloadsApplied: 2, ReloadsRefused: 1, LastReloadRefused: true,
		ConfigLoaded: time.Unix(1700007500, 0), Displaced: 9,
		VRRP: []VRRP{{Name: "lan", Interface: "eth0", ID: "51", State: "active", Priority: 150, Transitions: 2, Sent: 7401, Received: 12, Drops: []Drop{{"bad_version", 3}}}},
		Fleet: &Fleet{
			Members: []Count{{"serving", 2}, {"dead", 1}}, Roles: []Count{{"home", 3}, {"adopted", 1}, {"replica", 7}},
			Events: []Count{{"told", 12}, {"adopted", 1}}, Refused: []Drop{{"forged", 4}},
			Lag: map[float64]uint64{0.005: 10, 0.05: 12}, Lagged: 12, LagSum: 40 * time.Millisecond,
			AtRisk: 1, Unacked: 2, Parked: 3, BytesOut: 4000, BytesIn: 5000,
		},
	}
}

// scrape serves s and returns what GET path answers.
func scrape(t *testing.T, s Source, path string) (int, string) {
	t.Helper()
	l, err := Listen("127.0.0.1:0", s, quiet)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Serve() }()
	defer func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + l.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// oursOf leaves what the runtime and the process say out of a scrape.
func oursOf(body string) string {
	var ours strings.Builder
	for line := range strings.Lines(body) {
		if strings.Contains(line, "fleetlb_") {
			ours.WriteString(line)
		}
	}
	return ours.String()
}

func TestGolden(t *testing.T) {
	code, body := scrape(t, sourceFunc(example), "/metrics")
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	ours := oursOf(body)
	const golden = "testdata/metrics.txt"
	if *update {
		os.WriteFile(golden, []byte(ours), 0o644)
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), ours); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, standard := range []string{"go_sched_pauses_total_gc_seconds_bucket", "go_goroutines", "process_resident_memory_bytes"} {
		if !strings.Contains(body, "\n"+standard) {
			t.Errorf("no %s", standard)
		}
	}
}

func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(Registry(sourceFunc(example)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "fleetlb_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// A pedantic registry finds samples that Describe did not promise.
func TestDescribed(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(collector{sourceFunc(example)})
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != len(described()) {
		t.Errorf("%d metrics of %d described", len(families), len(described()))
	}
	perSession := regexp.MustCompile(`client|session_id|port$`)
	for _, f := range families {
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if perSession.MatchString(l.GetName()) {
					t.Errorf("%s has label %s, which clients can choose", f.GetName(), l.GetName())
				}
			}
		}
	}
}

// What is wrong with one sample, or with the source, must not cost the others.
func TestBadSource(t *testing.T) {
	t.Run("two of one name", func(t *testing.T) {
		s := example()
		s.Drops = append(s.Drops, s.Drops[0])
		code, body := scrape(t, sourceFunc(func() Snapshot { return s }), "/metrics")
		if code != 200 || !strings.Contains(body, "\nfleetlb_sessions 4\n") {
			t.Errorf("%d %s", code, oursOf(body))
		}
	})
	t.Run("a name that is no text", func(t *testing.T) {
		s := example()
		s.Drops = append(s.Drops, Drop{Reason: "\xff"})
		code, body := scrape(t, sourceFunc(func() Snapshot { return s }), "/metrics")
		if code != 200 || !strings.Contains(body, "\nfleetlb_sessions 4\n") {
			t.Errorf("%d %s", code, oursOf(body))
		}
	})
	t.Run("a panic", func(t *testing.T) {
		code, body := scrape(t, sourceFunc(func() Snapshot { panic("out of luck") }), "/metrics")
		if code != 200 || !strings.Contains(body, "\ngo_goroutines ") {
			t.Errorf("%d %s", code, oursOf(body))
		}
	})
	t.Run("a failure", func(t *testing.T) {
		code, body := scrape(t, failing{}, "/metrics")
		if code != 200 || strings.Contains(body, "\nfleetlb_") || !strings.Contains(body, "\ngo_goroutines ") {
			t.Errorf("%d %s", code, oursOf(body))
		}
		if _, err := Registry(failing{}).Gather(); err == nil || !strings.Contains(err.Error(), "worker 1 does not answer") {
			t.Errorf("the log is told %v", err)
		}
	})
	t.Run("an empty director", func(t *testing.T) {
		code, body := scrape(t, sourceFunc(func() Snapshot { return Snapshot{} }), "/metrics")
		if code != 200 || !strings.Contains(body, "\nfleetlb_sessions 0\n") ||
			!strings.Contains(body, "\nfleetlb_start_time_seconds 0\n") {
			t.Errorf("%d %s", code, oursOf(body))
		}
	})
}

func TestPaths(t *testing.T) {
	if code, body := scrape(t, sourceFunc(example), "/"); code != 200 || !strings.Contains(body, `href="/metrics"`) {
		t.Errorf("%d %s", code, oursOf(body))
	}
	if code, _ := scrape(t, sourceFunc(example), "/debug/pprof/"); code != 404 {
		t.Errorf("%d", code)
	}
}

func TestListenErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().String()
	if _, err := Listen(at, sourceFunc(example), quiet); err == nil || err.Error() != "metrics "+at+": bind: address already in use" {
		t.Errorf("%v", err)
	}
}

// One who connects and says nothing is sent away.
func TestSilentScraper(t *testing.T) {
	l, err := Listen("127.0.0.1:0", sourceFunc(example), quiet)
	if err != nil {
		t.Fatal(err)
	}
	l.http.ReadHeaderTimeout, l.http.ReadTimeout = 50*time.Millisecond, 50*time.Millisecond
	done := make(chan error, 1)
	go func() { done <- l.Serve() }()
	defer func() { l.Close(t.Context()); <-done }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("still there after %v", err)
	}
}
