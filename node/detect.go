package node

import (
	"net/netip"
	"time"

	"fleetlb/bgp/bfd"
	"fleetlb/node/admin"
	"fleetlb/node/config"
)

// vouchFor is how old the heartbeat may be for the neighbours still to be told
// that packets flow. A worker that is merely short of processor time comes round
// within a few of its 50 ms; one that is stuck is worth less than no director,
// and the routers shall know before the control plane is sure.
const vouchFor = 500 * time.Millisecond

// watchNeighbors starts what notices by BFD that a neighbour is gone.
func (d *director) watchNeighbors() (err error) {
	s, err := bfd.New(d.log, func() bool { return d.plane.Heartbeat() < vouchFor })
	if err != nil {
		return err
	}
	d.detector = s
	return nil
}

// peers are the neighbours that are to be watched.
func peers(c *config.BGP) (all []bfd.Peer) {
	if c == nil {
		return nil
	}
	for i := range c.Neighbors {
		if n := &c.Neighbors[i]; n.BFD {
			all = append(all, bfd.Peer{
				Address: n.Address, Local: n.LocalAddress,
				Interval: n.BFDInterval, Multiplier: n.BFDMultiplier,
				Multihop: n.Multihop > 0 || n.TTLSecurity > 1,
			})
		}
	}
	return all
}

// watch follows the settings.
func (d *director) watch() {
	if d.detector == nil {
		return
	}
	if err := d.detector.Set(peers(d.config.BGP)); err != nil {
		d.log.Error(err.Error()) // Check has asked already
	}
}

// farewell tells the neighbours that the silence to come is no failure, and
// waits until they know; and the other routers of a LAN that they may take over.
func (d *director) farewell() {
	if d.elector != nil {
		closeWithin(flushWithin, d.elector.Close)
	}
	if d.detector != nil {
		closeWithin(flushWithin, d.detector.Close)
	}
}

// detected has a value when a neighbour has come or gone.
func (d *director) detected() <-chan struct{} {
	if d.detector == nil {
		return nil
	}
	return d.detector.Changes()
}

// forsake ends the BGP sessions with neighbours that have gone since the last
// call: they may be back already and know nothing of us, and else BGP would
// believe in them until the hold time is over. One that ended BFD on purpose
// is not gone.
func (d *director) forsake() {
	now := map[netip.Addr]uint64{}
	for _, s := range d.detector.Sessions() {
		before := d.failures[s.Address]
		if s.Failures < before {
			before = 0 // another session
		}
		if now[s.Address] = s.Failures; s.Failures > before && d.speaker != nil {
			d.speaker.Reset(s.Address, "bfd: "+s.LastFailure.String())
		}
	}
	d.failures = now
}

// detections are the BFD sessions, by neighbour.
func (d *director) detections() map[netip.Addr]bfd.Status {
	all := map[netip.Addr]bfd.Status{}
	if d.detector != nil {
		for _, s := range d.detector.Sessions() {
			all[s.Address] = s
		}
	}
	return all
}

// silences says which neighbours BFD does not hear.
func (b backend) silences() (all []admin.Finding) {
	if b.detector == nil {
		return nil
	}
	for _, s := range b.detector.Sessions() {
		check := "bfd neighbor " + s.Address.String()
		switch {
		case s.State == bfd.Up:
			all = append(all, admin.OK(check, "up, down after "+s.Detect.String()+" of silence"))
		case s.Problem != "":
			all = append(all, admin.Fail(check, s.Problem, "nothing can be sent to it or heard from it; is there another BFD daemon on this host?"))
		case s.RemoteState == bfd.AdminDown:
			all = append(all, admin.Warn(check, "down: the router has ended it", "until it is back a dead router is noticed by the hold time alone"))
		default:
			why := "never heard"
			if s.Diag != bfd.NoDiag {
				why = s.Diag.String()
			}
			all = append(all, admin.Warn(check, s.State.String()+": "+why,
				"the router must ask for BFD with this director, and UDP ports 3784 (4784 with multihop) must be open; until then the hold time alone notices"))
		}
	}
	return all
}
