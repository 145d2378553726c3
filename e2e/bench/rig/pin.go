package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"fleetlb/e2e/lab"
)

// pin has every end received for by a thread of its own, on its core. Threads
// begin when they are asked for, and a program that is attached later may bring
// new ones: so it is the last step.
func (r *Rig) pin() error {
	for _, e := range []struct {
		host *lab.Host
		name string
		core int
	}{
		{r.Client, r.ClientPort, trafficCore}, {r.Server, r.ServerPort, trafficCore},
		{r.Device, r.Front, deviceCore}, {r.Device, r.Back, deviceCore},
	} {
		// /sys shows the interfaces of whoever mounted it: a program sees the host's.
		if _, err := e.host.Run(context.Background(), "sh", "-c", "echo 1 >/sys/class/net/"+e.name+"/threaded"); err != nil {
			return fmt.Errorf("threaded NAPI: %w", err)
		}
		if err := lab.Await(5*time.Second, "the receiving thread of "+e.name, func() error {
			threads := receivers(e.name)
			if len(threads) == 0 {
				return fmt.Errorf("there is none")
			}
			for _, pid := range threads {
				if err := place(pid, e.core); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// receivers are the kernel's threads that receive for an interface.
func receivers(name string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range all {
		comm, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(comm), "napi/"+name+"-") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func place(pid, core int) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(pid, &set); err != nil {
		return fmt.Errorf("thread %d: core %d: %w", pid, core, err)
	}
	return nil
}

// prefer has the clients' and the server's receiving threads go before everything
// else on their core, or not: a generator that spins there must not delay them.
func (r *Rig) prefer(on bool) error {
	var attr unix.SchedAttr // SCHED_OTHER
	attr.Size = unix.SizeofSchedAttr
	if on {
		attr.Policy, attr.Priority = unix.SCHED_FIFO, 1
	}
	for _, name := range []string{r.ClientPort, r.ServerPort} {
		for _, pid := range receivers(name) {
			if err := unix.SchedSetAttr(pid, &attr, 0); err != nil {
				return fmt.Errorf("thread %d: priority: %w", pid, err)
			}
		}
	}
	return nil
}

// stepAside keeps this process, and what it starts, from the device's core.
func (r *Rig) stepAside() error {
	if err := unix.SchedGetaffinity(0, &r.cores); err != nil {
		return fmt.Errorf("affinity: %w", err)
	}
	if !r.cores.IsSet(trafficCore) || !r.cores.IsSet(deviceCore) {
		return fmt.Errorf("needs cores %d and %d: one for the device, one for its clients and server", trafficCore, deviceCore)
	}
	var set unix.CPUSet
	set.Set(trafficCore)
	return everyThread(&set)
}

func (r *Rig) comeBack() {
	if r.cores.Count() > 0 {
		everyThread(&r.cores)
	}
}

// everyThread places the threads of this process. Those to come inherit it.
func everyThread(set *unix.CPUSet) error {
	for range 2 { // a thread may have been born meanwhile
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				continue
			}
			if err := unix.SchedSetaffinity(tid, set); err != nil && err != unix.ESRCH {
				return fmt.Errorf("thread %d: affinity: %w", tid, err)
			}
		}
	}
	return nil
}
