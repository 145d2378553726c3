package fullnat

import (
	"context"
	"net/netip"

	"fleetlb/session"
)

// PoolInfo is the use of one local address.
type PoolInfo struct {
	Local         netip.Addr
	Ports         int // towards each server
	Sessions      int
	BusiestServer netip.AddrPort
	BusiestPorts  int // in use towards that server
}

// Pools lists the local addresses that new sessions take.
func (p *Plane) Pools(ctx context.Context) ([]PoolInfo, error) {
	snap := p.current.Load()
	busy := map[netip.Addr]map[netip.AddrPort]int{}
	for _, w := range p.workers {
		uses, err := inquire(ctx, p, w, w.portUse)
		if err != nil {
			return nil, err
		}
		for _, u := range uses {
			local := u.Local.Netip()
			if busy[local] == nil {
				busy[local] = map[netip.AddrPort]int{}
			}
			busy[local][ends(u.Server, u.ServerPort)] += u.Ports
		}
	}
	var list []PoolInfo
	for _, a := range snap.localAddresses() {
		info := PoolInfo{Local: a.Netip(), Ports: max(int(snap.Ports[1])-int(snap.Ports[0])+1, 0)}
		for server, n := range busy[a.Netip()] {
			info.add(server, n)
		}
		list = append(list, info)
	}
	return list, nil
}

func (w *Worker) portUse() (all []session.PortUse) {
	for u := range w.sessions.PortUse() {
		all = append(all, u)
	}
	return all
}

func (i *PoolInfo) add(server netip.AddrPort, ports int) {
	i.Sessions += ports
	if ports > i.BusiestPorts || ports == i.BusiestPorts && server.Compare(i.BusiestServer) < 0 {
		i.BusiestServer, i.BusiestPorts = server, ports
	}
}
