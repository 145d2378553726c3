// Package rig puts a device under test between a crowd of clients and a server,
// and measures it alone: round trips, connections, latency.
//
//	clients ── device ── server        three network namespaces, two veth cables
//	 core 0    core 1    core 0
//
// # What a figure means
//
// [Up] sets up a [Device] and pins it: the threads that receive for its two
// interfaces (threaded NAPI), and its process if it has one, run on one core; the
// clients' and the server's on another. So a figure is what one core of the
// device does, if that core was busy: [Sample.Busy] says how much it was, and
// under [BusyEnough] the figure is a lower bound, for something else was the
// bottleneck.
//
//	r, err := rig.Up(rig.Nftables(), rig.Options{Sessions: 1_000_000})
//	defer r.Close()
//	s, err := r.RoundTrips(ctx, 100_000, 64, 5*time.Second)   // s.PerSecond, s.Busy
//	s, err = r.Connections(ctx, 5*time.Second)
//	l, err := r.Latency(ctx, 100, 64, 50_000, 5*time.Second)  // at a rate: l.P50, l.P99
//
// `go run ./e2e/bench/rig/try -device fleetlb-required -sessions 100,100000` does so for
// one device, for who wants to make it faster.
//
// RoundTrips opens the sessions that are not open yet before it measures; they
// stay open, so measure few before many. [Rig.Warm] does only that.
//
// # Devices
//
// [Bare], [Forwarding], [Nftables], [HAProxy], [Fleetlb]; others implement [Device]: they get
// the rig in Setup, with three hosts ([Rig.Client], [Rig.Device], [Rig.Server]),
// interfaces with addresses, routes and neighbours, and programs of theirs started
// by [Rig.Start] run on the device's core. What the server's namespace itself
// serves (iperf3, say) is left to its kernel, unless it is asked for at [Server].
//
// Nftables and fleetlb translate to the same local addresses, have room for all
// sessions, and forget a connection a second after its end, so that their tables do
// not fill up while connections are measured.
//
// # One at a time
//
// The cores are the whole machine's, so one rig at a time; one that is closed
// leaves nothing behind, also after Ctrl-C (package lab sees to that).
package rig
