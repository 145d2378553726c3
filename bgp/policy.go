package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	api "github.com/osrg/gobgp/v3/api"
	gobgp "github.com/osrg/gobgp/v3/pkg/server"
)

// policies is the export policy: one GoBGP policy for each neighbour, which
// adds what this neighbour's announcements carry. Nothing that no policy
// accepts is announced.
//
// GoBGP cannot change a policy in use, so a changed one gets a new name, takes
// the old one's place in one step, and the old one goes.
type policies struct {
	bgp    *gobgp.BgpServer
	serial int
	names  map[netip.Addr]string
}

// refuseImports refuses every route but our own. GoBGP applies the import
// policy to those too.
func (p *policies) refuseImports() error {
	const name = "import"
	p.names = make(map[netip.Addr]string)
	own := &api.Policy{Name: name, Statements: []*api.Statement{{
		Name:       name,
		Conditions: &api.Conditions{RouteType: api.Conditions_ROUTE_TYPE_LOCAL},
		Actions:    &api.Actions{RouteAction: api.RouteAction_ACCEPT},
	}}}
	ctx := context.Background()
	if err := p.bgp.AddPolicy(ctx, &api.AddPolicyRequest{Policy: own}); err != nil {
		return fmt.Errorf("import policy: %w", err)
	}
	if err := p.assign(api.PolicyDirection_IMPORT, []string{name}); err != nil {
		return err
	}
	return p.assign(api.PolicyDirection_EXPORT, nil)
}

// set gives n its policy.
func (p *policies) set(n *Neighbor) error {
	p.serial++
	name := fmt.Sprintf("export %v %d", n.Address, p.serial)
	ctx := context.Background()
	set := &api.DefinedSet{DefinedType: api.DefinedType_NEIGHBOR, Name: name,
		List: []string{netip.PrefixFrom(n.Address, n.Address.BitLen()).String()}}
	if err := p.bgp.AddDefinedSet(ctx, &api.AddDefinedSetRequest{DefinedSet: set}); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if err := p.bgp.AddPolicy(ctx, &api.AddPolicyRequest{Policy: newPolicy(name, n)}); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	old, had := p.names[n.Address]
	p.names[n.Address] = name
	if err := p.assignExports(); err != nil {
		return err
	}
	if had {
		return p.delete(old)
	}
	return nil
}

// drop takes a neighbour's policy away.
func (p *policies) drop(a netip.Addr) error {
	old := p.names[a]
	delete(p.names, a)
	if err := p.assignExports(); err != nil {
		return err
	}
	return p.delete(old)
}

func (p *policies) assignExports() error {
	var names []string
	for _, name := range p.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return p.assign(api.PolicyDirection_EXPORT, names)
}

func (p *policies) assign(d api.PolicyDirection, names []string) error {
	a := &api.PolicyAssignment{Name: "global", Direction: d, DefaultAction: api.RouteAction_REJECT}
	for _, name := range names {
		a.Policies = append(a.Policies, &api.Policy{Name: name})
	}
	if err := p.bgp.SetPolicyAssignment(context.Background(), &api.SetPolicyAssignmentRequest{Assignment: a}); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}

func (p *policies) delete(name string) error {
	ctx := context.Background()
	if err := p.bgp.DeletePolicy(ctx, &api.DeletePolicyRequest{Policy: &api.Policy{Name: name}, All: true}); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	set := &api.DefinedSet{DefinedType: api.DefinedType_NEIGHBOR, Name: name}
	if err := p.bgp.DeleteDefinedSet(ctx, &api.DeleteDefinedSetRequest{DefinedSet: set, All: true}); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}

// newPolicy accepts our own routes for n: first the next hop of each family,
// if n names one, then all the rest.
func newPolicy(name string, n *Neighbor) *api.Policy {
	policy := &api.Policy{Name: name}
	statement := func(c *api.Conditions, a *api.Actions) {
		c.NeighborSet = &api.MatchSet{Type: api.MatchSet_ANY, Name: name}
		policy.Statements = append(policy.Statements, &api.Statement{
			Name: fmt.Sprintf("%s statement %d", name, len(policy.Statements)), Conditions: c, Actions: a,
		})
	}
	nextHop := func(f *api.Family, a netip.Addr) {
		if a.IsValid() {
			statement(&api.Conditions{AfiSafiIn: []*api.Family{f}},
				&api.Actions{Nexthop: &api.NexthopAction{Address: a.String()}})
		}
	}
	nextHop(ipv4, n.NextHop4)
	nextHop(ipv6, n.NextHop6)

	last := &api.Actions{RouteAction: api.RouteAction_ACCEPT}
	if n.MED != nil {
		last.Med = &api.MedAction{Type: api.MedAction_MOD, Value: int64(*n.MED)}
	}
	if len(n.Communities) > 0 {
		last.Community = &api.CommunityAction{Type: api.CommunityAction_ADD, Communities: numeric(n.Communities)}
	}
	if len(n.LargeCommunities) > 0 {
		last.LargeCommunity = &api.CommunityAction{Type: api.CommunityAction_ADD, Communities: n.LargeCommunities}
	}
	if n.Prepend > 0 {
		last.AsPrepend = &api.AsPrependAction{UseLeftMost: true, Repeat: uint32(n.Prepend)}
	}
	statement(&api.Conditions{RouteType: api.Conditions_ROUTE_TYPE_LOCAL}, last)
	return policy
}

// numeric writes communities as GoBGP reads them, which knows not all names.
func numeric(names []string) []string {
	var list []string
	for _, name := range names {
		if c, err := parseCommunity(name); err == nil {
			list = append(list, fmt.Sprint(c))
		}
	}
	return list
}
