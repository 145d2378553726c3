package offload

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"fleetlb/session"
)

// withPins runs the test that calls it once more, in a process that has a bpf
// filesystem of its own, and says whether this is that one.
func withPins(t *testing.T) bool {
	t.Helper()
	const marked = "FLEETLB_TEST_PINS"
	if os.Getenv(marked) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs BPF and a mount namespace: run as root")
	}
	again := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c",
		`mount -t bpf bpf /sys/fs/bpf && exec "$0" "$@"`, os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), marked+"=1")
	out, err := again.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// What a director hands over is carried on until the next one has taken it over,
// which knows every session; and nothing is left of it after that.
func TestHandOver(t *testing.T) {
	if !withPins(t) {
		return
	}
	director, _ := cable(t)
	const node = "lb1.example"
	first, given, err := drive(t, director, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	table := <-given
	table.SetHop(1, Hop{MTU: 1500, Src: ourMAC, Dst: ourMAC}, true)
	table.Renew(100, time.Hour)
	f := flowNumber(table, 1)
	table.Lift(1, f)
	table.Lift(2, flowNumber(table, 2))
	table.Drop(2)
	program := first.sites[0].program
	p, err := program.program.Clone()
	if err != nil {
		t.Fatal(err)
	}
	old := &Program{program: p}
	defer old.Close()
	mac := director.MAC("eth0")
	run := func() Verdict {
		b := frame(t, f.Client)
		copy(b, mac)
		v, _, err := old.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := run(); v != Across {
		t.Fatalf("not carried before: %d", v)
	}
	if err := first.HandOver(node); err != nil {
		t.Fatal(err)
	}
	if v := run(); v != Across || !attached(t, director, "eth0") {
		t.Errorf("not carried between: %d", v)
	}

	legacy, err := Inherit(node)
	if err != nil || legacy == nil {
		t.Fatalf("legacy %v: %v", legacy, err)
	}
	var second *Driver
	heirs := 0
	director.Do(func() {
		second, err = Drive([]string{"eth0"}, Capacity{Flows: 1000, Hops: 100}, legacy, func(*Table) {
			for h := range legacy.Flows() {
				heirs++
				if h.Client != f.Client || h.Server != f.Server || h.Mode != session.FULLNAT || h.OneWay || h.Seen[0].Packets != 2 {
					t.Errorf("inherited %+v, want %+v", h, f)
				}
			}
			if v := run(); v != Across {
				t.Errorf("not carried while it is taken over: %d", v)
			}
		}, -1, first.log)
	})
	if err != nil || heirs != 1 {
		t.Errorf("%d flows inherited, want 1: %v", heirs, err)
	}
	if !attached(t, director, "eth0") {
		t.Error("there is no program")
	}
	if _, err := os.Stat(pinsOf(node)); err == nil {
		t.Error("there are pins left")
	}
	if err := second.HandOver(node); err != nil || !attached(t, director, "eth0") {
		t.Errorf("not handed over once more: %v", err)
	}
	if legacy, err = Inherit(node); err != nil {
		t.Fatal(err)
	}
	legacy.Close()
	// The kernel lets go of what was pinned a little later.
	for deadline := time.Now().Add(10 * time.Second); attached(t, director, "eth0"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("there is a program left")
		}
	}
}

// Who comes too late, or does not want it, takes it away.
func TestHandOverRefused(t *testing.T) {
	if !withPins(t) {
		return
	}
	for _, late := range []bool{true, false} {
		director, _ := cable(t)
		d, _, err := drive(t, director, "eth0")
		if err != nil {
			t.Fatal(err)
		}
		if err := d.HandOver("lb1"); err != nil {
			t.Fatal(err)
		}
		if !attached(t, director, "eth0") {
			t.Error("nothing was handed over")
		}
		legacy, err := Inherit("lb1")
		if err != nil {
			t.Fatal(err)
		}
		if late {
			legacy.table.Renew(0, 0)
			time.Sleep(20 * time.Millisecond) // the coarse clock's step
			legacy, err = Inherit("lb1")
			if legacy != nil || err == nil {
				t.Errorf("inherited too late: %v", err)
			}
		} else {
			legacy.Close()
		}
		if _, err := os.Stat(pinsOf("lb1")); err == nil {
			t.Error("there are pins left")
		}
	}
	if legacy, err := Inherit("lb1"); legacy != nil || err != nil {
		t.Errorf("inherited from nobody: %v, %v", legacy, err)
	}
}
