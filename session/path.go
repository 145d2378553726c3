package session

import (
	"iter"

	"fleetlb/fullnat/packet"
)

// Mode is how a service's packets reach its servers, and with it which faces
// its sessions have.
type Mode uint8

const (
	FULLNAT Mode = 1 + iota // outbound face: server → local
	NAT                     // outbound face: server → client
	DR                      // no outbound face
	TUN                     // no outbound face
)

// faces is how many faces sessions have: the inbound one, and the outbound one
// unless replies bypass the director.
func (m Mode) faces() Direction {
	if m == DR || m == TUN {
		return 1
	}
	return 2
}

// A PathID names a [Path] of one table. The zero PathID names none.
type PathID uint32

// A PathKey is what tells one path from another. Where a service has several
// ports all of them are one path, whose sessions each know their own.
type PathKey struct {
	VIP, Server         packet.Addr
	VIPPort, ServerPort uint16 // ServerPort 0: the one of the VIP that the client asked for
	VIPLast             uint16 // the ports from VIPPort to this one; 0: that one alone
	Protocol            uint8
	Mode                Mode
}

// serverPort returns the server's port for those who ask for a port of the VIP.
func (k *PathKey) serverPort(vipPort uint16) uint16 {
	if k.ServerPort == 0 {
		return vipPort
	}
	return k.ServerPort
}

// face makes tu the tuple by which packets of a session that go d are known, or
// leaves it zero.
func (k *PathKey) face(tu *packet.Tuple, client, local *packet.Addr, clientPort, localPort, vipPort uint16, d Direction) {
	switch {
	case d == Inbound:
		tu.Src, tu.SrcPort = *client, clientPort
		tu.Dst, tu.DstPort = k.VIP, vipPort
	case k.Mode == FULLNAT:
		tu.Src, tu.SrcPort = k.Server, k.serverPort(vipPort)
		tu.Dst, tu.DstPort = *local, localPort
	case k.Mode == NAT:
		tu.Src, tu.SrcPort = k.Server, k.serverPort(vipPort)
		tu.Dst, tu.DstPort = *client, clientPort
	default:
		return
	}
	tu.Protocol = k.Protocol
}

// A Path is what all sessions of one service with one server share. It is kept
// for as long as it is live or a session uses it, so sessions outlive the
// snapshot that opened them.
type Path struct {
	PathKey // never changes

	Active   uint32 // sessions in syn_sent, syn_recv or established
	Inactive uint32 // all others; UDP sessions are, as in IPVS
	Replicas uint32 // sessions that other directors carry, and neither of the above

	Timeouts uint16 // which of the table's timeouts apply: see SetTimeouts

	// The rest is the worker's.

	Live  bool // the newest snapshot has this path
	Flags uint8
	Hop   uint16 // next hop towards the server
	MSS   uint16
	// Tunnel is what packets to the server travel in. TUN only.
	Tunnel *packet.Tunnel

	Traffic

	endpoint *endpoint // of the server; FULLNAT only
}

// Traffic is what went along a path.
type Traffic struct {
	Connections           uint64 // opened
	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64 // of IP packets
}

// Plus adds up.
func (t Traffic) Plus(o Traffic) Traffic {
	return Traffic{
		t.Connections + o.Connections,
		t.PacketsIn + o.PacketsIn, t.PacketsOut + o.PacketsOut,
		t.BytesIn + o.BytesIn, t.BytesOut + o.BytesOut,
	}
}

// Sessions is how many sessions use the path.
func (p *Path) Sessions() int { return int(p.Active) + int(p.Inactive) + int(p.Replicas) }

// countOf returns where s counts.
func (p *Path) countOf(s *Session) *uint32 {
	switch {
	case s.Role() == Replica:
		return &p.Replicas
	case active[s.State]:
		return &p.Active
	}
	return &p.Inactive
}

func (p *Path) count(s *Session)   { *p.countOf(s)++ }
func (p *Path) uncount(s *Session) { *p.countOf(s)-- }

// Bind returns the path of key, making it if there is none. A path that is
// neither marked live nor used by a session is gone with the next [Table.Sweep].
func (t *Table) Bind(key PathKey) PathID {
	if id, ok := t.pathIDs[key]; ok {
		return id
	}
	p := &Path{PathKey: key}
	if key.Mode == FULLNAT {
		p.endpoint = t.ports.bind(endpointKey{key.Server, key.ServerPort, key.Protocol})
	}
	id := PathID(len(t.paths))
	if n := len(t.freePaths); n > 0 {
		id, t.freePaths = t.freePaths[n-1], t.freePaths[:n-1]
		t.paths[id] = p
	} else {
		t.paths = append(t.paths, p)
	}
	t.pathIDs[key] = id
	return id
}

// Path returns a bound path. The pointer stays good for as long as the path is
// live or a session uses it.
func (t *Table) Path(id PathID) *Path { return t.paths[id] }

// Paths goes through all bound paths, live or not.
func (t *Table) Paths() iter.Seq2[PathID, *Path] {
	return func(yield func(PathID, *Path) bool) {
		for id, p := range t.paths {
			if p != nil && !yield(PathID(id), p) {
				return
			}
		}
	}
}

// Sweep lets go of the paths that are neither live nor in use. A worker calls
// it after it has marked the paths of a new snapshot; from then on a path that
// is not live goes with its last session.
func (t *Table) Sweep() {
	for id, p := range t.Paths() {
		t.unbind(id, p)
	}
}

// unbind lets go of p if nothing holds it.
func (t *Table) unbind(id PathID, p *Path) {
	if p.Live || p.Sessions() > 0 {
		return
	}
	if p.endpoint != nil {
		t.ports.unbind(p.endpoint)
	}
	t.retired = t.retired.Plus(p.Traffic)
	delete(t.pathIDs, p.PathKey)
	t.paths[id] = nil
	t.freePaths = append(t.freePaths, id)
}

// Retired is the traffic of all paths that are gone.
func (t *Table) Retired() Traffic { return t.retired }
