package lab

import (
	"fmt"
	"slices"
	"time"
)

// The types here are what the lab reads of `fleetlb -o json`, spelled out again
// on purpose: the tests hold the command line to its documented keys.

// Status is the director at a glance.
type Status struct {
	State          string `json:"state"`
	Sessions       int    `json:"sessions"`
	MaxSessions    int    `json:"max_sessions"`
	Offload        string `json:"offload"`
	ReloadFailures int    `json:"reload_failures"`
	ReloadError    string `json:"reload_error"`
	ConfigDigest   string `json:"config_digest"`
	Dropped        uint64 `json:"dropped"`
}

// ServerView is one server of one service.
type ServerView struct {
	Service  string `json:"service"`
	Address  string `json:"address"`
	Weight   int    `json:"weight"`
	State    string `json:"state"`
	Active   int    `json:"active"`
	Inactive int    `json:"inactive"`
}

// SessionView is one session.
type SessionView struct {
	Protocol   string `json:"protocol"`
	State      string `json:"state"`
	Client     string `json:"client"`
	VIP        string `json:"vip"`
	Local      string `json:"local"`
	Server     string `json:"server"`
	Home       string `json:"home"`
	Role       string `json:"role"`
	ExpiresS   int    `json:"expires_s"`
	PacketsIn  uint64 `json:"packets_in"`
	PacketsOut uint64 `json:"packets_out"`
	BytesIn    uint64 `json:"bytes_in"`
	BytesOut   uint64 `json:"bytes_out"`
	Mode       string `json:"mode"`
}

// NeighborView is one BGP session as the director sees it.
type NeighborView struct {
	Address   string `json:"address"`
	ASN       uint32 `json:"asn"`
	State     string `json:"state"`
	UptimeS   int    `json:"uptime_s"`
	Announced int    `json:"announced"`
	BFD       string `json:"bfd"`
}

// NodeView is one director of the fleet as another sees it.
type NodeView struct {
	Name         string `json:"name"`
	Address      string `json:"address"`
	State        string `json:"state"`
	Epoch        uint64 `json:"epoch"`
	Sessions     int    `json:"sessions"`
	Slots        int    `json:"slots"`
	SlotsOf      int    `json:"slots_of"`
	SyncLagMS    int    `json:"sync_lag_ms"`
	ConfigDigest string `json:"config_digest"`
	Problem      string `json:"problem"`
}

// Nodes lists the fleet.
func (d *Director) Nodes() ([]NodeView, error) { return read[NodeView](d, "nodes") }

// AwaitNodes waits until the director knows just these to serve beside itself, or
// being one of them.
func (d *Director) AwaitNodes(timeout time.Duration, names ...string) error {
	return Await(timeout, fmt.Sprintf("%s to see %v", d.Host.Name, names), func() error {
		nodes, err := d.Nodes()
		if err != nil {
			return err
		}
		var serving []string
		for _, n := range nodes {
			if n.State == "serving" {
				serving = append(serving, n.Name)
			}
		}
		slices.Sort(serving)
		if !slices.Equal(serving, names) {
			return fmt.Errorf("it has %+v", nodes)
		}
		return nil
	})
}

// AwaitSlots waits until the director has heard of all others that they have the
// sessions of their slots; that comes a second or two after they serve.
func (d *Director) AwaitSlots(timeout time.Duration) error {
	return Await(timeout, d.Host.Name+" to hear that all slots are whole", func() error {
		nodes, err := d.Nodes()
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if n.SlotsOf == 0 || n.Slots < n.SlotsOf {
				return fmt.Errorf("%s has %d of %d", n.Name, n.Slots, n.SlotsOf)
			}
		}
		return nil
	})
}

// Status asks the director how it is.
func (d *Director) Status() (Status, error) {
	list, err := read[Status](d, "status")
	if err != nil {
		return Status{}, err
	}
	if len(list) != 1 {
		return Status{}, fmt.Errorf("fleetlb status: %d objects, want 1", len(list))
	}
	return list[0], nil
}

// ServerList lists the servers of a service, or of all.
func (d *Director) ServerList(service ...string) ([]ServerView, error) {
	return read[ServerView](d, append([]string{"servers"}, service...)...)
}

// Sessions lists the director's sessions.
func (d *Director) Sessions(filter ...string) ([]SessionView, error) {
	return read[SessionView](d, append([]string{"sessions"}, filter...)...)
}

// BGPNeighbors lists the director's BGP sessions.
func (d *Director) BGPNeighbors() ([]NeighborView, error) {
	return read[NeighborView](d, "bgp", "neighbors")
}

// Drops returns the packets dropped so far, by reason.
func (d *Director) Drops() (map[string]uint64, error) {
	list, err := read[struct {
		Reason  string `json:"reason"`
		Packets uint64 `json:"packets"`
	}](d, "drops")
	if err != nil {
		return nil, err
	}
	drops := make(map[string]uint64)
	for _, drop := range list {
		drops[drop.Reason] += drop.Packets
	}
	return drops, nil
}

// AwaitServer waits until the director calls a server up, down or draining.
func (d *Director) AwaitServer(timeout time.Duration, service, address, state string) error {
	return Await(timeout, fmt.Sprintf("server %s of %q to be %s", address, service, state), func() error {
		servers, err := d.ServerList(service)
		if err != nil {
			return err
		}
		for _, s := range servers {
			if s.Address != address {
				continue
			}
			if s.State != state {
				return fmt.Errorf("it is %s", s.State)
			}
			return nil
		}
		return fmt.Errorf("it is not listed: %+v", servers)
	})
}

// AwaitAllUp waits until every server of every service is up.
func (d *Director) AwaitAllUp(timeout time.Duration) error {
	return Await(timeout, "every server to be up", func() error {
		servers, err := d.ServerList()
		if err != nil {
			return err
		}
		for _, s := range servers {
			if s.State != "up" {
				return fmt.Errorf("%s of %q is %s", s.Address, s.Service, s.State)
			}
		}
		if len(servers) == 0 {
			return fmt.Errorf("there are none")
		}
		return nil
	})
}

// VRRPView is one group of VIPs that are held in turn.
type VRRPView struct {
	Name           string `json:"name"`
	ID             int    `json:"id"`
	State          string `json:"state"`
	Priority       int    `json:"priority"`
	Active         string `json:"active"`
	ActivePriority int    `json:"active_priority"`
	IntervalMS     int    `json:"interval_ms"`
	Transitions    int    `json:"transitions"`
	Problem        string `json:"problem"`
}

// VRRP lists them, by name.
func (d *Director) VRRP() ([]VRRPView, error) { return read[VRRPView](d, "vrrp") }
