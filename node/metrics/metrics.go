// Package metrics shows the director to Prometheus.
//
// A [Source] is asked for one [Snapshot] a scrape, and everything is derived from
// that: nothing is counted here, so nothing can disagree with what `fleetlb`
// prints. There is no label that clients can choose, and none per session: the
// number of series follows from the configuration alone.
//
// # Names
//
//	fleetlb_build_info{version}                     1
//	fleetlb_start_time_seconds
//	fleetlb_sessions, _sessions_max                 now, and the most there can be
//	fleetlb_service_…{service}                      up announced quorum_servers
//	fleetlb_server_…{service,server}                up weight checks_total check_duration_seconds
//	                                                sessions{activity} sessions_opened_total
//	                                                packets_total{direction} bytes_total{direction}
//	fleetlb_packets_dropped_total{reason}
//	fleetlb_sessions_displaced_total
//	fleetlb_fleet_…                                 directors{state} sessions{role} events_total{event}
//	                                                messages_refused_total{reason} replication_lag_seconds
//	                                                sessions_at_risk records_unacknowledged packets_parked
//	                                                replication_bytes_total{direction}
//	fleetlb_vrrp_…{group,interface,id}              state{state} priority taken_total
//	                                                advertisements_total{direction} advertisements_dropped_total{reason}
//	fleetlb_server_persistent_clients, _upper_threshold, _overloaded   where there are such things
//	fleetlb_persistence_templates, fleetlb_persistence_evicted_total
//	fleetlb_local_ports{address}, _local_sessions{address}, _local_ports_busiest{address}
//	fleetlb_bgp_neighbor_…{neighbor,asn}            state{state} uptime_seconds routes_announced
//	fleetlb_bgp_routes, fleetlb_bgp_speaker_restarts_total
//	fleetlb_worker_…{worker}                        busy_seconds_total packets_total batches_total
//	fleetlb_interface_kernel_drops_total{interface}
//	fleetlb_config_reloads_total{result}, _config_last_reload_successful, _config_loaded_timestamp_seconds
//
// besides the standard go_… (with garbage collection pauses) and process_….
package metrics

import "time"

// A Source answers each scrape, or fails it. It is called concurrently.
type Source interface {
	Metrics() (Snapshot, error)
}

// Snapshot is the director at one moment. Counters count from its start.
type Snapshot struct {
	Version string
	Started time.Time

	Sessions, MaxSessions int

	Templates        int    // that persistence keeps
	TemplatesEvicted uint64 // and those it had no room for

	Services   []Service
	Servers    []Server
	Drops      []Drop
	Locals     []Local
	Neighbors  []Neighbor
	BFDDrops   []Drop
	Workers    []Worker
	Interfaces []Interface
	Offload    Offload

	Displaced uint64 // half-open or ended sessions that gave their place to new ones
	Fleet     *Fleet // nil: alone
	VRRP      []VRRP

	Routes          int // wanted announced
	SpeakerRestarts int

	ReloadsApplied, ReloadsRefused int
	LastReloadRefused              bool
	ConfigLoaded                   time.Time
}

// Service is one VIP:port/protocol, by its name.
type Service struct {
	Name          string
	Up, Announced bool
	Quorum        int
}

// Server is one server of one service.
type Server struct {
	Service, Address string
	Up               bool
	Weight           int

	Checks, CheckFailures uint64
	CheckDuration         time.Duration // of the last one

	Active, Inactive      int
	Persists              bool   // the service has persistence
	Persistent            int    // clients that it leads here
	Upper                 uint32 // threshold of sessions; 0: none
	Overloaded            bool   // at it
	Opened                uint64
	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64
}

// Drop is one reason to drop packets, in operator words.
type Drop struct {
	Reason  string
	Packets uint64
}

// Local is one local address and its ports.
type Local struct {
	Address  string
	Ports    int
	Sessions int // with all servers
	Busiest  int // ports taken towards the server that takes most
}

// Neighbor is one BGP neighbour.
type Neighbor struct {
	Address   string
	ASN       uint32
	State     string // one of States
	Uptime    time.Duration
	Announced int  // routes
	BFD       *BFD // nil: off
}

// BFD is what is known of a neighbour by BFD.
type BFD struct {
	Up       bool
	Failures uint64        // times it was up and went down, not on purpose
	Detect   time.Duration // silence that ends it; 0: it is not heard
}

// States are those of RFC 4271 §8.2.2, as they appear in the label.
var States = []string{"idle", "connect", "active", "opensent", "openconfirm", "established"}

// VRRP is one group of VIPs that routers on a LAN hold in turn.
type VRRP struct {
	Name, Interface, ID string
	State               string // one of VRRPStates
	Priority            int
	Transitions         uint64 // to active
	Sent, Received      uint64
	Drops               []Drop
}

// VRRPStates are those of RFC 9568 §6.4, as they appear in the label.
var VRRPStates = []string{"init", "backup", "active"}

// Worker is one worker of the dataplane.
type Worker struct {
	Busy    time.Duration // processor time since the start
	Packets uint64        // received
	Batches uint64        // rounds that carried something
}

// Offload is what the network drivers carry of the sessions.
type Offload struct {
	Mode           string // one of Offloads
	Sessions, Room int    // there now, and how many may be
	Packets, Bytes uint64 // carried without a worker
}

// Offloads are what the offload may be, as they appear in the label.
var Offloads = []string{"off", "generic", "native"}

// Interface is one network interface.
type Interface struct {
	Name        string
	KernelDrops uint64 // frames the kernel had no room for
}
