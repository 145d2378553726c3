package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	api "github.com/osrg/gobgp/v3/api"
	gobgp "github.com/osrg/gobgp/v3/pkg/server"
)

// policies is what GoBGP may learn and announce. It learns nothing. A route on
// its way out meets the policy "prepend", which all neighbours share, and then
// its neighbour's own, which adds what this neighbour's announcements carry.
// Nothing that no policy accepts is announced.
//
// GoBGP cannot change a policy in use, so a changed one gets a new name, takes
// the old one's place in one step, and the old one goes.
type policies struct {
	bgp    *gobgp.BgpServer
	serial int
	names  map[netip.Addr]string
}

// start refuses every route but our own, to which GoBGP applies the import
// policy too, and adds what all neighbours share.
func (p *policies) start() error {
	p.names = make(map[netip.Addr]string)
	if err := p.add(&api.Policy{Name: importPolicy, Statements: []*api.Statement{{
		Name:       importPolicy,
		Conditions: &api.Conditions{RouteType: api.Conditions_ROUTE_TYPE_LOCAL},
		Actions:    &api.Actions{RouteAction: api.RouteAction_ACCEPT},
	}}}); err != nil {
		return err
	}
	if err := p.assign(api.PolicyDirection_IMPORT, []string{importPolicy}); err != nil {
		return err
	}
	if err := p.addPrepend(); err != nil {
		return err
	}
	return p.assignExports()
}

const (
	importPolicy  = "import"
	prependPolicy = "prepend"
)

// mark is the community by which a route carries its Prepend as far as the
// policy of that name. Inside one AS a path that holds its number is a loop, so
// the path cannot be longer before it is known whom it goes to. The values are
// of the range that is nobody's (RFC 1997).
func mark(prepend int) uint32 { return 0xffff_fc00 + uint32(prepend) }

// addPrepend adds the policy that turns marks into longer AS paths. The path of
// an iBGP neighbour is empty, has no leftmost number, and stays so; there
// LOCAL_PREF says the same.
func (p *policies) addPrepend() error {
	prepend := &api.Policy{Name: prependPolicy}
	unmark := &api.CommunityAction{Type: api.CommunityAction_REMOVE}
	for n := 1; n <= maxPrepend; n++ {
		name := fmt.Sprintf("prepend %d", n)
		set := &api.DefinedSet{DefinedType: api.DefinedType_COMMUNITY, Name: name, List: []string{fmt.Sprint(mark(n))}}
		if err := p.bgp.AddDefinedSet(context.Background(), &api.AddDefinedSetRequest{DefinedSet: set}); err != nil {
			return fmt.Errorf("policy: %w", err)
		}
		prepend.Statements = append(prepend.Statements, &api.Statement{
			Name:       name,
			Conditions: &api.Conditions{CommunitySet: &api.MatchSet{Type: api.MatchSet_ANY, Name: name}},
			Actions:    &api.Actions{AsPrepend: &api.AsPrependAction{UseLeftMost: true, Repeat: uint32(n)}},
		})
		unmark.Communities = append(unmark.Communities, set.List...)
	}
	prepend.Statements = append(prepend.Statements, &api.Statement{Name: "unmark", Actions: &api.Actions{Community: unmark}})
	return p.add(prepend)
}

func (p *policies) add(policy *api.Policy) error {
	if err := p.bgp.AddPolicy(context.Background(), &api.AddPolicyRequest{Policy: policy}); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
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
	if err := p.add(newPolicy(name, n)); err != nil {
		return err
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
	return p.assign(api.PolicyDirection_EXPORT, append([]string{prependPolicy}, names...))
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
