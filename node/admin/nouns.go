package admin

import "net/netip"

// Status is the director at a glance.
type Status struct {
	Node    string `json:"node"`
	State   string `json:"state"` // starting | syncing | barred (does not fit into the fleet) | serving | draining | drained
	Version string `json:"version"`
	PID     int    `json:"pid"`
	UptimeS int64  `json:"uptime_s"`

	Workers    int      `json:"workers"`
	Interfaces []string `json:"interfaces"`
	Steering   string   `json:"steering"` // how frames find their worker
	Offload    string   `json:"offload"`

	Services    int    `json:"services"`
	ServicesUp  int    `json:"services_up"`
	Servers     int    `json:"servers"`
	ServersUp   int    `json:"servers_up"`
	Sessions    int    `json:"sessions"`
	MaxSessions int    `json:"max_sessions"` // of SessionsHome: so many as there is room for
	Opened      uint64 `json:"opened"`       // sessions since the start
	PacketsIn   uint64 `json:"packets_in"`
	PacketsOut  uint64 `json:"packets_out"`
	BytesIn     uint64 `json:"bytes_in"`
	BytesOut    uint64 `json:"bytes_out"`
	Dropped     uint64 `json:"dropped"` // packets, for any reason

	Neighbors   int `json:"bgp_neighbors"`
	Established int `json:"bgp_established"`
	Routes      int `json:"bgp_routes"`

	ConfigFile     string `json:"config_file"`
	ConfigDigest   string `json:"config_digest"`  // of the file
	RunningDigest  string `json:"running_digest"` // with what was changed since by command
	ConfigAgeS     int64  `json:"config_age_s"`
	Reloads        int    `json:"reloads"`
	ReloadFailures int    `json:"reload_failures"`
	ReloadError    string `json:"reload_error"` // of the last reload; empty if it went well

	SessionsHome int `json:"sessions_home"` // of Sessions, those that were opened here; the others are of other directors
}

// Service is one VIP:port/protocol and what it carries.
type Service struct {
	Name        string         `json:"name"`
	VIP         netip.AddrPort `json:"vip"` // port 0: several
	Protocol    string         `json:"protocol"`
	Mode        string         `json:"mode"`
	Scheduler   string         `json:"scheduler"`
	State       string         `json:"state"`  // up | down | sorry (only the sorry server is left) | draining (announced for its last sessions)
	Quorum      int            `json:"quorum"` // healthy servers needed to announce
	Servers     int            `json:"servers"`
	ServersUp   int            `json:"servers_up"`
	Announced   bool           `json:"announced"`
	Active      int            `json:"active"`
	Inactive    int            `json:"inactive"`
	Connections uint64         `json:"connections"` // sessions opened since the service was added
	PacketsIn   uint64         `json:"packets_in"`
	PacketsOut  uint64         `json:"packets_out"`
	BytesIn     uint64         `json:"bytes_in"`
	BytesOut    uint64         `json:"bytes_out"`

	Ports        string   `json:"ports"` // of the VIP: "8000-8999", "" for its own alone or, if that is 0, for any
	VIPs         []string `json:"vips"`  // what it listens at beside: "203.0.113.10:443/tcp"
	Tag          uint32   `json:"tag"`
	OnePacket    bool     `json:"one_packet"`
	PersistenceS int64    `json:"persistence_s"` // 0: off
}

// Server is one real server of one service.
type Server struct {
	Service  string         `json:"service"`
	Address  netip.AddrPort `json:"address"`
	Weight   int            `json:"weight"`
	State    string         `json:"state"` // up | down | draining | overloaded (at its upper threshold) | sorry (stands in when no server is up)
	Active   int            `json:"active"`
	Inactive int            `json:"inactive"`
	Mode     string         `json:"mode"`   // fullnat | nat | dr | tun
	Tunnel   string         `json:"tunnel"` // of mode tun: ipip, or the variant and port of GUE

	UpperThreshold uint32 `json:"upper_threshold"` // sessions; 0: none
	LowerThreshold uint32 `json:"lower_threshold"`
	Persistent     int    `json:"persistent"` // clients that persistence leads to it
}

// Persistence is one network of clients and the server they were given.
type Persistence struct {
	Service  string         `json:"service"`
	Client   netip.Prefix   `json:"client"`
	Server   netip.AddrPort `json:"server"`
	ExpiresS int64          `json:"expires_s"` // if no session holds it any longer
	Sessions int            `json:"sessions"`  // that hold it, on this director
}

// Health is what the checks of one server say.
type Health struct {
	Service    string         `json:"service"`
	Address    netip.AddrPort `json:"address"`
	Check      string         `json:"check"` // type of the check
	State      string         `json:"state"` // up | down | flapping | unchecked
	SinceS     int64          `json:"since_s"`
	Checks     uint64         `json:"checks"`
	Failures   uint64         `json:"failures"`
	DurationUS int64          `json:"duration_us"` // of the last check
	Reason     string         `json:"reason"`
}

// SessionStates are all that a session can be in: those of TCP, then of UDP.
var SessionStates = []string{"none", "established", "syn_sent", "syn_recv", "fin_wait", "time_wait",
	"close", "close_wait", "last_ack", "one_way", "two_way"}

// Session is one connection and the server it was given.
type Session struct {
	Protocol   string         `json:"protocol"`
	State      string         `json:"state"` // one of SessionStates
	Client     netip.AddrPort `json:"client"`
	VIP        netip.AddrPort `json:"vip"`
	Local      netip.AddrPort `json:"local"` // "" in modes without one
	Server     netip.AddrPort `json:"server"`
	Home       string         `json:"home"` // name of the director
	Role       string         `json:"role"` // home | adopted | replica
	ExpiresS   int64          `json:"expires_s"`
	PacketsIn  uint64         `json:"packets_in"`
	PacketsOut uint64         `json:"packets_out"`
	BytesIn    uint64         `json:"bytes_in"`
	BytesOut   uint64         `json:"bytes_out"`
	Mode       string         `json:"mode"` // fullnat | nat | dr | tun
	Node       string         `json:"node"` // the director that says so
}

// SessionFilter picks sessions; its zero value picks all.
type SessionFilter struct {
	Service string         // by name
	Client  netip.Prefix   // a single address is a prefix of full length
	Server  netip.AddrPort // port 0: any
	State   string
	Role    string
	All     bool // of every director of the fleet
	Limit   int  // 0: none
}

// Match applies all of f that a session can tell by itself: all but Service, All
// and Limit.
func (f *SessionFilter) Match(s *Session) bool {
	return (!f.Client.IsValid() || f.Client.Contains(s.Client.Addr())) &&
		(!f.Server.IsValid() || f.Server.Addr() == s.Server.Addr() &&
			(f.Server.Port() == 0 || f.Server.Port() == s.Server.Port())) &&
		(f.State == "" || f.State == s.State) && (f.Role == "" || f.Role == s.Role)
}

// Node is one director.
type Node struct {
	Name         string         `json:"name"`
	Address      netip.AddrPort `json:"address"` // of its gossip; "" without
	State        string         `json:"state"`   // as in Status; of another also leaving | left | dead
	Epoch        uint64         `json:"epoch"`   // which of its lives this is
	Sessions     int            `json:"sessions"`
	Slots        int            `json:"slots"`         // whose replicas it keeps and has whole
	SyncLagMS    int64          `json:"sync_lag_ms"`   // until another director had its news, lately
	ConfigDigest string         `json:"config_digest"` // of the services
	SlotsOf      int            `json:"slots_of"`      // whose replicas it shall keep
	AtRisk       uint64         `json:"at_risk"`       // sessions that no other director has acknowledged yet
	Version      string         `json:"version"`
	SinceS       int64          `json:"since_s"` // it is in this state, or alive
	VIPs         int            `json:"vips"`    // that it answers for on a LAN
	Problem      string         `json:"problem"` // why it does not fit into the fleet; "" if it does
}

// KeyHolder is a director and its keys.
type KeyHolder struct {
	Member string   `json:"member"`
	Keys   []string `json:"keys"`  // ids; the first is sent with
	Error  string   `json:"error"` // why it could not be asked, or would not
}

// VRRP is a group of VIPs that routers on a LAN hold in turn.
type VRRP struct {
	Name           string       `json:"name"`
	Interface      string       `json:"interface"`
	ID             int          `json:"id"`
	VIPs           []netip.Addr `json:"vips"`
	State          string       `json:"state"` // init (takes no part: not ready) | backup | active
	SinceS         int64        `json:"since_s"`
	Priority       int          `json:"priority"`
	Active         netip.Addr   `json:"active"` // the router that holds them; zero: nobody that is known
	ActivePriority int          `json:"active_priority"`
	IntervalMS     int64        `json:"interval_ms"` // from advertisement to advertisement, as the active one says it
	Transitions    uint64       `json:"transitions"` // to active
	Reason         string       `json:"reason"`      // of the last transition
	Sent           uint64       `json:"sent"`
	Received       uint64       `json:"received"`
	Dropped        uint64       `json:"dropped"` // of what came
	Problem        string       `json:"problem"`
}

// Neighbor is one BGP neighbour.
type Neighbor struct {
	Address   netip.Addr `json:"address"`
	ASN       uint32     `json:"asn"`
	State     string     `json:"state"` // RFC 4271 §8.2.2, in lower case
	UptimeS   int64      `json:"uptime_s"`
	Announced int        `json:"announced"` // routes
	BFD       string     `json:"bfd"`       // up | down | off
}

// Route is one prefix the director wants its neighbours to send here.
type Route struct {
	Prefix      netip.Prefix `json:"prefix"`
	For         string       `json:"for"` // the services behind it, or "local addresses"
	Prepend     int          `json:"prepend"`
	MED         uint32       `json:"med"`
	Communities []string     `json:"communities"`
	Neighbors   int          `json:"neighbors"` // how many it has been sent to
}

// Pool is one local address and its ports. Each server has all of them to
// itself, so the busiest server is the one that shows how near the end is.
type Pool struct {
	Address       netip.Addr     `json:"address"`
	Ports         int            `json:"ports"`
	Sessions      int            `json:"sessions"` // with all servers
	BusiestServer netip.AddrPort `json:"busiest_server"`
	BusiestPorts  int            `json:"busiest_ports"` // taken towards that server
}

// Drop is one reason to drop packets.
type Drop struct {
	Reason  string `json:"reason"`
	Packets uint64 `json:"packets"`
}

// Config is the running configuration.
type Config struct {
	File    string   `json:"file"`
	Digest  string   `json:"digest"`         // of the file
	Running string   `json:"running_digest"` // with what was changed by command
	AgeS    int64    `json:"age_s"`
	Runtime []string `json:"runtime"` // changes made since by command, one sentence each
	TOML    string   `json:"toml"`    // with every default filled in
}

// Setting is a service, or one of its servers, as it is configured. One without a
// service is the timeouts of those that say nothing of theirs.
type Setting struct {
	Service string            `json:"service"`
	Server  netip.AddrPort    `json:"server"` // "": the service itself
	Set     map[string]string `json:"set"`    // every key by its path, as an [Edit] would set it
}

// Traffic is what a service, or one of its servers, has carried since it was
// added or its counters were last zeroed, and what it carries a second: an
// average in which what was two seconds ago counts three quarters of what is now.
type Traffic struct {
	Service     string         `json:"service"`
	Server      netip.AddrPort `json:"server"` // "": all of them together
	Active      int            `json:"active"`
	Inactive    int            `json:"inactive"`
	Persistent  int            `json:"persistent"` // clients bound to the server for longer than a connection
	Connections uint64         `json:"connections"`
	PacketsIn   uint64         `json:"packets_in"`
	PacketsOut  uint64         `json:"packets_out"`
	BytesIn     uint64         `json:"bytes_in"`
	BytesOut    uint64         `json:"bytes_out"`

	ConnectionRate float64 `json:"connection_rate"`
	PacketInRate   float64 `json:"packet_in_rate"`
	PacketOutRate  float64 `json:"packet_out_rate"`
	ByteInRate     float64 `json:"byte_in_rate"`
	ByteOutRate    float64 `json:"byte_out_rate"`
}

// Tuple is the two ends of a packet, as on the wire.
type Tuple struct {
	Protocol string
	Src, Dst netip.AddrPort
}

// Explanation is what becomes of a packet, and why. Fields that the packet does
// not get as far as are empty.
type Explanation struct {
	Protocol  string         `json:"protocol"`
	Src       netip.AddrPort `json:"src"`
	Dst       netip.AddrPort `json:"dst"`
	Direction string         `json:"direction"` // inbound | outbound | none
	Verdict   string         `json:"verdict"`
	Service   string         `json:"service"`
	Slot      int            `json:"slot"`   // -1: none
	Worker    int            `json:"worker"` // -1: none
	Session   string         `json:"session"`
	Scheduler string         `json:"scheduler"`
	Server    netip.AddrPort `json:"server"`
	Local     netip.AddrPort `json:"local"`
	NextHop   string         `json:"next_hop"`
	Why       []string       `json:"why"` // the steps, in the order packets meet them
}

// Finding is one thing that doctor looked at.
type Finding struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok | warn | fail
	Found  string `json:"found"`
	Advice string `json:"advice"`
}

// OK is a finding that all is well.
func OK(check, found string) Finding { return Finding{check, "ok", found, ""} }

// Warn is a finding of what may hurt, and what to do about it.
func Warn(check, found, advice string) Finding { return Finding{check, "warn", found, advice} }

// Fail is a finding of what does hurt, and what to do about it.
func Fail(check, found, advice string) Finding { return Finding{check, "fail", found, advice} }

// Change is one thing that a reload did.
type Change struct {
	Change string `json:"change"`
}
