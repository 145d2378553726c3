package bfd

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A director whose workers use every core still keeps its word.
func TestBusy(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes every core for three seconds")
	}
	granted := make(chan bool)
	go func() { granted <- precede() }()
	if !<-granted {
		t.Skip("the kernel gives us no precedence: run as root or with CAP_SYS_NICE")
	}
	one, two := onLoopback(), onLoopback()
	here, there := start(t), start(t)
	here.Set([]Peer{{Address: two, Local: one, Interval: 100 * time.Millisecond}})
	there.Set([]Peer{{Address: one, Local: two, Interval: 100 * time.Millisecond}})
	await(t, here, "up", isUp)
	await(t, there, "up", isUp)

	var workers sync.WaitGroup
	var stop atomic.Bool
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for !stop.Load() {
			}
		})
	}
	time.Sleep(3 * time.Second)
	stop.Store(true)
	workers.Wait()
	for _, b := range []*Speaker{here, there} {
		if s := b.Sessions()[0]; s.Failures != 0 {
			t.Errorf("lost %d times; %d packets sent, %d received", s.Failures, s.Sent, s.Received)
		}
	}
}
