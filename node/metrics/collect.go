package metrics

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("fleetlb_"+name, help, labels, nil)
}

var (
	buildInfo = desc("build_info", "Always 1; the version that is running is in the label.", "version")
	startTime = desc("start_time_seconds", "When the director started, in seconds since the epoch.")

	sessions    = desc("sessions", "Sessions in the tables, in a fleet those of other directors as well.")
	sessionsMax = desc("sessions_max", "Sessions of its own that the director has room for; in a fleet, fleet_sessions says how many of them are.")
	displaced   = desc("sessions_displaced_total", "Half-open or ended sessions that gave their place to new ones.")

	templates        = desc("persistence_templates", "Client networks that persistence keeps with their server.")
	templatesEvicted = desc("persistence_evicted_total", "Client networks that persistence forgot, or could not remember, for want of room.")

	serviceUp        = desc("service_up", "Whether the service has a server for new connections.", "service")
	serviceAnnounced = desc("service_announced", "Whether the service's VIP is announced on its behalf.", "service")
	serviceQuorum    = desc("service_quorum_servers", "Healthy servers the service needs to be announced.", "service")

	serverUp         = desc("server_up", "Whether the server may be given new connections as far as its health goes.", "service", "server")
	serverWeight     = desc("server_weight", "The server's weight; 0 is given no new connections.", "service", "server")
	serverChecks     = desc("server_checks_total", "Health checks made.", "service", "server", "result")
	serverCheck      = desc("server_check_duration_seconds", "How long the last health check took.", "service", "server")
	serverSessions   = desc("server_sessions", "Sessions with the server.", "service", "server", "activity")
	serverOpened     = desc("server_sessions_opened_total", "Sessions that were given to the server.", "service", "server")
	serverThreshold  = desc("server_upper_threshold", "Sessions at which the server gets no new ones; of servers that have one.", "service", "server")
	serverOverloaded = desc("server_overloaded", "Whether the server has reached its upper threshold; of servers that have one.", "service", "server")
	serverPersistent = desc("server_persistent_clients", "Client networks that persistence leads to the server; of services with persistence.", "service", "server")
	serverPackets    = desc("server_packets_total", "Packets carried for the server.", "service", "server", "direction")
	serverBytes      = desc("server_bytes_total", "Bytes of IP packets carried for the server.", "service", "server", "direction")

	dropped = desc("packets_dropped_total", "Packets dropped, by the reason fleetlb drops prints.", "reason")

	localPorts    = desc("local_ports", "Ports of the local address, for each server anew.", "address")
	localSessions = desc("local_sessions", "Sessions from the local address, with all servers.", "address")
	localBusiest  = desc("local_ports_busiest", "Ports of the local address taken towards the server that takes most.", "address")

	neighborState     = desc("bgp_neighbor_state", "1 for the state the neighbour is in, 0 for the others.", "neighbor", "asn", "state")
	neighborUptime    = desc("bgp_neighbor_uptime_seconds", "How long the neighbour has been established; 0 when it is not.", "neighbor", "asn")
	neighborAnnounced = desc("bgp_neighbor_routes_announced", "Routes the neighbour has been sent.", "neighbor", "asn")
	bfdUp             = desc("bgp_neighbor_bfd_up", "Whether BFD with the neighbour is up; of neighbours with BFD.", "neighbor", "asn")
	bfdDetect         = desc("bgp_neighbor_bfd_detect_seconds", "Silence of the neighbour after which BFD is down; 0 while it is not heard.", "neighbor", "asn")
	bfdFailures       = desc("bgp_neighbor_bfd_failures_total", "How often BFD was up and went down, not on purpose.", "neighbor", "asn")
	bfdDropped        = desc("bfd_packets_dropped_total", "BFD packets received and not used.", "reason")
	bgpRoutes         = desc("bgp_routes", "Routes that should be announced.")
	speakerRestarts   = desc("bgp_speaker_restarts_total", "How often the BGP speaker process had to be replaced.")

	workerBusy      = desc("worker_busy_seconds_total", "Processor time the worker has used.", "worker")
	workerPackets   = desc("worker_packets_total", "Packets the worker received.", "worker")
	workerBatches   = desc("worker_batches_total", "Rounds in which the worker carried something.", "worker")
	interfaceKernel = desc("interface_kernel_drops_total", "Frames the kernel dropped for lack of room before a worker took them.", "interface")

	offloadMode     = desc("offload_mode", "1 for where established sessions are carried: off (by the workers), generic, native; 0 for the others.", "mode")
	offloadSessions = desc("offload_sessions", "Sessions that the network drivers carry.")
	offloadRoom     = desc("offload_sessions_max", "Sessions that the network drivers have room for.")
	offloadPackets  = desc("offload_packets_total", "Packets that the network drivers carried without a worker.")
	offloadBytes    = desc("offload_bytes_total", "Bytes of IP packets that the network drivers carried without a worker.")

	reloads         = desc("config_reloads_total", "Reloads of the configuration.", "result")
	reloadOK        = desc("config_last_reload_successful", "Whether the last reload was applied.")
	configTimestamp = desc("config_loaded_timestamp_seconds", "When the running configuration was loaded, in seconds since the epoch.")
)

// all is what Describe promises: whatever the snapshot holds, no other series.
var all = []*prometheus.Desc{
	buildInfo, startTime, sessions, sessionsMax, displaced, templates, templatesEvicted,
	serviceUp, serviceAnnounced, serviceQuorum,
	serverUp, serverWeight, serverChecks, serverCheck, serverSessions, serverOpened, serverPackets, serverBytes,
	serverThreshold, serverOverloaded, serverPersistent,
	dropped, localPorts, localSessions, localBusiest,
	neighborState, neighborUptime, neighborAnnounced, bgpRoutes, speakerRestarts,
	bfdUp, bfdDetect, bfdFailures, bfdDropped,
	workerBusy, workerPackets, workerBatches, interfaceKernel,
	offloadMode, offloadSessions, offloadRoom, offloadPackets, offloadBytes,
	reloads, reloadOK, configTimestamp,
}

func described() []*prometheus.Desc { return slices.Concat(all, fleetDescs, vrrpDescs) }

// collector turns snapshots into samples.
type collector struct{ source Source }

func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range described() {
		to <- d
	}
}

// Collect runs in a goroutine of the registry's, where a panic would end the
// director: it becomes an error of the scrape.
func (c collector) Collect(to chan<- prometheus.Metric) {
	defer func() {
		if v := recover(); v != nil {
			to <- prometheus.NewInvalidMetric(buildInfo, fmt.Errorf("panic: %v", v))
		}
	}()
	s, err := c.source.Metrics()
	if err != nil {
		to <- prometheus.NewInvalidMetric(buildInfo, err)
		return
	}
	o := out(to)
	o.gauge(buildInfo, 1, s.Version)
	o.gauge(startTime, epoch(s.Started))
	o.gauge(sessions, float64(s.Sessions))
	o.gauge(sessionsMax, float64(s.MaxSessions))
	o.count(displaced, float64(s.Displaced))
	if s.Fleet != nil {
		o.fleet(s.Fleet)
	}
	for i := range s.VRRP {
		o.vrrp(&s.VRRP[i])
	}
	o.gauge(templates, float64(s.Templates))
	o.count(templatesEvicted, float64(s.TemplatesEvicted))
	for _, v := range s.Services {
		o.gauge(serviceUp, truth(v.Up), v.Name)
		o.gauge(serviceAnnounced, truth(v.Announced), v.Name)
		o.gauge(serviceQuorum, float64(v.Quorum), v.Name)
	}
	for i := range s.Servers {
		o.server(&s.Servers[i])
	}
	for _, d := range s.Drops {
		o.count(dropped, float64(d.Packets), d.Reason)
	}
	for _, l := range s.Locals {
		o.gauge(localPorts, float64(l.Ports), l.Address)
		o.gauge(localSessions, float64(l.Sessions), l.Address)
		o.gauge(localBusiest, float64(l.Busiest), l.Address)
	}
	for _, n := range s.Neighbors {
		o.neighbor(n)
	}
	for _, d := range s.BFDDrops {
		o.count(bfdDropped, float64(d.Packets), d.Reason)
	}
	o.gauge(bgpRoutes, float64(s.Routes))
	o.count(speakerRestarts, float64(s.SpeakerRestarts))
	for i, w := range s.Workers {
		id := strconv.Itoa(i)
		o.count(workerBusy, w.Busy.Seconds(), id)
		o.count(workerPackets, float64(w.Packets), id)
		o.count(workerBatches, float64(w.Batches), id)
	}
	for _, i := range s.Interfaces {
		o.count(interfaceKernel, float64(i.KernelDrops), i.Name)
	}
	for _, mode := range Offloads {
		o.gauge(offloadMode, truth(s.Offload.Mode == mode), mode)
	}
	o.gauge(offloadSessions, float64(s.Offload.Sessions))
	o.gauge(offloadRoom, float64(s.Offload.Room))
	o.count(offloadPackets, float64(s.Offload.Packets))
	o.count(offloadBytes, float64(s.Offload.Bytes))
	o.count(reloads, float64(s.ReloadsApplied), "applied")
	o.count(reloads, float64(s.ReloadsRefused), "refused")
	o.gauge(reloadOK, truth(!s.LastReloadRefused))
	o.gauge(configTimestamp, epoch(s.ConfigLoaded))
}

// out is where samples go.
type out chan<- prometheus.Metric

func (o out) gauge(d *prometheus.Desc, v float64, labels ...string) {
	o.sample(d, prometheus.GaugeValue, v, labels)
}

func (o out) count(d *prometheus.Desc, v float64, labels ...string) {
	o.sample(d, prometheus.CounterValue, v, labels)
}

func (o out) sample(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels []string) {
	m, err := prometheus.NewConstMetric(d, kind, v, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d, err)
	}
	o <- m
}

func (o out) server(s *Server) {
	o.gauge(serverUp, truth(s.Up), s.Service, s.Address)
	o.gauge(serverWeight, float64(s.Weight), s.Service, s.Address)
	o.count(serverChecks, float64(s.Checks-s.CheckFailures), s.Service, s.Address, "passed")
	o.count(serverChecks, float64(s.CheckFailures), s.Service, s.Address, "failed")
	o.gauge(serverCheck, s.CheckDuration.Seconds(), s.Service, s.Address)
	o.gauge(serverSessions, float64(s.Active), s.Service, s.Address, "active")
	o.gauge(serverSessions, float64(s.Inactive), s.Service, s.Address, "inactive")
	o.count(serverOpened, float64(s.Opened), s.Service, s.Address)
	if s.Persists {
		o.gauge(serverPersistent, float64(s.Persistent), s.Service, s.Address)
	}
	if s.Upper > 0 {
		o.gauge(serverThreshold, float64(s.Upper), s.Service, s.Address)
		o.gauge(serverOverloaded, truth(s.Overloaded), s.Service, s.Address)
	}
	o.count(serverPackets, float64(s.PacketsIn), s.Service, s.Address, "inbound")
	o.count(serverPackets, float64(s.PacketsOut), s.Service, s.Address, "outbound")
	o.count(serverBytes, float64(s.BytesIn), s.Service, s.Address, "inbound")
	o.count(serverBytes, float64(s.BytesOut), s.Service, s.Address, "outbound")
}

func (o out) neighbor(n Neighbor) {
	asn := strconv.FormatUint(uint64(n.ASN), 10)
	for _, state := range States {
		o.gauge(neighborState, truth(n.State == state), n.Address, asn, state)
	}
	o.gauge(neighborUptime, n.Uptime.Seconds(), n.Address, asn)
	o.gauge(neighborAnnounced, float64(n.Announced), n.Address, asn)
	if n.BFD != nil {
		o.gauge(bfdUp, truth(n.BFD.Up), n.Address, asn)
		o.gauge(bfdDetect, n.BFD.Detect.Seconds(), n.Address, asn)
		o.count(bfdFailures, float64(n.BFD.Failures), n.Address, asn)
	}
}

// epoch is seconds since 1970, 0 for the zero time.
func epoch(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
