package config

import "time"

// What a configuration means by what it leaves out.

func defaultConfig(file string) *Config {
	return &Config{
		File: file,
		Node: Node{
			MaxSessions:   1_000_000,
			AnswerPing:    true,
			LogLevel:      "info",
			LogFormat:     "text",
			WithdrawDelay: 2 * time.Second,
		},
		Fullnat:   Fullnat{LocalPorts: PortRange{1024, 65535}},
		Dataplane: Dataplane{Driver: "auto", Offload: "auto"},
		Admin:     Admin{Socket: "/run/fleetlb/admin.sock"},
	}
}

func defaultBGP() BGP { return BGP{ListenPort: 179} }

// A hold time of 9 s notices a silent death in the time TCP needs for a few
// retransmissions; the RFC's 90 s is made for links of 1994. BFD's timers are
// what routers use by themselves.
func defaultNeighbor() Neighbor {
	return Neighbor{
		Port:         179,
		HoldTime:     9 * time.Second,
		ConnectRetry: 5 * time.Second,

		BFDInterval:   300 * time.Millisecond,
		BFDMultiplier: 3,
	}
}

func defaultGossip() Gossip {
	return Gossip{Label: "fleetlb", Replicas: 2, HandBack: true, SyncTimeout: 30 * time.Second}
}

// What keepalived does by default.
func defaultVRRP() VRRP {
	return VRRP{Priority: 100, Interval: time.Second, Preempt: true, Checksum: "rfc5798"}
}

func defaultService(protocol string) Service {
	return Service{
		Protocol:      protocol,
		Mode:          "fullnat",
		Scheduler:     "wrr",
		Quorum:        1,
		ResetOnExpiry: protocol == "tcp",
		DeadServer:    "reset",
		RemovedServer: "keep",

		PersistencePrefix4: 32,
		PersistencePrefix6: 128,

		Timeouts: defaultTimeouts(protocol),
		Check:    defaultCheck(defaultCheckType(protocol)),
	}
}

func defaultServer() Server { return Server{Weight: 1, Enabled: true} }

// defaultTimeouts are those of IPVS.
func defaultTimeouts(protocol string) Timeouts {
	if protocol == "udp" {
		return Timeouts{UDP: 300 * time.Second}
	}
	return Timeouts{
		Established: 900 * time.Second,
		SynSent:     120 * time.Second,
		SynRecv:     60 * time.Second,
		FinWait:     120 * time.Second,
		TimeWait:    120 * time.Second,
		Close:       10 * time.Second,
		CloseWait:   60 * time.Second,
		LastAck:     30 * time.Second,
	}
}

// defaultCheckType is tcp where there is TCP. A TCP connection to a UDP service
// would take every server down.
func defaultCheckType(protocol string) string {
	if protocol == "udp" {
		return "ping"
	}
	return "tcp"
}

func defaultCheck(typ string) Check {
	c := Check{Type: typ}
	if typ == "none" {
		return c
	}
	c.Interval, c.Timeout = 2*time.Second, time.Second
	c.Fall, c.Rise = 3, 2
	c.FlapCount, c.FlapWindow, c.FlapHold = 5, 10*time.Minute, 5*time.Minute
	switch typ {
	case "http", "https":
		c.Method, c.Path = "GET", "/"
		c.Status = []StatusRange{{200, 299}}
	case "dns":
		c.DNSType = "A"
	}
	return c
}

// overriding is what a server's own check, which says what is in table, begins
// as: the service's. When it is of another type, only when and how often carries
// over.
func (c Check) overriding(typ string, table map[string]any) Check {
	if typ != c.Type {
		d := defaultCheck(typ)
		if c.Type != "none" && typ != "none" {
			d.Interval, d.Timeout, d.Fall, d.Rise = c.Interval, c.Timeout, c.Fall, c.Rise
			d.FlapCount, d.FlapWindow, d.FlapHold = c.FlapCount, c.FlapWindow, c.FlapHold
		}
		return d
	}
	// Two spellings of one thing replace each other.
	for key, other := range map[string]*string{
		"payload": &c.PayloadHex, "payload_hex": &c.Payload,
		"expect": &c.ExpectHex, "expect_hex": &c.Expect,
	} {
		if _, said := table[key]; said {
			*other = ""
		}
	}
	return c
}
