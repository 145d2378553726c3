package main

import (
	"fmt"
	"time"

	"fleetlb/e2e/bench/report"
	"fleetlb/e2e/bench/rig"
)

// The devices, by the names they have in tables and pictures.
const (
	bare       = "bare XDP"             // the ceiling: frames are turned round, no more
	forwarding = "kernel forwarding"    // routes
	nftables   = "nftables"             // FULLNAT by rules: the peer that all are compared with
	haproxy    = "HAProxy"              // a proxy, in mode tcp
	lifted     = "fleetlb, offload"     // what is established is carried by XDP programs
	userspace  = "fleetlb, offload off" // the worker carries everything
)

// onRig makes each for the rig.
var onRig = map[string]func() rig.Device{
	bare:       rig.Bare,
	forwarding: rig.Forwarding,
	nftables:   rig.Nftables,
	haproxy:    rig.HAProxy,
	lifted:     func() rig.Device { return rig.Fleetlb("required") },
	userspace:  func() rig.Device { return rig.Fleetlb("off") },
}

// packetwise are the devices that carry packets, each for itself.
var packetwise = []string{bare, forwarding, nftables, userspace, lifted}

// The measures that targets and pictures speak of.
const (
	connections = "new TCP connections, handshake to close"
	p50, p99    = "round trip at half load, p50", "round trip at half load, p99"
	throughput  = "iperf3, four connections"
	cpu         = "iperf3, the device's CPU"
	memory      = "memory, a session"

	forward  = "in process: a packet of 1 M sessions at random"
	stall    = "in process: a worker held up by the rest, p99.9, 1 M sessions"
	indexed  = "in process: memory of a session and both its index entries"
	openings = "in process: open and close a session among 1 M"
)

// established names a measure of round trips.
func established(size, sessions int) string {
	return fmt.Sprintf("established, %d B, %s sessions", size, count(sessions))
}

// count writes a number of sessions.
func count(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%d M", n/1_000_000)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%d k", n/1000)
	}
	return fmt.Sprint(n)
}

// sizes are of frames: the smallest, and almost the largest.
var sizes = []int{64, 1400}

// A plan is what there is to do.
type plan struct {
	lasts    time.Duration // each measurement
	few      int           // sessions that a core's own cache holds
	many     int           // more than any cache does
	millions int           // 0: not measured
	process  bool          // in-process benchmarks as well
}

// sittings are all that is measured, the quickest first.
func (p plan) sittings() []sitting {
	const setup = 2 * time.Second
	all := []sitting{
		{
			name: "connections", devices: []string{bare, forwarding, nftables, haproxy, userspace, lifted},
			measures: []measure{{name: connections, unit: "connections/s"}}, takes: setup + p.lasts, turn: p.connections,
		},
		{
			name: count(p.few) + " sessions", devices: packetwise,
			measures: append(roundTrips(p.few), measure{name: p50, unit: "µs"}, measure{name: p99, unit: "µs"}),
			takes:    setup + 4*p.lasts, turn: p.few100,
		},
		{
			name: count(p.many) + " sessions", devices: packetwise,
			measures: roundTrips(p.many), takes: setup + 3*time.Second + 2*p.lasts, turn: p.established(p.many),
		},
		{
			name: "iperf3", devices: []string{forwarding, nftables, haproxy, userspace, lifted},
			measures: []measure{{name: throughput, unit: "bit/s"}, {name: cpu, unit: "ms/Gbit"}}, takes: setup + max(p.lasts, time.Second), turn: p.transfer,
		},
	}
	if p.process {
		all = append(all, inProcess())
	}
	if p.millions > 0 {
		all = append(all, sitting{
			name: count(p.millions) + " sessions", devices: packetwise, rounds: 3,
			measures: append(roundTrips(p.millions), measure{memory, "B", []string{nftables, userspace, lifted}}), takes: 25 * time.Second, turn: p.crowded,
		})
	}
	return all
}

func roundTrips(sessions int) (all []measure) {
	for _, size := range sizes {
		all = append(all, measure{name: established(size, sessions), unit: "round trips/s"})
	}
	return all
}

// targets are what fleetlb is to reach, beside its peers.
func (p plan) targets() []report.Target {
	few := established(64, 100)
	return []report.Target{
		{Measure: few, Device: lifted, Peer: nftables, Least: 4, Aim: 5},
		{Measure: few, Device: lifted, Peer: bare, Least: 0.65, Aim: 0.8},
		{Measure: established(64, 1_000_000), Device: lifted, Peer: nftables, PeerMeasure: established(64, 100_000), Least: 2.5, Aim: 4},
		{Measure: few, Device: userspace, Peer: nftables, Least: 0.5, Aim: 1},
		{Measure: connections, Device: lifted, Peer: nftables, Least: 0.8, Aim: 1.5},
		{Measure: throughput, Device: userspace, Peer: forwarding, Least: 0.5, Aim: 1},
		{Measure: forward, Device: inside, Least: 150, Aim: 80, AtMost: true},
		{Measure: openings, Device: inside, Least: 1500, Aim: 500, AtMost: true},
		{Measure: indexed, Device: inside, Least: 160, Aim: 128, AtMost: true},
		{Measure: stall, Device: inside, Least: 1000, Aim: 100, AtMost: true},
	}
}

// panels are the picture's.
func (p plan) panels() (all []report.Panel) {
	for _, size := range sizes {
		panel := report.Panel{Title: fmt.Sprintf("Established sessions, frames of %d bytes, one core", size), Unit: "round trips/s"}
		for _, n := range []int{p.few, p.many, p.millions} {
			if n > 0 {
				panel.Groups = append(panel.Groups, report.Group{Name: count(n) + " sessions", Measure: established(size, n)})
			}
		}
		all = append(all, panel)
	}
	alone := func(title, unit, measure string, less bool) report.Panel {
		return report.Panel{Title: title, Unit: unit, Less: less, Groups: []report.Group{{Measure: measure}}}
	}
	return append(all,
		alone("New TCP connections, handshake to close, one core", "connections/s", connections, false),
		report.Panel{Title: "How long a round trip takes at half load", Unit: "µs", Less: true, Groups: []report.Group{{Name: "p50", Measure: p50}, {Name: "p99", Measure: p99}}},
		alone("iperf3, four connections, default offloads", "bit/s", throughput, false),
		alone("CPU of the device, iperf3", "ms of a core/Gbit", cpu, true),
	)
}
