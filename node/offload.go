package node

import (
	"fmt"

	"fleetlb/fullnat"
	"fleetlb/fullnat/offload"
	"fleetlb/node/admin"
	"fleetlb/node/metrics"
)

// An offloader is [offload.Driver].
type offloader interface {
	Status() offload.Status
	Close()
}

// drive lifts the plane's sessions into the drivers of the interfaces, as far as
// the operator wants it.
func (d *director) drive(plane *fullnat.Plane) error {
	wanted := d.config.Dataplane.Offload
	if wanted == "off" {
		return nil
	}
	driver, err := offload.Drive(d.config.Node.Interfaces, plane.Capacity(), plane.Lift, d.log)
	if err != nil && (wanted == "required" || driver == nil) {
		if driver != nil {
			driver.Close()
		}
		return fmt.Errorf("offload: required, but %w", err)
	}
	d.offload = driver
	return nil
}

// ground ends it, once the workers have ended.
func (d *director) ground() {
	if d.offload != nil {
		d.offload.Close()
	}
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
