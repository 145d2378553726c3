package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"fleetlb/node/config"
)

// Changes for the fleet reach every director by what each shares: all it knows of
// them. Whoever has any tells those who join, and what was told twice, late or in
// another order makes no difference: the versions decide.

// What a director shares is limited, by the fleet and so here: lots of changes,
// each a value of its own.
const (
	lotBytes = 48 << 10
	mostLots = 32
)

// buried is how long the fleet remembers that something was deleted that no file
// has. A director that was away for longer and still has it brings it back.
const buried = 24 * time.Hour

func lotKey(i int) string { return fmt.Sprintf("changes/%d", i) }

// lots writes the fleet's changes as values to share.
func (cs changes) lots() ([][]byte, error) {
	var all [][]byte
	var lot []json.RawMessage
	size := 0
	end := func() {
		if lot != nil {
			b, _ := json.Marshal(lot) // of JSON already
			all = append(all, b)
		}
		lot, size = nil, 0
	}
	for i := range cs {
		if !cs[i].fleet() {
			continue
		}
		one, err := json.Marshal(&cs[i])
		if err != nil {
			return nil, err
		}
		if size += len(one) + 1; size > lotBytes {
			end()
			size = len(one) + 1
		}
		lot = append(lot, one)
	}
	end()
	if len(all) > mostLots {
		return nil, refused("the fleet's changes by command are more than %d kB; write them into the files, and then: fleetlb config revert --fleet", mostLots*lotBytes>>10)
	}
	return all, nil
}

// spread shares what this director knows of the fleet's changes.
func (d *director) spread(cs changes) {
	if d.company == nil {
		return
	}
	lots, err := cs.lots()
	if err != nil {
		d.log.Error("fleet: " + err.Error())
		return
	}
	for i := range mostLots {
		var lot []byte // none any longer
		if i < len(lots) {
			lot = lots[i]
		}
		if err := d.company.members.Share(lotKey(i), lot); err != nil {
			d.log.Error("fleet: " + err.Error())
		}
	}
}

// overhear lets listen know that something was shared.
func (c *company) overhear() {
	select {
	case c.spoken <- struct{}{}:
	default: // it will look anyway
	}
}

// heard is what the fleet has shared, and told whether anything of it is new since
// it was told that.
func (c *company) heard(told string) (all [][]byte, now string) {
	var every strings.Builder
	for i := range mostLots {
		lots := c.members.Shared(lotKey(i))
		if len(lots) == 0 {
			break
		}
		for _, id := range slices.Sorted(maps.Keys(lots)) {
			fmt.Fprintf(&every, "%v %d\n%s\n", id, i, lots[id])
			all = append(all, lots[id])
		}
	}
	if now = every.String(); now == told {
		return nil, told
	}
	return all, now
}

// understood reads what was shared. What cannot be read is of a version to come,
// and left alone.
func (d *director) understood(lots [][]byte) (all changes) {
	for _, lot := range lots {
		var some changes
		if err := json.Unmarshal(lot, &some); err != nil {
			d.log.Warn("fleet: changes by command that this version cannot read", "error", err)
			continue
		}
		for _, c := range some {
			if c.fleet() && slices.Contains([]string{"add", "edit", "delete", "forget"}, c.Verb) {
				all = append(all, c)
			}
		}
	}
	return all
}

// listen learns the fleet's changes until ctx ends.
func (d *director) listen(ctx context.Context) {
	told := ""
	for {
		var lots [][]byte
		if lots, told = d.company.heard(told); lots != nil {
			if err := d.learn(ctx, d.understood(lots), time.Now()); err != nil && ctx.Err() == nil && !errors.Is(err, errEnding) {
				d.log.Error("fleet: changes by command: " + err.Error())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-d.company.spoken:
		}
	}
}

// learn takes in what the fleet has shared.
func (d *director) learn(ctx context.Context, more changes, now time.Time) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	v, err := d.view(ctx)
	if err != nil {
		return err
	}
	all := v.changes.merged(more, v.config.Services, now)
	if reflect.DeepEqual(all.ofFleet(), v.changes.ofFleet()) {
		return nil
	}
	host, err := config.ThisHost()
	if err != nil {
		return err
	}
	s, lost := all.over(v.config, host)
	s.loaded, s.read = v.loaded, v.read
	if err := Check(s.running); err != nil {
		return err
	}
	for _, l := range lost {
		d.log.Warn("fleet: " + l)
	}
	for i := range s.changes {
		if c := &s.changes[i]; c.fleet() && !v.changes.has(c) {
			d.log.Info("by command: " + c.says())
		}
	}
	return d.put(ctx, s)
}

// put makes settings with other changes the present ones.
func (d *director) put(ctx context.Context, s settings) error {
	return d.do(ctx, func() error {
		if d.ending {
			return errEnding
		}
		d.settings = s
		d.follow()
		d.settle()
		d.spread(s.changes)
		return nil
	})
}

// has says whether a change is among them, whatever is left of it.
func (cs changes) has(c *Change) bool {
	return slices.ContainsFunc(cs, func(o Change) bool {
		return o.Version == c.Version && o.Origin == c.Origin && o.same(c)
	})
}

// ofFleet is what others should know, without what is only so here.
func (cs changes) ofFleet() (all changes) {
	for _, c := range cs {
		if c.fleet() {
			c.unfit = nil
			all = append(all, c)
		}
	}
	return all
}

// merged is these changes and more, in the order of their versions, each overruled
// by what is later. Whoever merges the same gets the same.
func (cs changes) merged(more changes, services []config.Service, now time.Time) changes {
	every := slices.Clone(cs)
	for i := range more {
		if !every.has(&more[i]) {
			every = append(every, more[i])
		}
	}
	slices.SortStableFunc(every, func(a, b Change) int { return a.compare(&b) })
	var all changes
	for _, c := range every {
		gone := c.Verb == "delete" || c.Verb == "forget"
		if c.fleet() && gone && now.Sub(time.Unix(0, int64(c.Version))) > buried && !filed(services, &c) {
			continue
		}
		all = all.with(c, services)
	}
	return all
}

// filed says whether the files have what a change is about.
func filed(services []config.Service, c *Change) bool {
	s, err := named(services, c.Service)
	if err != nil || !c.Server.IsValid() {
		return err == nil
	}
	return slices.ContainsFunc(s.Servers, func(r config.Server) bool { return r.Address == c.Server })
}
