package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"fleetlb/fullnat"
	"fleetlb/fullnat/offload"
	"fleetlb/node/admin"
	"fleetlb/node/metrics"
)

// An offloader is [offload.Driver].
type offloader interface {
	Status() offload.Status
	Close()
	HandOver(node string) error
}

// drive lifts the plane's sessions into the drivers of the interfaces, as far as
// the operator wants it.
// What goes up then has the short way to the workers, express, if there is one; it
// has that also where nothing is to be lifted.
func (d *director) drive(plane *fullnat.Plane, express int) error {
	wanted := d.config.Dataplane.Offload
	legacy, err := offload.Inherit(d.config.Node.Name)
	if err != nil {
		d.log.Warn("offload: " + err.Error())
	}
	if wanted == "off" {
		if legacy != nil {
			legacy.Close()
		}
		if express >= 0 {
			if d.express, err = offload.DriveAlone(d.config.Node.Interfaces, express, d.log); d.express == nil {
				d.log.Warn("offload: " + err.Error())
			}
		}
		return nil
	}
	ready := plane.Lift
	if legacy != nil {
		ready = func(t *offload.Table) {
			plane.Lift(t)
			d.restore(plane, legacy)
		}
	}
	driver, err := offload.Drive(d.config.Node.Interfaces, plane.Capacity(), legacy, ready, express, d.log)
	if err != nil && (wanted == "required" || driver == nil) {
		if driver != nil {
			driver.Close()
		}
		return fmt.Errorf("offload: required, but %w", err)
	}
	d.offload = driver
	return nil
}

// restore makes sessions of what a former director of this name had lifted.
func (d *director) restore(plane *fullnat.Plane, legacy *offload.Legacy) {
	n, err := plane.Restore(d.life, legacy.Flows())
	if err != nil {
		d.log.Warn("offload: sessions of the former director: " + err.Error())
	}
	d.log.Info("offload: took over from the former director", "sessions", n)
}

var errReplaced = errors.New("another director takes over")

// replaceOn ends the director for another that takes over, once it is told to,
// unless there is nothing to take.
func (d *director) replaceOn(ctx context.Context, told <-chan os.Signal, end context.CancelCauseFunc) {
	for {
		select {
		case <-told:
			err := offload.Heritable()
			if d.offloading().Mode == "off" {
				err = errors.New("there is no offload that it could take over")
			}
			if err == nil {
				d.log.Info("ending at once, for another director to take over")
				end(errReplaced)
				return
			}
			d.log.Warn("not ending for another director: " + err.Error())
		case <-ctx.Done():
			return
		}
	}
}

// ground ends it, once the workers have ended.
func (d *director) ground() {
	if d.express != nil {
		d.express.Close()
	}
	switch {
	case d.offload == nil:
	case d.replaced:
		if err := d.offload.HandOver(d.config.Node.Name); err != nil {
			d.log.Warn("offload: " + err.Error())
		}
	default:
		d.offload.Close()
	}
}

// driving is how the workers get at the frames.
func (d *director) driving() string {
	how, drivers := d.ports.Driver(), d.offloading()
	if d.express != nil {
		drivers = d.express.Status()
	}
	if strings.HasPrefix(how, "AF_XDP") && drivers.Mode != "native" {
		how = "AF_XDP rings to send, packet sockets to receive: " + cmp.Or(drivers.Reason, "no program runs in the drivers")
	}
	return how
}

// offloading is what the offload does.
func (d *director) offloading() offload.Status {
	if d.offload == nil {
		return offload.Status{Mode: "off"}
	}
	return d.offload.Status()
}

// lifted finds whether sessions can be lifted, and whether there is room.
func (b backend) lifted(c *fullnat.Counters) admin.Finding {
	const check = "offload"
	s, o := b.offloading(), c.Offloaded
	found := fmt.Sprintf("%s, %d of %d sessions in the driver", s.Mode, o.Sessions, o.Room)
	if s.Mode == "off" {
		found = "off: the workers carry every packet"
	}
	switch {
	case s.Reason != "" && b.config.Dataplane.Offload == "required":
		return admin.Fail(check, found+"; "+s.Reason, "it is required: mend that, or set dataplane.offload to \"auto\"")
	case s.Reason != "":
		return admin.Warn(check, found+"; "+s.Reason, "mend that, or set dataplane.offload to \"off\"")
	}
	return admin.OK(check, found)
}

// measureOffload adds what the offload has done.
func (m meter) measureOffload(s *metrics.Snapshot, c *fullnat.Counters) {
	s.Offload = metrics.Offload{
		Mode: m.offloading().Mode, Sessions: c.Offloaded.Sessions, Room: c.Offloaded.Room,
		Packets: c.Offloaded.Carried.Packets, Bytes: c.Offloaded.Carried.Bytes,
	}
}
