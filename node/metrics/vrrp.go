package metrics

import "github.com/prometheus/client_golang/prometheus"

var (
	vrrpState    = desc("vrrp_state", "1 for the state the group is in, 0 for the others.", "group", "interface", "id", "state")
	vrrpPriority = desc("vrrp_priority", "Our priority for the group.", "group", "interface", "id")
	vrrpTaken    = desc("vrrp_taken_total", "How often this director has taken the group's VIPs over.", "group", "interface", "id")
	vrrpAdverts  = desc("vrrp_advertisements_total", "Advertisements of the group.", "group", "interface", "id", "direction")
	vrrpDropped  = desc("vrrp_advertisements_dropped_total", "Advertisements received and not used.", "group", "interface", "id", "reason")
)

var vrrpDescs = []*prometheus.Desc{vrrpState, vrrpPriority, vrrpTaken, vrrpAdverts, vrrpDropped}

func (o out) vrrp(g *VRRP) {
	of := func(more ...string) []string { return append([]string{g.Name, g.Interface, g.ID}, more...) }
	for _, state := range VRRPStates {
		o.gauge(vrrpState, truth(g.State == state), of(state)...)
	}
	o.gauge(vrrpPriority, float64(g.Priority), of()...)
	o.count(vrrpTaken, float64(g.Transitions), of()...)
	o.count(vrrpAdverts, float64(g.Received), of("in")...)
	o.count(vrrpAdverts, float64(g.Sent), of("out")...)
	for _, d := range g.Drops {
		o.count(vrrpDropped, float64(d.Packets), of(d.Reason)...)
	}
}
