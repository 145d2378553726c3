package node

import (
	"context"
	"sync"
	"time"
)

// flushWithin bounds how long a withdrawal is waited for: a router that does
// not take it in this time will learn from the closed session.
const flushWithin = 2 * time.Second

// leave is the end of a director, in the order that clients do not notice: the
// routers stop sending new connections here while packets still flow; then the
// established ones go to the other directors, or, where there are none, may end;
// then the local addresses go. The workers stop last, when it has returned.
func (d *director) leave() {
	d.log.Info("ending: withdrawing the VIPs")
	d.ending = true
	if !d.company.alone() {
		d.share()
		d.pause(shareAtLeast, nil)
		d.pause(shareWithin, d.acknowledged)
	}
	d.draining = true
	d.withdraw()
	if d.heard() {
		d.pause(d.config.Node.WithdrawDelay, nil)
		if d.company.alone() {
			d.pause(d.config.Node.DrainTimeout, d.idle)
		} else {
			d.pause(shareWithin, d.acknowledged)
		}
	}
	d.drained = true
	d.withdraw()
	if !d.company.alone() {
		// What servers send goes to the others within a round of the routers';
		// what is under way to us is still carried.
		d.pause(lastPackets, nil)
	}
	d.depart()
	close(d.ended)
	d.farewell()
	d.close(d.speaker, d.metrics)
	d.speaker, d.metrics = nil, nil
	d.log.Info("ended")
}

const (
	// shareAtLeast is how long the workers take to go through their sessions, and
	// shareWithin bounds how long it is waited for that other directors have
	// acknowledged them.
	shareAtLeast = 150 * time.Millisecond
	shareWithin  = 2 * time.Second
	// lastPackets is how long packets are carried after the local addresses were
	// withdrawn.
	lastPackets = 500 * time.Millisecond
)

// heard says whether there is anybody who sends connections elsewhere when told:
// routers, or on a LAN another director or router, which then answers for the VIPs.
func (d *director) heard() bool {
	return d.speaker != nil || !d.company.alone() || len(d.config.VRRP) > 0
}

// share lets the other directors know every session there is, those that are
// being opened included: their next packets may go there.
func (d *director) share() {
	d.sharing = true
	d.settle()
}

// acknowledged says whether they do.
func (d *director) acknowledged() bool {
	return d.company.alone() || d.company.engine.Stats().AtRisk == 0
}

// depart tells the fleet that this director goes by its own will.
func (d *director) depart() {
	if d.company == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := d.company.members.Leave(ctx); err != nil {
		d.log.Warn("fleet: leaving: " + err.Error())
	}
}

// withdraw waits until the neighbours have been told.
func (d *director) withdraw() {
	d.settle()
	if d.speaker == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	if err := d.speaker.Flush(ctx); err != nil {
		d.log.Warn("bgp: withdrawing: " + err.Error())
	}
}

// pause goes on as before, commands and checks included, for limit or until
// over, if there is one, says so.
func (d *director) pause(limit time.Duration, over func() bool) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var watch sync.WaitGroup
	if over != nil {
		watch.Go(func() { awaitOver(ctx, over); cancel() })
	}
	d.run(ctx)
	watch.Wait()
}

// awaitOver returns when over, which is asked every so often, says so or ctx
// ends.
func awaitOver(ctx context.Context, over func() bool) {
	look := time.NewTicker(heartbeatPeriod)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if over() {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// idle says whether no session is left that a drain waits for.
func (d *director) idle() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n, err := d.plane.Established(ctx)
	return err == nil && n == 0
}

// drain moves connections away: once the other directors know them all, the
// routers are told to send them there.
func (d *director) drain(ctx context.Context) error {
	alone := true
	if err := d.do(ctx, func() error {
		if err := d.movable(); err != nil {
			return err
		}
		if !d.draining {
			d.log.Info("by command: node: drain")
		}
		alone = d.company.alone()
		d.share()
		return nil
	}); err != nil {
		return err
	}
	if !alone {
		bounded, cancel := context.WithTimeout(ctx, shareWithin)
		defer cancel()
		awaitOver(bounded, func() (known bool) {
			d.do(bounded, func() error { known = d.acknowledged(); return nil })
			return known
		})
	}
	return d.do(ctx, func() error {
		if !d.sharing {
			return refused("undrained meanwhile")
		}
		d.draining = true
		d.settle()
		return nil
	})
}

// undrain lets them come back.
func (d *director) undrain() error {
	if err := d.movable(); err != nil {
		return err
	}
	if d.draining {
		d.log.Info("by command: node: undrain")
	}
	d.draining, d.sharing = false, false
	d.settle()
	return nil
}

// movable says why connections cannot be moved, if they cannot.
func (d *director) movable() error {
	switch {
	case d.ending:
		return errEnding
	case !d.heard():
		return refused("there is no [bgp]: nobody can be told to send connections elsewhere")
	}
	return nil
}
