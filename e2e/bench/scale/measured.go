package main

// What the page reckons with was measured on two shared cores, by the command
// beside it; who measures anew writes it here.

// A point is what something costs with so many sessions.
type point struct {
	sessions float64
	forward  float64 // ns a packet
	open     float64 // ns to open a session from its SYN, and to close it; 0: not measured
}

// go test -run '^$' -bench 'Forward$/both|Open' -pgo cmd/fleetlbd/default.pgo ./fullnat
var curve = []point{
	{10_000, 101, 506},
	{100_000, 118, 502},
	{1_000_000, 134, 714},
	{10_000_000, 156, 0},
}

const (
	// go test -run '^$' -bench Footprint ./session
	sessionBytes = 122.4 // of the table, for a session or a replica

	// go test -v -run TestScale ./gossip/replica, which holds the two to the simulation
	recordBytes   = 43.4 // a session's record, told once
	datagramBytes = 50.8 // a datagram's own, and that of its acknowledgement

	// go test -v -run TestSizes ./gossip/replica
	lifeBytes   = 163 // the records of established, two FINs and gone
	lifeRecords = 4

	// go test -run '^$' -bench 'Tell|Receive' ./gossip/replica
	tellNs    = 152 // a record, to two keepers
	receiveNs = 129

	// go test -run '^$' -bench Open ./gossip/seal, of 64 bytes
	openNs = 154

	// go test -run '^$' -bench Send ./gossip: on loopback, where the sender's time is
	// the kernel's for the receiver as well
	sendNs = 12000.0

	// go test -run '^$' -bench Bulk ./gossip/replica
	bulkRate  = 1e6 / 8 // sessions a second, the slower of what was seen
	bulkBytes = 43.0    // a session

	// go test -run '^$' -bench Program ./fullnat/offload, beyond XDP_TX
	programNs     = 50.0  // a packet, 100 sessions
	programFarNs  = 290.0 // 1 M sessions, at random
	programNearNs = 135.0 // 100 k
)
