package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"fleetlb/gossip/replica"
)

// meetWithin is how long a director that starts waits for any of its seeds to
// answer before it takes itself for the first.
const meetWithin = 3 * time.Second

// sync learns what the fleet knows: the sessions of the slots that are ours to
// keep, and those of our own block that outlived us. Until then nothing is
// announced; after sync_timeout it is, for some sessions at risk are better than
// a fleet that does not come up, and the operator is told loudly.
func (d *director) sync(ctx context.Context, life uint64) {
	d.awaitOthers(ctx)
	limit := d.config.Gossip.SyncTimeout
	bounded, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after sync_timeout %v", limit))
	defer cancel()
	started := time.Now()
	var last replica.Progress
	current := false
	err := d.company.engine.Sync(bounded, func(p replica.Progress) { last = p })
	if ctx.Err() != nil {
		return
	}
	d.do(ctx, func() error {
		c := d.company
		if current = c.epoch == life; !current {
			return nil // another life has begun, and a sync of its own
		}
		c.syncing, c.behind = false, ""
		if err != nil {
			c.behind = strings.ReplaceAll(err.Error(), "\n", "; ")
			if cause := context.Cause(bounded); cause != nil && !strings.HasPrefix(c.behind, cause.Error()) {
				c.behind = cause.Error()
			}
			d.log.Error("fleet: announcing without all sessions: "+c.behind, "slots", last.Slots, "of", last.SlotsOf)
		} else {
			d.log.Info("fleet: in sync", "slots", last.Slots, "sessions", last.Records, "after", time.Since(started).Round(time.Millisecond))
		}
		d.settle()
		return nil
	})
	if err != nil && current {
		go d.catchUp(ctx)
	}
}

// catchUp goes on with a sync that ran out of time. Until it is done the others
// do not take this director's word that a session of its own is gone.
func (d *director) catchUp(ctx context.Context) {
	if d.company.engine.Sync(ctx, nil) != nil {
		return
	}
	d.do(ctx, func() error {
		d.company.behind = ""
		d.log.Info("fleet: in sync after all")
		return nil
	})
}

// awaitOthers returns when a seed has answered, or none will.
func (d *director) awaitOthers(ctx context.Context) {
	if len(d.config.Gossip.Seeds) == 0 {
		return
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for limit := time.After(meetWithin); ; {
		select {
		case <-limit:
			d.log.Warn("fleet: no other director answers: starting alone", "seeds", d.config.Gossip.Seeds)
			return
		case <-ctx.Done():
			return
		case <-look.C:
			for _, m := range d.company.members.Members() {
				if m.Alive {
					return
				}
			}
		}
	}
}

// freeze is told by a worker that it has not come round for so long.
func (d *director) freeze(slept time.Duration) {
	select {
	case d.froze <- slept:
	default: // another was told of it
	}
}

// woken begins a new life after a worker was frozen: the fleet has gone on without
// this director, and all must be learned again. Each worker says so when it wakes,
// and only a life that begins after that takes its fence down.
func (d *director) woken(slept time.Duration) {
	c := d.company
	if c == nil || d.ending {
		return
	}
	c.syncing, c.served = true, false
	c.epoch = uint64(time.Now().UnixNano())
	c.engine.SetSelf(d.self())
	d.log.Warn("fleet: this director was frozen; it learns the fleet's sessions before it serves again", "for", slept.Round(time.Millisecond))
	d.settle()
	go d.sync(d.life, c.epoch)
}
