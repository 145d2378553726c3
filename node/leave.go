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
// established ones may end; then the local addresses go. The workers stop last,
// when it has returned.
func (d *director) leave() {
	d.log.Info("ending: withdrawing the VIPs")
	d.ending, d.draining = true, true
	d.withdraw()
	if d.speaker != nil {
		d.pause(d.config.Node.WithdrawDelay, nil)
		d.pause(d.config.Node.DrainTimeout, d.idle)
	}
	d.drained = true
	d.withdraw()
	close(d.ended)
	d.farewell()
	d.close(d.speaker, d.metrics)
	d.speaker, d.metrics = nil, nil
	d.log.Info("ended")
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

// awaitOver returns when over says so or ctx ends.
func awaitOver(ctx context.Context, over func() bool) {
	look := time.NewTicker(heartbeatPeriod)
	defer look.Stop()
	for !over() {
		select {
		case <-look.C:
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

// drain moves new connections away, or back.
func (d *director) drain(drain bool) error {
	switch {
	case d.ending:
		return errEnding
	case d.speaker == nil:
		return refused("there is no [bgp]: nobody can be told to send connections elsewhere")
	}
	switch {
	case drain && !d.draining:
		d.log.Info("by command: node: drain")
	case !drain && d.draining:
		d.log.Info("by command: node: undrain")
	}
	d.draining = drain
	d.settle()
	return nil
}
