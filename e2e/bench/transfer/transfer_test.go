package transfer

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestBusy(t *testing.T) {
	const stat = `cpu  1662691 251475 625822 2124592 12025 0 123025 2394 0 0
cpu0 835852 120034 307399 1072395 3161 0 60458 1183 0 0
cpu1 100 20 300 1052196 8864 4 5000 1210 0 0
intr 1
`
	if got, err := parseBusy(stat, 1); err != nil || got != 54240*time.Millisecond {
		t.Errorf("core 1 was busy for %v, want 54.24s: %v", got, err)
	}
	for _, core := range []int{2, 10} {
		if got, err := parseBusy(stat, core); err == nil {
			t.Errorf("core %d was busy for %v, and there is none", core, got)
		}
	}
	if _, err := parseBusy("cpu0 1 2 three 4 5 6 7 8\n", 0); err == nil {
		t.Error("three is no number")
	}
}

// Every device carries what iperf3 sends, on its own core, and leaves nothing.
func TestDevices(t *testing.T) {
	if os.Geteuid() != 0 || testing.Short() {
		t.Skip("needs network namespaces: run as root, without -short")
	}
	if os.Getenv("FLEETLB_BIN") == "" {
		dir := t.TempDir()
		if out, err := exec.Command("go", "build", "-o", dir, "fleetlb/cmd/fleetlbd").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		t.Setenv("FLEETLB_BIN", dir)
	}
	for _, program := range []string{"nft", "haproxy", "iperf3", "taskset", "ethtool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v: `make deps` installs it", err)
		}
	}
	for device := range devices {
		t.Run(string(device), func(t *testing.T) {
			s, err := Open(t.Context(), device)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			f, err := s.Measure(t.Context(), time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if f.BitsPerSecond < 1e6 || f.Busy <= 0 {
				t.Errorf("%+v", f)
			}
			t.Logf("%.2f Gbit/s, core busy for %v, %v a Gbit", f.BitsPerSecond/1e9, f.Busy, f.CPU())
			s.Close()
			for _, name := range s.networks {
				if _, err := os.Stat("/run/netns/" + name); err == nil {
					t.Errorf("%s is left", name)
				}
			}
		})
	}
}
