package config

import (
	"net/netip"
	"time"
)

// A Config is one director's whole configuration: what its file and the files
// that one includes say, with every default filled in. One that [Load] returned
// is valid and is not changed by anybody afterwards.
//
// The struct tags are the language, for reading and for printing alike:
//
//	toml    the key
//	in      what the value may be: lowest..highest, or the words there are
//	need    the table is worthless without this key
//	restart a reload cannot change it (of a table: make it come or go)
//	path    it names a file, seen from the directory of the file it stands in
//	picks   its word governs which of the keys with "only" there are, here and
//	        in the tables below
//	only    there is such a key only with these words (!: only without them)
//	id      entries of the list are told apart by this key
//	anyport the port may be 0
type Config struct {
	File     string   `toml:"-"` // as given to Load
	Files    []string `toml:"-"` // every file read, in order; File is the first
	Warnings []string `toml:"-"` // what works and will be regretted

	Include   []string  `toml:"include"`
	Node      Node      `toml:"node"`
	Fullnat   Fullnat   `toml:"fullnat"`
	BGP       *BGP      `toml:"bgp"`               // nil: nothing is announced
	Gossip    *Gossip   `toml:"gossip" restart:""` // nil: a director on its own
	VRRP      []VRRP    `toml:"vrrp" id:"name"`    // whose addresses routers on a LAN hold in turn
	Dataplane Dataplane `toml:"dataplane"`
	Admin     Admin     `toml:"admin"`
	Services  []Service `toml:"service" id:"name"` // in the order of the files
	Edits     []Edit    `toml:"edit" id:"service"` // of the services; what was done by command, and saved

	Written []Service `toml:"-"` // Services as the files have them, where Edits have been applied since
}

// Node is the director itself.
type Node struct {
	Name          string        `toml:"name" need:"" restart:""`                         // unique in the fleet
	Interfaces    []string      `toml:"interfaces" restart:""`                           // where clients' and servers' frames arrive
	Workers       int           `toml:"workers" in:"0..256" restart:""`                  // 0: one per core
	MaxSessions   int           `toml:"max_sessions" in:"1_024..100_000_000" restart:""` // over all workers
	AnswerPing    bool          `toml:"answer_ping"`                                     // for VIPs and local addresses
	LogLevel      string        `toml:"log_level" in:"debug info warn error"`
	LogFormat     string        `toml:"log_format" in:"text json"`
	WithdrawDelay time.Duration `toml:"withdraw_delay" in:"0s..10m"` // packets keep flowing this long after routes are withdrawn
	DrainTimeout  time.Duration `toml:"drain_timeout" in:"0s..24h"`  // and then at most this long until established sessions end
}

// Fullnat is the director's own block of local addresses.
type Fullnat struct {
	LocalAddresses []netip.Prefix `toml:"local_addresses"`
	LocalPorts     PortRange      `toml:"local_ports"`
}

// BGP is the speaker and its neighbours.
type BGP struct {
	ASN        uint32     `toml:"asn" in:"1..4294967295" need:""`
	RouterID   netip.Addr `toml:"router_id" need:"" like:"10.1.0.11"` // IPv4
	ListenPort uint16     `toml:"listen_port" in:"1..65535"`          // used when a neighbour is passive
	Neighbors  []Neighbor `toml:"neighbor" id:"address"`
}

// Neighbor is one router.
type Neighbor struct {
	Address          netip.Addr    `toml:"address" need:""`
	ASN              uint32        `toml:"asn" in:"1..4294967295" need:""`
	Port             uint16        `toml:"port" in:"1..65535"`
	LocalAddress     netip.Addr    `toml:"local_address"` // invalid: the kernel's choice
	HoldTime         time.Duration `toml:"hold_time" in:"3s..65535s"`
	ConnectRetry     time.Duration `toml:"connect_retry" in:"1s..10m"`
	PasswordFile     string        `toml:"password_file" path:""`    // "" : no TCP-MD5
	Password         Secret        `toml:"-"`                        // what PasswordFile holds
	TTLSecurity      int           `toml:"ttl_security" in:"0..254"` // GTSM (RFC 5082): hops away, 1 is next door; 0: off
	Multihop         int           `toml:"multihop" in:"0..255"`     // eBGP over routers: the TTL to send with; 0: off
	Passive          bool          `toml:"passive"`                  // wait for the neighbour to connect
	BFD              bool          `toml:"bfd"`
	BFDInterval      time.Duration `toml:"bfd_interval" in:"50ms..10s"` // from packet to packet
	BFDMultiplier    int           `toml:"bfd_multiplier" in:"2..50"`   // packets missed that make it down
	Communities      []string      `toml:"communities"`                 // "65001:100", "no-export"
	LargeCommunities []string      `toml:"large_communities"`           // "65001:1:2"
	MED              *uint32       `toml:"med" in:"0..4294967295"`      // nil: none
	Prepend          int           `toml:"prepend" in:"0..16"`          // own AS, this many times more
	NextHop4         netip.Addr    `toml:"next_hop4"`                   // invalid: the session's own end
	NextHop6         netip.Addr    `toml:"next_hop6"`
}

// Gossip is how the directors of a fleet find each other.
type Gossip struct {
	Bind        netip.AddrPort   `toml:"bind" need:"" restart:"" like:"10.1.0.11:7946"`
	Seeds       []netip.AddrPort `toml:"seeds" restart:"" like:"10.1.0.12:7946"`
	KeyFile     string           `toml:"key_file" path:"" restart:""`
	Keys        []Secret         `toml:"-"`                              // 32 bytes each; the first is sent with
	Label       string           `toml:"label" restart:""`               // of the fleet: directors with another are strangers
	Replicas    int              `toml:"replicas" in:"0..16" restart:""` // directors that know a session beside its own
	HandBack    bool             `toml:"hand_back"`                      // on a LAN without BGP: a VIP goes back to the director it belongs to when that is there again
	SyncTimeout time.Duration    `toml:"sync_timeout" in:"1s..1h"`       // a director that starts announces after this long even if it has not learned all sessions
}

// VRRP is a virtual router (RFC 9568): VIPs that this director holds on a LAN
// while no other router does that has a greater right to.
type VRRP struct {
	Name         string        `toml:"name" need:""`
	Interface    string        `toml:"interface"`              // one of node.interfaces; "": the only one there is
	ID           int           `toml:"id" in:"1..255" need:""` // the VRID
	Priority     int           `toml:"priority" in:"1..255"`
	Interval     time.Duration `toml:"interval" in:"10ms..40950ms"` // from advertisement to advertisement
	Preempt      bool          `toml:"preempt"`                     // take over from a router of less priority
	PreemptDelay time.Duration `toml:"preempt_delay" in:"0s..1000s"`
	VIPs         []netip.Addr  `toml:"vips" need:""`
	Source       netip.Addr    `toml:"source"`                        // to speak from; invalid: the interface's first address, or its link-local one
	Checksum     string        `toml:"checksum" in:"rfc5798 rfc9568"` // of advertisements over IPv4: with a pseudo-header or without
}

// Dataplane is how packets are carried.
type Dataplane struct {
	Driver  string `toml:"driver" in:"auto packet" restart:""`
	Offload string `toml:"offload" in:"auto off required" restart:""`
}

// Admin is how the operator and Prometheus reach the director.
type Admin struct {
	Socket  string         `toml:"socket" restart:""`
	Metrics netip.AddrPort `toml:"metrics" like:"127.0.0.1:9590"` // invalid: no metrics are served
}

// Service is one VIP, port and protocol, or several of them, and the servers
// behind it.
type Service struct {
	Name           string         `toml:"name" need:""`
	VIP            netip.AddrPort `toml:"vip" need:"" anyport:"" like:"203.0.113.10:80"` // port 0: any, or those of Ports
	Protocol       string         `toml:"protocol" in:"tcp udp" picks:""`
	Ports          PortRange      `toml:"ports"` // of VIP, whose own port is 0 then; invalid: not a range
	VIPs           []Listener     `toml:"vips"`  // what the service listens at beside
	Tag            uint32         `toml:"tag" in:"0..4294967295"`
	Mode           string         `toml:"mode" in:"fullnat nat dr tun"`
	Tunnel         *string        `toml:"tunnel" in:"ipip gue"`      // of mode tun; nil: ipip
	TunnelPort     *uint16        `toml:"tunnel_port" in:"1..65535"` // of gue; nil: 6080
	TunnelVariant  *int           `toml:"tunnel_variant" in:"0..1"`  // of gue; nil: 0
	Scheduler      string         `toml:"scheduler" in:"rr wrr lc wlc sed nq dh sh lblc lblcr mh fo ovf twos"`
	SchedulerFlags []string       `toml:"scheduler_flags"`
	OnePacket      bool           `toml:"one_packet" only:"udp"`                 // each datagram is scheduled, no session is kept
	Quorum         int            `toml:"quorum" in:"0..4096"`                   // healthy servers needed to announce
	Hysteresis     int            `toml:"hysteresis" in:"0..4096"`               // gained at quorum+hysteresis, lost below quorum-hysteresis
	SorryServer    netip.AddrPort `toml:"sorry_server" anyport:""`               // takes new sessions while no server can; invalid: none
	MSS            int            `toml:"mss" in:"0..65495" only:"tcp"`          // SYNs are lowered to it; 0: left alone
	ResetOnExpiry  bool           `toml:"reset_on_expiry" only:"tcp"`            // tell both ends when an established session expires idle
	DeadServer     string         `toml:"dead_server" in:"reset keep expire"`    // sessions of a server that went down
	RemovedServer  string         `toml:"removed_server" in:"keep reset expire"` // sessions of a server that is no longer listed

	Persistence             time.Duration `toml:"persistence" in:"0s..744h"` // a client network keeps its server this long after its last session; 0: it does not
	PersistencePrefix4      int           `toml:"persistence_prefix4" in:"1..32"`
	PersistencePrefix6      int           `toml:"persistence_prefix6" in:"1..128"`
	ExpireQuiescentTemplate bool          `toml:"expire_quiescent_template"` // not while that server has weight 0

	Timeouts         Timeouts `toml:"timeouts"`
	Check            Check    `toml:"check"`
	InhibitOnFailure bool     `toml:"inhibit_on_failure"` // a server that is down keeps its place in sh and mh
	Servers          []Server `toml:"server" id:"address"`
}

// Timeouts say how long a session may be idle in each state, by IPVS's names.
// Those that the service's protocol does not know are zero.
type Timeouts struct {
	Established time.Duration `toml:"established" in:"1s..744h" only:"tcp"`
	SynSent     time.Duration `toml:"syn_sent" in:"1s..744h" only:"tcp"`
	SynRecv     time.Duration `toml:"syn_recv" in:"1s..744h" only:"tcp"`
	FinWait     time.Duration `toml:"fin_wait" in:"1s..744h" only:"tcp"`
	TimeWait    time.Duration `toml:"time_wait" in:"1s..744h" only:"tcp"`
	Close       time.Duration `toml:"close" in:"1s..744h" only:"tcp"`
	CloseWait   time.Duration `toml:"close_wait" in:"1s..744h" only:"tcp"`
	LastAck     time.Duration `toml:"last_ack" in:"1s..744h" only:"tcp"`
	UDP         time.Duration `toml:"udp" in:"1s..744h" only:"udp"`
}

// Check is how a server's health is found out. Fields that the type does not
// know are zero.
type Check struct {
	Type string `toml:"type" in:"tcp http https udp dns ping exec none" picks:""`

	Interval   time.Duration `toml:"interval" in:"100ms..1h" only:"!none"` // from start to start
	Timeout    time.Duration `toml:"timeout" in:"10ms..10m" only:"!none"`
	Fall       int           `toml:"fall" in:"1..100" only:"!none"`       // failures in a row until down
	Rise       int           `toml:"rise" in:"1..100" only:"!none"`       // successes in a row until up
	FlapCount  int           `toml:"flap_count" in:"0..100" only:"!none"` // falls within FlapWindow after which
	FlapWindow time.Duration `toml:"flap_window" in:"1s..24h" only:"!none"`
	FlapHold   time.Duration `toml:"flap_hold" in:"1s..24h" only:"!none"`              // the server is kept down this long; FlapCount 0: never
	Port       uint16        `toml:"port" in:"0..65535" only:"tcp http https udp dns"` // 0: the server's own

	Method string        `toml:"method" in:"GET HEAD OPTIONS POST" only:"http https"`
	Path   string        `toml:"path" only:"http https"`
	Host   string        `toml:"host" only:"http https"` // "": the server's address and port
	Status []StatusRange `toml:"status" only:"http https"`

	TLSVerify     bool   `toml:"tls_verify" only:"https"`
	TLSServerName string `toml:"tls_server_name" only:"https"`     // "": Host, or else the server's address
	TLSCAFile     string `toml:"tls_ca_file" path:"" only:"https"` // "": the system's

	DNSName string `toml:"dns_name" only:"dns"`
	DNSType string `toml:"dns_type" in:"A AAAA CNAME MX NS PTR SOA SRV TXT" only:"dns"`

	Payload    string `toml:"payload" only:"tcp udp"`               // sent first
	PayloadHex string `toml:"payload_hex" only:"tcp udp"`           // for bytes that are no text
	Expect     string `toml:"expect" only:"tcp http https udp dns"` // must occur in the answer
	ExpectHex  string `toml:"expect_hex" only:"tcp udp"`

	Command []string          `toml:"command" only:"exec"` // program and arguments, no shell
	Env     map[string]string `toml:"env" only:"exec"`
}

// Server is one real server of a service.
type Server struct {
	Address        netip.AddrPort `toml:"address" need:"" anyport:""`   // port 0: the one the client asked for
	Mode           *string        `toml:"mode" in:"fullnat nat dr tun"` // nil: the service's, and so are the next three
	Tunnel         *string        `toml:"tunnel" in:"ipip gue"`
	TunnelPort     *uint16        `toml:"tunnel_port" in:"1..65535"`
	TunnelVariant  *int           `toml:"tunnel_variant" in:"0..1"`
	Weight         int            `toml:"weight" in:"0..65535"`
	UpperThreshold uint32         `toml:"upper_threshold" in:"0..4294967295"` // at so many sessions it gets no new ones; 0: never
	LowerThreshold uint32         `toml:"lower_threshold" in:"0..4294967295"` // until it has fewer than these; 0: three quarters of upper
	Enabled        bool           `toml:"enabled"`                            // false: as though it were not listed
	Drain          bool           `toml:"drain"`                              // keeps its sessions, gets no new ones
	Check          *Check         `toml:"check"`                              // nil: the service's
}
