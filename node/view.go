package node

import (
	"context"
	"net/netip"
	"slices"

	"fleetlb/fullnat/service"
	"fleetlb/gossip"
	"fleetlb/node/admin"
	"fleetlb/node/metrics"
	"fleetlb/session"
)

// backend is what the operator sees of a director and does to it. Its methods
// run on the API's goroutines.
type backend struct{ *director }

var _ admin.Backend = backend{}

func missing(format string, args ...any) error { return admin.Errorf(admin.NotFound, format, args...) }
func refused(format string, args ...any) error { return admin.Errorf(admin.Refused, format, args...) }
func invalid(format string, args ...any) error { return admin.Errorf(admin.Invalid, format, args...) }

// A view is what the director's goroutine owns, as of one moment. What it points
// to is replaced and never changed, so it can be read anywhere.
type view struct {
	settings
	reloads reloads
	plan    *plan
	table   *service.Table
	speaker speaker
	metrics *metrics.Listener
	state   string
	held    string // why nothing is announced; "": nothing holds it

	epoch     uint64 // of this life
	offers    map[session.NodeID]map[netip.Addr]bool
	numbers   gossip.Numbers
	behind    string // why the last sync is not whole; "": it is
	others    []gossip.Member
	conflicts []gossip.Conflict
}

func (d *director) view(ctx context.Context) (v view, err error) {
	err = d.do(ctx, func() error {
		v = view{settings: d.settings, reloads: d.reloads, plan: d.plan, table: d.table, speaker: d.speaker, metrics: d.metrics,
			state: d.state(), held: d.company.held()}
		if d.company != nil {
			c := d.company
			v.offers = c.offers
			v.epoch, v.numbers, v.behind, v.others, v.conflicts = c.epoch, c.numbers, c.behind, c.others, c.conflicts
		}
		return nil
	})
	return v, err
}

// state is the director's condition in a word.
func (d *director) state() string {
	switch {
	case d.drained:
		return "drained"
	case d.draining:
		return "draining"
	case !d.pulse.alive:
		return "starting"
	case d.company != nil && d.company.unfit() != "":
		return "barred"
	case d.company != nil && d.company.syncing:
		return "syncing"
	}
	return "serving"
}

// of returns a service as it is planned and as the workers know it.
func (v *view) of(name string) (*planned, *service.Service) {
	for i := range v.plan.services {
		if p := &v.plan.services[i]; p.config.Name == name {
			return p, v.table.Services[i]
		}
	}
	return nil, nil
}

// known refuses the name of a service that there is not; "" stands for all.
func (v *view) known(name string) error {
	if name == "" {
		return nil
	}
	_, err := named(v.running.Services, name)
	return err
}

// serversOf lists a service's servers, the sorry server last.
func serversOf(s *service.Service) []*service.Server {
	if s.Sorry == nil {
		return s.Servers
	}
	return append(slices.Clip(s.Servers), s.Sorry)
}
