package node

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"fleetlb/fullnat"
	"fleetlb/gossip"
	"fleetlb/gossip/replica"
	"fleetlb/node/admin"
	"fleetlb/session"
)

// Nodes lists the directors of the fleet, this one included.
func (b backend) Nodes(ctx context.Context) ([]admin.Node, error) {
	v, c, err := b.counted(ctx)
	if err != nil {
		return nil, err
	}
	self := admin.Node{
		Name: v.config.Node.Name, State: v.state, Epoch: uint64(b.started.UnixNano()),
		Sessions: c.Sessions, Slots: fullnat.Slots, SlotsOf: fullnat.Slots,
		ConfigDigest: digestText(servicesDigest(v.running)), Version: b.version,
		SinceS: seconds(time.Since(b.started)), VIPs: countHeld(v.plan.held), Problem: v.problem(),
	}
	if b.company == nil {
		return []admin.Node{self}, nil
	}
	s := b.company.engine.Stats()
	self.Address, self.Epoch = b.company.members.Address(), v.epoch
	self.Slots, self.SlotsOf = s.Slots, s.SlotsOf
	self.SyncLagMS, self.AtRisk = v.numbers.Lag.Milliseconds(), uint64(s.AtRisk)
	all := []admin.Node{self}
	// As they are now: what they tell of their numbers is no change that this
	// director would plan anew for, and so not in the view.
	for _, m := range b.company.members.Members() {
		all = append(all, admin.Node{
			Name: m.Name, Address: m.Address, State: conditionOf(&m), Epoch: m.Epoch,
			Sessions: int(m.Numbers.Sessions), Slots: m.Numbers.Slots, SlotsOf: m.Numbers.SlotsOf,
			SyncLagMS: m.Numbers.Lag.Milliseconds(), AtRisk: m.Numbers.AtRisk,
			ConfigDigest: digestText(m.Config), Version: m.Version,
			SinceS: seconds(time.Since(m.Since)), VIPs: countHeld(v.offers[m.ID]), Problem: v.problemWith(m.ID),
		})
	}
	return all, nil
}

// countHeld counts the VIPs that a director holds of those it could serve.
func countHeld(offers map[netip.Addr]bool) (n int) {
	for _, held := range offers {
		if held {
			n++
		}
	}
	return n
}

// conditionOf is another director's condition in a word.
func conditionOf(m *gossip.Member) string {
	switch {
	case m.Alive && m.Numbers.Suppressed && m.State == gossip.Serving:
		return "barred"
	case m.Alive:
		return string(m.State)
	case m.Left:
		return "left"
	}
	return "dead"
}

func digestText(d uint64) string { return fmt.Sprintf("%012x", d>>16) }

// problem is why this director does not fit into the fleet.
func (v *view) problem() string {
	if v.behind != "" {
		return "it may not know all sessions: " + v.behind
	}
	for _, x := range v.conflicts {
		if x.Ours {
			return x.Text
		}
	}
	return ""
}

// problemWith is why another does not.
func (v *view) problemWith(id session.NodeID) string {
	for _, x := range v.conflicts {
		if x.With.ID == id && !x.Ours {
			return x.Text
		}
	}
	return ""
}

// Keyring lists the keys of every director.
func (b backend) Keyring(ctx context.Context) ([]admin.KeyHolder, error) {
	if b.company == nil {
		return nil, errAlone
	}
	return holders(b.company.members.Keyring(ctx)), nil
}

// AddKey gives every director a key.
func (b backend) AddKey(ctx context.Context, key string) ([]admin.KeyHolder, error) {
	if b.company == nil {
		return nil, errAlone
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return nil, invalid("the key is not base64; try: head -c 32 /dev/urandom | base64")
	}
	if key == "" {
		raw = nil // a new one
	}
	id, said := b.company.members.AddKey(ctx, raw)
	if id == "" {
		return nil, refused("%s", firstError(said))
	}
	b.log.Info("by command: keyring: add", "key", id)
	return holders(said), nil
}

// UseKey has every director send with a key.
func (b backend) UseKey(ctx context.Context, id string) ([]admin.KeyHolder, error) {
	if b.company == nil {
		return nil, errAlone
	}
	b.log.Info("by command: keyring: use", "key", id)
	return holders(b.company.members.UseKey(ctx, id)), nil
}

// RemoveKey has every director forget a key.
func (b backend) RemoveKey(ctx context.Context, id string) ([]admin.KeyHolder, error) {
	if b.company == nil {
		return nil, errAlone
	}
	b.log.Info("by command: keyring: remove", "key", id)
	return holders(b.company.members.RemoveKey(ctx, id)), nil
}

func holders(all []gossip.KeyHolder) (rows []admin.KeyHolder) {
	for _, h := range all {
		row := admin.KeyHolder{Member: h.Member, Keys: h.Keys}
		if h.Err != nil {
			row.Error = h.Err.Error()
		}
		rows = append(rows, row)
	}
	return rows
}

func firstError(all []gossip.KeyHolder) string {
	for _, h := range all {
		if h.Err != nil {
			return h.Err.Error()
		}
	}
	return "nobody took it"
}

// fellowship says how the other directors are.
func (b backend) fellowship(v *view) (all []admin.Finding) {
	if b.company == nil {
		return nil
	}
	alive, others := 0, b.company.members.Members()
	for i := range others {
		m := &others[i]
		check := "director " + m.Name
		switch state := conditionOf(m); state {
		case "dead":
			all = append(all, admin.Warn(check, fmt.Sprintf("not heard of for %v", time.Since(m.Since).Round(time.Second)),
				"see its log; its sessions are carried by the others, and one death more may cost some"))
		case "left":
			all = append(all, admin.OK(check, "has left by its own will"))
		default:
			alive++
			all = append(all, admin.OK(check, state))
		}
	}
	for _, x := range v.conflicts {
		finding := admin.Warn
		if x.Ours {
			finding = admin.Fail
		}
		all = append(all, finding("fleet", x.Text, "until then one of the two announces nothing; see fleetlb nodes"))
	}
	if v.behind != "" {
		all = append(all, admin.Fail("fleet", v.problem(), "see the log of the others; fleetlb nodes shows how far it is"))
	}
	if strangers := v.config.Gossip.Seeds; len(others) == 0 {
		strangers = slices.DeleteFunc(slices.Clone(strangers), func(a netip.AddrPort) bool { return a == b.company.members.Address() })
		if len(strangers) > 0 {
			all = append(all, admin.Warn("fleet: seeds", fmt.Sprintf("no other director has been found at %v", strangers),
				"does fleetlbd run there, with the key and the label of this one, and do UDP and TCP get there?"))
		}
	}
	if alive > 0 && v.config.Gossip.Replicas == 0 {
		all = append(all, admin.Warn("replicas", "0", "sessions die with their director: set gossip.replicas"))
	}
	return append(all, refusals(b.company)...)
}

// refusals are what came to the fleet's port and was not believed.
func refusals(c *company) (all []admin.Finding) {
	say := func(reason, text string, n uint64) {
		advice := "somebody else speaks to the fleet's port, or a director is not what it was"
		if reason == "unknown_key" {
			advice = "give all directors the same gossip.key_file and gossip.label; fleetlb keyring list shows the keys of each"
		}
		if n > 0 {
			all = append(all, admin.Warn("fleet: "+reason, fmt.Sprintf("%d messages refused: %s", n, text), advice))
		}
	}
	for _, r := range c.members.Refusals() {
		say(r.Reason, r.Text, r.Count)
	}
	for _, r := range c.engine.Refusals() {
		say(r.Reason, r.Text, r.Count)
	}
	return all
}

var _ replica.Sessions = (*fullnat.Plane)(nil)
