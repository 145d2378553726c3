package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Fleet is what has passed between this director and the others.
type Fleet struct {
	Members []Count // directors, this one included, by state
	Roles   []Count // sessions, by what this director is to them
	Events  []Count // of sessions and records; see FleetEvents
	Refused []Drop  // messages, by reason

	Lag     map[float64]uint64 // records acknowledged within so many seconds, of all that Lagged counts
	Lagged  uint64
	LagSum  time.Duration
	AtRisk  int // sessions that no other director has acknowledged yet
	Unacked int // records on their way
	Parked  int // packets that wait for an answer
	VIPs    int // this director answers for on a LAN

	BytesOut, BytesIn uint64
}

// Count is how many there are of a kind.
type Count struct {
	Kind string
	N    uint64
}

var (
	fleetMembers = desc("fleet_directors", "Directors of the fleet, this one included, by state.", "state")
	fleetRoles   = desc("fleet_sessions", "Sessions by what this director is to them: home, adopted or replica.", "role")
	fleetEvents  = desc("fleet_events_total", "What became of sessions and their records between directors: told, applied, adopted, asked, resent, resynced and so on.", "event")
	fleetRefused = desc("fleet_messages_refused_total", "Messages to the fleet's port that were not believed.", "reason")
	fleetLag     = desc("fleet_replication_lag_seconds", "From the change of a session to another director's acknowledgement.")
	fleetAtRisk  = desc("fleet_sessions_at_risk", "Sessions that no other director has acknowledged yet.")
	fleetUnacked = desc("fleet_records_unacknowledged", "Records on their way to other directors.")
	fleetParked  = desc("fleet_packets_parked", "Packets that wait for other directors to tell whose they are.")
	fleetVIPs    = desc("fleet_vips_held", "VIPs this director answers for where they are on a LAN.")
	fleetBytes   = desc("fleet_replication_bytes_total", "Bytes of records and acknowledgements.", "direction")
)

var fleetDescs = []*prometheus.Desc{
	fleetMembers, fleetRoles, fleetEvents, fleetRefused, fleetLag, fleetAtRisk, fleetUnacked, fleetParked, fleetVIPs, fleetBytes,
}

func (o out) fleet(f *Fleet) {
	for _, c := range f.Members {
		o.gauge(fleetMembers, float64(c.N), c.Kind)
	}
	for _, c := range f.Roles {
		o.gauge(fleetRoles, float64(c.N), c.Kind)
	}
	for _, c := range f.Events {
		o.count(fleetEvents, float64(c.N), c.Kind)
	}
	for _, r := range f.Refused {
		o.count(fleetRefused, float64(r.Packets), r.Reason)
	}
	lag, err := prometheus.NewConstHistogram(fleetLag, f.Lagged, f.LagSum.Seconds(), f.Lag)
	if err != nil {
		lag = prometheus.NewInvalidMetric(fleetLag, err)
	}
	o <- lag
	o.gauge(fleetAtRisk, float64(f.AtRisk))
	o.gauge(fleetUnacked, float64(f.Unacked))
	o.gauge(fleetParked, float64(f.Parked))
	o.gauge(fleetVIPs, float64(f.VIPs))
	o.count(fleetBytes, float64(f.BytesOut), "out")
	o.count(fleetBytes, float64(f.BytesIn), "in")
}
