package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetlb/e2e/lab"
)

func TestMain(m *testing.M) {
	lab.Main()
	if os.Getenv(childEnv) != "" {
		child()
	}
	os.Exit(m.Run())
}

// Every device carries datagrams and connections, and spoils none of them.
func TestDevices(t *testing.T) {
	for _, d := range []Device{Bare(), Forwarding(), Nftables(), Fleetlb("off"), Fleetlb("required")} {
		t.Run(d.Name(), func(t *testing.T) {
			r := up(t, d)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			for _, size := range []int{64, 1400} {
				s, err := r.RoundTrips(ctx, 1000, size, 200*time.Millisecond)
				if err != nil {
					t.Fatal(err)
				}
				if s.Done == 0 || s.Wrong+s.Unsent > 0 || s.Busy <= 0 {
					t.Errorf("%d B: %v", size, s)
				}
			}
			s, err := r.Connections(ctx, 200*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if s.Done == 0 || s.Wrong+s.Unsent+s.Resets > 0 {
				t.Errorf("connections: %v", s)
			}
			l, err := r.Latency(ctx, 1000, 64, 1000, 200*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if l.Done == 0 || l.Wrong > 0 || l.P50 == 0 || l.P99 < l.P50 {
				t.Errorf("latency: %v", l)
			}
		})
	}
}

func up(t *testing.T, d Device) *Rig {
	t.Helper()
	if testing.Short() {
		t.Skip("with -short, as under the race detector: it sees nothing of other programs")
	}
	if runtime.NumCPU() < 2 {
		t.Skip("needs two cores: one for the device, one for its clients and server")
	}
	r, err := Up(d, Options{Sessions: 1000})
	if errors.Is(err, lab.ErrPrivilege) {
		t.Skip("network namespaces and XDP need root: run `sudo make test`")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// Each end is received for on its own core, and nothing of that is left.
func TestPlaces(t *testing.T) {
	const path = "/proc/sys/net/netfilter/nf_conntrack_max"
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	room, err := os.ReadFile(path)
	r := up(t, Nftables())
	for name, core := range map[string]int{r.ClientPort: trafficCore, r.ServerPort: trafficCore, r.Front: deviceCore, r.Back: deviceCore} {
		pids := receivers(name)
		if len(pids) != 1 {
			t.Fatalf("%s: %d receiving threads", name, len(pids))
		}
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(pids[0], &set); err != nil || set.Count() != 1 || !set.IsSet(core) {
			t.Errorf("%s: received for on %d cores, %d is one of them: %v; %v", name, set.Count(), core, set.IsSet(core), err)
		}
	}
	pid := receivers(r.Front)[0]
	r.Close()
	if err := lab.Await(10*time.Second, "the receiving thread to end", func() error { // the kernel takes its time
		if unix.Kill(pid, 0) != unix.ESRCH {
			return errors.New("it is there")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	var after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &after); err != nil || after != before {
		t.Errorf("this process may run on %v, before on %v: %v", after, before, err)
	}
	if now, _ := os.ReadFile(path); err == nil && string(now) != string(room) {
		t.Errorf("%s: %s, before %s", path, now, room)
	}
}

// Ctrl-C leaves nothing behind either: not a namespace, nor a changed setting.
func TestInterrupted(t *testing.T) {
	const path = "/proc/sys/net/netfilter/nf_conntrack_max"
	up(t, Forwarding()).Close() // or skip
	room, err := os.ReadFile(path)
	if err != nil {
		t.Skip("no connection tracking in this kernel")
	}
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), childEnv+"=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if now, _ := os.ReadFile(path); bytes.Equal(now, room) {
		t.Errorf("%s is still %s: the test would prove nothing", path, now)
	}
	c.Process.Signal(os.Interrupt)
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("it ended with %v", err)
	}
	if now, _ := os.ReadFile(path); !bytes.Equal(now, room) {
		t.Errorf("%s: %s, before %s", path, now, room)
	}
	if left, _ := filepath.Glob(fmt.Sprintf("/run/netns/fleetlb-%d-*", c.Process.Pid)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// childEnv makes the test binary a program that measures until it is interrupted.
const childEnv = "RIG_TEST_CHILD"

func child() {
	r, err := Up(Nftables(), Options{Sessions: 1_000_000})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("up")
	r.RoundTrips(context.Background(), 100, 64, time.Minute)
	time.Sleep(time.Minute) // the lab ends this process
}
