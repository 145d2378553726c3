package admintest

import (
	"net/netip"

	"fleetlb/node/admin"
)

// Example is a director in the middle of its day: two services, one of its
// servers down, one router away.
func Example() *Director {
	at, ip := netip.MustParseAddrPort, netip.MustParseAddr
	return &Director{
		StatusNow: admin.Status{
			Node: "lb1", State: "serving", Version: "1.0", PID: 4711, UptimeS: 4*86400 + 7*3600,
			Workers: 2, Interfaces: []string{"eth0", "eth1"}, Steering: "ebpf", Offload: "off",
			Services: 2, ServicesUp: 2, Servers: 3, ServersUp: 2, Sessions: 4, MaxSessions: 1000000, Opened: 12345,
			PacketsIn: 1200000, PacketsOut: 1100000, BytesIn: 123456789, BytesOut: 9876543210, Dropped: 1047,
			Neighbors: 2, Established: 1, Routes: 3,
			ConfigFile: "/etc/fleetlb/lb1.toml", ConfigDigest: "3f2a91c0", RunningDigest: "81d07b55", ConfigAgeS: 7500, Reloads: 2, ReloadFailures: 1,
			SessionsHome: 4,
		},
		ServiceList: []admin.Service{
			{Name: "web", VIP: at("203.0.113.10:80"), Protocol: "tcp", Mode: "fullnat", Scheduler: "wrr", State: "up", Quorum: 1,
				Servers: 2, ServersUp: 1, Announced: true, Active: 2, Inactive: 1, Connections: 12300, PersistenceS: 300, VIPs: []string{"203.0.113.10:443/tcp"},
				PacketsIn: 1199000, PacketsOut: 1099000, BytesIn: 123400000, BytesOut: 9876500000},
			{Name: "dns", VIP: at("[2001:db8::10]:53"), Protocol: "udp", Mode: "fullnat", Scheduler: "mh", State: "up", Quorum: 1,
				Servers: 1, ServersUp: 1, Announced: true, Active: 1, Connections: 45, PacketsIn: 1000, PacketsOut: 1000, BytesIn: 56789, BytesOut: 43210},
		},
		ServerList: []admin.Server{
			{Service: "web", Address: at("10.3.0.12:8080"), Mode: "fullnat", Weight: 10, State: "down"},
			{Service: "web", Address: at("10.3.0.11:8080"), Mode: "fullnat", Weight: 10, State: "up", Active: 2, Inactive: 1, Persistent: 3, UpperThreshold: 1000},
			{Service: "dns", Address: at("[2001:db8:3::11]:53"), Mode: "fullnat", Weight: 1, State: "up", Active: 1},
		},
		HealthList: []admin.Health{
			{Service: "web", Address: at("10.3.0.12:8080"), Check: "http", State: "down", SinceS: 95, Checks: 1500, Failures: 48, DurationUS: 212, Reason: "connect: connection refused"},
			{Service: "web", Address: at("10.3.0.11:8080"), Check: "http", State: "up", SinceS: 7400, Checks: 3700, DurationUS: 1830},
			{Service: "dns", Address: at("[2001:db8:3::11]:53"), Check: "dns", State: "up", SinceS: 7400, Checks: 3700, DurationUS: 640},
		},
		SessionList: []admin.Session{
			{Protocol: "udp", State: "two_way", Client: at("[2001:db8:f::7]:5353"), VIP: at("[2001:db8::10]:53"), Mode: "fullnat", Local: at("[2001:db8:2:1::1]:2048"),
				Server: at("[2001:db8:3::11]:53"), Home: "lb1", Role: "home", ExpiresS: 290, PacketsIn: 2, PacketsOut: 2, BytesIn: 120, BytesOut: 240},
			{Protocol: "tcp", State: "established", Client: at("198.51.100.9:40000"), VIP: at("203.0.113.10:80"), Mode: "fullnat", Local: at("10.2.1.1:5121"),
				Server: at("10.3.0.11:8080"), Home: "lb1", Role: "home", ExpiresS: 890, PacketsIn: 1500, PacketsOut: 3000, BytesIn: 90000, BytesOut: 4500000},
			{Protocol: "tcp", State: "established", Client: at("198.51.100.7:4711"), VIP: at("203.0.113.10:80"), Mode: "fullnat", Local: at("10.2.1.1:5120"),
				Server: at("10.3.0.11:8080"), Home: "lb1", Role: "home", ExpiresS: 899, PacketsIn: 12, PacketsOut: 10, BytesIn: 1234, BytesOut: 99999},
			{Protocol: "tcp", State: "fin_wait", Client: at("198.51.100.7:4710"), VIP: at("203.0.113.10:80"), Mode: "fullnat", Local: at("10.2.1.2:6000"),
				Server: at("10.3.0.11:8080"), Home: "lb1", Role: "home", ExpiresS: 100, PacketsIn: 6, PacketsOut: 5, BytesIn: 600, BytesOut: 950},
		},
		SettingList: []admin.Setting{
			{Set: map[string]string{"timeouts.established": "15m", "timeouts.fin_wait": "2m", "timeouts.udp": "5m"}},
			{Service: "web", Set: map[string]string{"name": "web", "vip": "203.0.113.10:80", "protocol": "tcp", "mode": "fullnat", "scheduler": "wrr"}},
			{Service: "web", Server: at("10.3.0.12:8080"), Set: map[string]string{"address": "10.3.0.12:8080", "weight": "10"}},
			{Service: "web", Server: at("10.3.0.11:8080"), Set: map[string]string{"address": "10.3.0.11:8080", "weight": "10"}},
			{Service: "dns", Set: map[string]string{"name": "dns", "vip": "[2001:db8::10]:53", "protocol": "udp", "mode": "fullnat", "scheduler": "mh"}},
			{Service: "dns", Server: at("[2001:db8:3::11]:53"), Set: map[string]string{"address": "[2001:db8:3::11]:53", "weight": "1"}},
		},
		TrafficList: []admin.Traffic{
			{Service: "web", Active: 2, Inactive: 1, Connections: 12300, PacketsIn: 1199000, PacketsOut: 1099000, BytesIn: 123400000, BytesOut: 9876500000,
				ConnectionRate: 12.5, PacketInRate: 801.25, PacketOutRate: 790, ByteInRate: 99000, ByteOutRate: 7654321},
			{Service: "web", Server: at("10.3.0.11:8080"), Active: 2, Inactive: 1, Persistent: 3, Connections: 12300, PacketsIn: 1199000, PacketsOut: 1099000,
				BytesIn: 123400000, BytesOut: 9876500000, ConnectionRate: 12.5, PacketInRate: 801.25, PacketOutRate: 790, ByteInRate: 99000, ByteOutRate: 7654321},
			{Service: "web", Server: at("10.3.0.12:8080")},
			{Service: "dns", Active: 1, Connections: 45, PacketsIn: 1000, PacketsOut: 1000, BytesIn: 56789, BytesOut: 43210, PacketInRate: 0.5, PacketOutRate: 0.5},
			{Service: "dns", Server: at("[2001:db8:3::11]:53"), Active: 1, Connections: 45, PacketsIn: 1000, PacketsOut: 1000, BytesIn: 56789, BytesOut: 43210,
				PacketInRate: 0.5, PacketOutRate: 0.5},
		},
		NodeList: []admin.Node{
			{Name: "lb2", Address: at("10.1.0.12:7946"), State: "syncing", Epoch: 1700000400, Sessions: 2, Slots: 97, SlotsOf: 256, SyncLagMS: 12, AtRisk: 1,
				ConfigDigest: "3f2a91c0", Version: "1.1", SinceS: 3},
			{Name: "lb1", Address: at("10.1.0.11:7946"), State: "serving", Epoch: 1700000000, Sessions: 4, Slots: 256, SlotsOf: 256, SyncLagMS: 2,
				ConfigDigest: "3f2a91c0", Version: "1.0", SinceS: 4*86400 + 7*3600},
			{Name: "lb3", Address: at("10.1.0.13:7946"), State: "dead", Epoch: 1700000100, ConfigDigest: "77aa0012", Version: "1.0", SinceS: 95,
				Problem: "its services differ from ours"},
		},
		VRRPList: []admin.VRRP{
			{Name: "lan6", Interface: "eth0", ID: 51, VIPs: []netip.Addr{ip("2001:db8::10"), ip("2001:db8::11")}, State: "backup", SinceS: 95, Priority: 100,
				Active: ip("fe80::9"), ActivePriority: 150, IntervalMS: 500, Transitions: 1, Reason: "fe80::9 has priority 150", Sent: 20, Received: 190},
			{Name: "lan", Interface: "eth0", ID: 51, VIPs: []netip.Addr{ip("203.0.113.10")}, State: "active", SinceS: 7400, Priority: 100,
				Active: ip("10.1.0.11"), ActivePriority: 100, IntervalMS: 1000, Transitions: 1, Reason: "nobody else was heard in time", Sent: 7401, Received: 2, Dropped: 1},
			{Name: "inner", Interface: "eth1", ID: 7, VIPs: []netip.Addr{ip("10.3.0.80")}, State: "init", SinceS: 3, Priority: 100,
				IntervalMS: 1000, Reason: "not ready", Problem: "interface eth1 has no IPv4 address to speak from"},
		},
		Holders: []admin.KeyHolder{
			{Member: "lb2", Keys: []string{"1f00ba11"}},
			{Member: "lb1", Keys: []string{"1f00ba11"}},
		},
		PersistenceList: []admin.Persistence{
			{Service: "web", Client: netip.MustParsePrefix("198.51.100.9/32"), Server: at("10.3.0.11:8080"), ExpiresS: 300, Sessions: 1},
			{Service: "web", Client: netip.MustParsePrefix("198.51.100.7/32"), Server: at("10.3.0.11:8080"), ExpiresS: 300, Sessions: 2},
			{Service: "web", Client: netip.MustParsePrefix("192.0.2.44/32"), Server: at("10.3.0.11:8080"), ExpiresS: 12},
		},
		NeighborList: []admin.Neighbor{
			{Address: ip("10.1.0.2"), ASN: 65000, State: "active", BFD: "off"},
			{Address: ip("10.1.0.1"), ASN: 65000, State: "established", UptimeS: 7390, Announced: 3, BFD: "off"},
		},
		RouteList: []admin.Route{
			{Prefix: netip.MustParsePrefix("2001:db8::10/128"), For: "dns", Neighbors: 1},
			{Prefix: netip.MustParsePrefix("10.2.1.0/28"), For: "local addresses", Neighbors: 1},
			{Prefix: netip.MustParsePrefix("203.0.113.10/32"), For: "web", MED: 50, Prepend: 1, Communities: []string{"65001:100", "no-export"}, Neighbors: 1},
		},
		PoolList: []admin.Pool{
			{Address: ip("2001:db8:2:1::1"), Ports: 64512, Sessions: 1, BusiestServer: at("[2001:db8:3::11]:53"), BusiestPorts: 1},
			{Address: ip("10.2.1.2"), Ports: 64512, Sessions: 1, BusiestServer: at("10.3.0.11:8080"), BusiestPorts: 1},
			{Address: ip("10.2.1.1"), Ports: 64512, Sessions: 2, BusiestServer: at("10.3.0.11:8080"), BusiestPorts: 2},
			{Address: ip("10.2.1.3"), Ports: 64512},
		},
		DropList: []admin.Drop{
			{Reason: "no hops left", Packets: 1007},
			{Reason: "mid-connection packet of no connection we know", Packets: 40},
		},
		ConfigNow: admin.Config{File: "/etc/fleetlb/lb1.toml", Digest: "3f2a91c0", Running: "81d07b55", AgeS: 7500,
			Runtime: []string{`server 10.3.0.12:8080 of service "web": weight 5, was 10`},
			TOML:    "[node]\nname = \"lb1\"\n"},
		Findings: []admin.Finding{
			{Check: "ip_forward", State: "ok", Found: "off"},
			{Check: "rp_filter eth0", State: "warn", Found: "strict", Advice: "sysctl -w net.ipv4.conf.eth0.rp_filter=0"},
		},
		Changes: []admin.Change{{Change: `service "web": server 10.3.0.13:8080 added`}},
	}
}
