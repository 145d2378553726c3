package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// The benchmark beside the peers, on a small scale: every device carries
// something, and it ends with a table, values and a picture.
func TestBench(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs network namespaces and XDP: run as root")
	}
	for _, program := range []string{"nft", "haproxy", "iperf3"} {
		if _, err := lab.Look(program); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	out := bench(t, dir, "-quick", "-for", "200ms", "-only", "64 B, 100 sessions|TCP connections|iperf3, four connections, nftables")
	for _, want := range []string{"NEW TCP CONNECTIONS", "ESTABLISHED, 64 B, 100 SESSIONS", "IPERF3", "TARGET", "× nftables"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table does not say %q:\n%s", want, out)
		}
	}

	b, err := os.ReadFile(filepath.Join(dir, "performance.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Results []struct {
			Measure, Device, Failure string
			Values                   []*float64
		}
	}
	if err := json.Unmarshal(b, &report); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, r := range report.Results {
		seen[r.Device]++
		if len(r.Values) != 1 || r.Values[0] == nil || *r.Values[0] <= 0 {
			t.Errorf("%s, %s: no value: %s", r.Measure, r.Device, r.Failure)
		}
	}
	for _, device := range []string{"bare XDP", "kernel forwarding", "nftables", "HAProxy", "fleetlb, offload", "fleetlb, offload off"} {
		if seen[device] == 0 {
			t.Errorf("%s was not measured", device)
		}
	}
	for _, name := range []string{"performance.svg", "performance.png"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is interrupted leaves nothing behind.
func TestBenchInterrupted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs network namespaces and XDP: run as root")
	}
	cmd := exec.Command(benchProgram(t), "-quick", "-for", "30s", "-only", "iperf3.*kernel", "-out", t.TempDir())
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ours := func() []string {
		names, _ := filepath.Glob("/run/netns/fleetlb-" + strconv.Itoa(cmd.Process.Pid) + "-*")
		return names
	}
	err := lab.Await(20*time.Second, "the hosts", func() error {
		if len(ours()) < 3 {
			return os.ErrNotExist
		}
		return nil
	})
	cmd.Process.Signal(syscall.SIGINT)
	exit := cmd.Wait()
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if exit == nil {
		t.Error("it ended well, and it was interrupted")
	}
	if left := ours(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// bench runs the benchmark and returns what it printed.
func bench(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(benchProgram(t), append(args, "-out", dir)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("bench: %v: %s", err, said.String())
	}
	return string(out)
}

func benchProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", path, "fleetlb/e2e/bench").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return path
}
