package node

import (
	"context"
	"net/netip"

	"fleetlb/node/admin"
)

func (b backend) Persistence(ctx context.Context, name string) ([]admin.Persistence, error) {
	v, err := b.view(ctx)
	if err == nil {
		err = v.known(name)
	}
	if err != nil {
		return nil, err
	}
	var all []admin.Persistence
	for t := range b.plane.Persistence() {
		if name == "" || t.Service == name {
			all = append(all, admin.Persistence{
				Service: t.Service, Client: t.Client, Server: t.Server,
				ExpiresS: seconds(t.Expires), Sessions: t.Sessions,
			})
		}
	}
	return all, nil
}

// bound is a server of a service that persistence leads clients to.
type bound struct {
	service string
	server  netip.AddrPort
}

// clients counts them.
func (b backend) clients() map[bound]int {
	n := map[bound]int{}
	for t := range b.plane.Persistence() {
		n[bound{t.Service, t.Server}]++
	}
	return n
}
