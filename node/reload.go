package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"fleetlb/bgp/bfd"
	"fleetlb/fullnat/service"
	"fleetlb/node/config"
	"fleetlb/node/metrics"
	"fleetlb/node/vrrp"
)

// The settings change one at a time (director.changing), in two steps: what may
// be slow or may fail comes first, on the goroutine that asks, and changes
// nothing; what is left, on the goroutine that owns the settings, cannot fail.

// reloads counts what became of them.
type reloads struct {
	done, failed int
	lastError    string // of the last one; "": it was done
}

// reloadOn reloads whenever it is asked to.
func (d *director) reloadOn(asked <-chan os.Signal) {
	for {
		select {
		case <-asked:
			d.reload()
		case <-d.ended:
			return
		}
	}
}

// reload reads the file again and applies the difference, which it returns. A
// file that is not good in every respect changes nothing.
func (d *director) reload() (changes []string, err error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	if changes, err = d.reconfigure(); err != nil {
		d.do(context.Background(), func() error {
			d.reloads.failed++
			d.reloads.lastError = err.Error()
			return nil
		})
		d.log.Error("reload: refused; the running configuration stays")
		for line := range strings.Lines(err.Error()) {
			d.log.Error("reload: " + strings.TrimSpace(line))
		}
		return nil, err
	}
	for _, c := range changes {
		d.log.Info("reload: " + c)
	}
	if len(changes) == 0 {
		d.log.Info("reload: nothing has changed")
	}
	return changes, nil
}

func (d *director) reconfigure() ([]string, error) {
	v, err := d.view(context.Background())
	if err != nil {
		return nil, err
	}
	host, err := config.ThisHost()
	if err != nil {
		return nil, err
	}
	next, err := Load(v.config.File, host)
	if err != nil {
		return nil, err
	}
	if err := config.Reloadable(v.config, next); err != nil {
		return nil, err
	}
	s, lost := v.changes.over(next, host)
	if err := Check(s.running); err != nil {
		return nil, err
	}
	r, err := d.replace(v, next)
	if err != nil {
		return nil, err
	}
	if err := d.do(context.Background(), func() error { return d.adopt(s, r) }); err != nil {
		d.close(r.started())
		return nil, err
	}
	d.close(r.stopped())
	d.rekey(next.Gossip)
	d.warn(next)
	return append(told(config.Diff(v.config, next)), lost...), nil
}

// warn logs what works and will be regretted.
func (d *director) warn(c *config.Config) {
	for _, w := range c.Warnings {
		d.log.Warn("configuration: " + w)
	}
}

func told(changes []config.Change) (all []string) {
	for _, c := range changes {
		all = append(all, c.String())
	}
	return all
}

// Check says what would keep a director from running with a configuration that
// package config has verified.
func Check(c *config.Config) error {
	specs := newPlan(&inputs{services: c.Services, reachable: func(netip.Addr) bool { return true }}).specs
	if _, err := service.Build(specs, nil); err != nil {
		return fmt.Errorf("services: %w", err)
	}
	if err := vrrp.Check(groupsOf(c)); err != nil {
		return err
	}
	if c.BGP != nil {
		speaks := speakerConfig(c.BGP)
		return errors.Join(speaks.Check(), bfd.Check(peers(c.BGP)))
	}
	return nil
}

// A replacement is the edges of a configuration that is about to be adopted.
type replacement struct {
	oldSpeaker, speaker speaker
	oldMetrics, metrics *metrics.Listener
}

// replace starts what the next configuration has and the present one has not.
func (d *director) replace(v view, next *config.Config) (r replacement, err error) {
	r = replacement{v.speaker, v.speaker, v.metrics, v.metrics}
	if (next.BGP == nil) != (v.speaker == nil) {
		if r.speaker, err = startSpeaker(d.life, next.BGP, d.log); err != nil {
			return r, err
		}
	}
	if next.Admin.Metrics != v.config.Admin.Metrics {
		if r.metrics, err = d.listenMetrics(next.Admin.Metrics); err != nil {
			d.close(r.started())
			return r, err
		}
	}
	return r, nil
}

// started is what has to be closed if the replacement is not adopted.
func (r *replacement) started() (s speaker, m *metrics.Listener) {
	if r.speaker != r.oldSpeaker {
		s = r.speaker
	}
	if r.metrics != r.oldMetrics {
		m = r.metrics
	}
	return s, m
}

// stopped is what has to be closed if it is.
func (r *replacement) stopped() (s speaker, m *metrics.Listener) {
	opposite := replacement{r.speaker, r.oldSpeaker, r.metrics, r.oldMetrics}
	return opposite.started()
}

// adopt makes settings the present ones.
func (d *director) adopt(s settings, r replacement) error {
	if d.ending {
		return errEnding
	}
	if r.speaker != nil && r.speaker == r.oldSpeaker {
		if err := r.speaker.Configure(speakerConfig(s.config.BGP)); err != nil {
			return err // before anything is changed; and Check has asked already
		}
	}
	d.settings, d.speaker = s, r.speaker
	d.reloads.done++
	d.reloads.lastError = ""
	d.journal.follow(&s.config.Node)
	if d.metrics != r.metrics {
		d.metrics = r.metrics
		d.serveMetrics(d.metrics)
	}
	d.follow()
	d.watch()
	d.settle()
	return nil
}
