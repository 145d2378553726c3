package ipvs

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"fleetlb/node/admin"
)

// The first line of a listing. The size is of a hash table that IPVS has; scripts
// that look at the line want it whole.
const headline = "IP Virtual Server version 1.2.1 (size=4096)\n"

// forwards is how a listing and a command line call a mode.
var forwards = map[string][2]string{
	"nat": {"Masq", "-m"}, "dr": {"Route", "-g"}, "tun": {"Tunnel", "-i"}, "fullnat": {"FullNat", "-b"},
}

func (r *Runner) list(ctx context.Context, q *request) error {
	other := q.has(optConnection) || q.has(optTimeout) || q.has(optDaemon)
	if other && (q.has(optStats) || q.has(optRate) || q.has(optThresholds)) ||
		(q.has(optTimeout) || q.has(optDaemon)) && q.has(optPersistentConn) {
		return misuse("options conflicts in the list command")
	}
	switch {
	case q.has(optConnection):
		return r.connections(ctx, q)
	case q.has(optTimeout):
		return r.listTimeouts(ctx)
	case q.has(optDaemon):
		return nil // there is none
	}
	t, err := r.known(ctx)
	if err != nil {
		return err
	}
	l := &listing{Runner: r, q: q, services: slices.Clone(t.services)}
	traffic := "" // of all
	if q.has(optService) {
		w, err := r.wanted(ctx, q)
		if err != nil {
			return err
		}
		v := t.find(w)
		if v == nil {
			return &failure{1, "No such service"}
		}
		l.services, traffic = []*virtual{v}, v.name
	} else {
		fmt.Fprint(r.out, headline)
	}
	rows, err := r.Director.Traffic(ctx, traffic)
	if err != nil {
		return err
	}
	l.traffic = map[key]admin.Traffic{}
	for _, row := range rows {
		l.traffic[key{row.Service, row.Server}] = row
	}
	l.print(ctx)
	return nil
}

func (r *Runner) listTimeouts(ctx context.Context) error {
	t, err := r.known(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "Timeout (tcp tcpfin udp): %d %d %d\n", secondsOf(t.defaults["timeouts.established"]),
		secondsOf(t.defaults["timeouts.fin_wait"]), secondsOf(t.defaults["timeouts.udp"]))
	return nil
}

type key struct {
	service string
	server  netip.AddrPort
}

// A listing is services about to be printed.
type listing struct {
	*Runner
	q        *request
	services []*virtual
	traffic  map[key]admin.Traffic
}

func (l *listing) print(ctx context.Context) {
	const remote = "  -> RemoteAddress:Port"
	local := "Prot LocalAddress:Port"
	switch {
	case l.q.has(optStats):
		fmt.Fprintf(l.out, "%-33s %8s %8s %8s %8s %8s\n%s\n", local, "Conns", "InPkts", "OutPkts", "InBytes", "OutBytes", remote)
	case l.q.has(optRate):
		fmt.Fprintf(l.out, "%-33s %8s %8s %8s %8s %8s\n%s\n", local, "CPS", "InPPS", "OutPPS", "InBPS", "OutBPS", remote)
	case l.q.has(optThresholds):
		fmt.Fprintf(l.out, "%-33s %-10s %-10s %-10s %-10s\n%s\n", local, "Uthreshold", "Lthreshold", "ActiveConn", "InActConn", remote)
	case l.q.has(optPersistentConn):
		fmt.Fprintf(l.out, "%-33s %-9s %-11s %-10s %-10s\n%s\n", local, "Weight", "PersistConn", "ActiveConn", "InActConn", remote)
	case l.q.has(optTunInfo):
		fmt.Fprintf(l.out, "%s Scheduler Flags\n%s           Forward TunnelInfo    Weight ActiveConn InActConn\n", local, remote)
	default:
		fmt.Fprintf(l.out, "%s Scheduler Flags\n%s           Forward Weight ActiveConn InActConn\n", local, remote)
	}
	if !l.q.has(optNoSort) {
		slices.SortStableFunc(l.services, (*virtual).compare)
	}
	for _, v := range l.services {
		l.service(ctx, v)
		servers := slices.Clone(v.servers)
		if !l.q.has(optNoSort) {
			slices.SortStableFunc(servers, func(a, b *real) int { return a.at.Compare(b.at) })
		}
		for _, s := range servers {
			l.server(ctx, v, s)
		}
	}
}

// cut is as much of an IPv4 address's name as a column has room for.
func cut(name string, room int, six bool) string {
	if six || len(name) <= room {
		return name
	}
	return name[:room]
}

func (l *listing) service(ctx context.Context, v *virtual) {
	name := ""
	if mark := v.mark(); mark != 0 {
		name = fmt.Sprintf("FWM  %d", mark)
		if v.six() {
			name += " IPv6"
		}
	} else {
		words := map[string]string{"tcp": "TCP", "udp": "UDP", "sctp": "SCTP"}
		name = fmt.Sprintf("%-4s %s", words[v.protocol()], l.called(ctx, v.at(), v.protocol(), l.q.has(optNumeric)))
		name = cut(name, 33, v.six())
	}
	switch n := l.traffic[key{service: v.name}]; {
	case l.q.has(optStats):
		fmt.Fprintf(l.out, "%-33s%s\n", name, l.counts(&n))
	case l.q.has(optRate):
		fmt.Fprintf(l.out, "%-33s%s%s%s%s\n", name,
			l.large(rate(n.ConnectionRate)), l.large(rate(n.PacketInRate)), l.large(rate(n.PacketOutRate)), l.bytesRate(&n))
	default:
		fmt.Fprintf(l.out, "%s %s%s\n", name, v.set["scheduler"], v.listedFlags())
	}
}

// listedFlags is what a listing says behind the scheduler.
func (v *virtual) listedFlags() (all string) {
	if flags := v.flags(); flags != "" {
		all += " (" + flags + ")"
	}
	if seconds := v.persistent(); seconds != 0 {
		all += fmt.Sprintf(" persistent %d", seconds)
		if bits, coarse := v.mask(); coarse {
			all += " mask " + maskText(bits, v.six())
		}
	}
	if v.onePacket() {
		all += " ops"
	}
	return all
}

func (l *listing) server(ctx context.Context, v *virtual, s *real) {
	name := cut(l.called(ctx, s.at, v.protocol(), l.q.has(optNumeric)), 28, s.at.Addr().Is6())
	forward := forwards[v.mode(s)][0]
	switch n := l.traffic[key{v.name, s.at}]; {
	case l.q.has(optStats):
		fmt.Fprintf(l.out, "  -> %-28s%s\n", name, l.counts(&n))
	case l.q.has(optRate):
		fmt.Fprintf(l.out, "  -> %-28s %8d %8d %8d%s\n", name, rate(n.ConnectionRate), rate(n.PacketInRate), rate(n.PacketOutRate), l.bytesRate(&n))
	case l.q.has(optThresholds):
		fmt.Fprintf(l.out, "  -> %-28s %-10d %-10d %-10d %-10d\n", name, s.number("upper_threshold"), s.number("lower_threshold"), n.Active, n.Inactive)
	case l.q.has(optPersistentConn):
		fmt.Fprintf(l.out, "  -> %-28s %-9d %-11d %-10d %-10d\n", name, s.weight(), n.Persistent, n.Active, n.Inactive)
	case l.q.has(optTunInfo):
		fmt.Fprintf(l.out, "  -> %-28s %-7s %-13s %-6d %-10d %-10d\n", name, forward, v.tunnelInfo(s), s.weight(), n.Active, n.Inactive)
	default:
		fmt.Fprintf(l.out, "  -> %-28s %-7s %-6d %-10d %-10d\n", name, forward, s.weight(), n.Active, n.Inactive)
	}
}

// tunnelInfo is a tunnel's type, port and kind of checksum, as --tun-info has
// them.
func (v *virtual) tunnelInfo(s *real) string {
	if v.mode(s) != "tun" {
		return "n/a"
	}
	typ, port := v.tunnel(s)
	if port == 0 {
		return typ
	}
	return fmt.Sprintf("%s:%d:-c", typ, port)
}

func (l *listing) counts(n *admin.Traffic) (all string) {
	for _, c := range []uint64{n.Connections, n.PacketsIn, n.PacketsOut, n.BytesIn, n.BytesOut} {
		all += l.large(c)
	}
	return all
}

func (l *listing) bytesRate(n *admin.Traffic) string {
	return l.large(rate(n.ByteInRate)) + l.large(rate(n.ByteOutRate))
}

// rate is whole, as the kernel rounds it.
func rate(perSecond float64) uint64 { return uint64(math.Floor(max(0, perSecond) + 0.5)) }

// large is a number in nine columns, in thousands where it would not fit.
func (l *listing) large(n uint64) string {
	if l.q.has(optExact) {
		return fmt.Sprintf(" %8d", n)
	}
	switch {
	case n < 100_000_000:
		return fmt.Sprintf("%9d", n)
	case n < 1_000_000_000:
		return fmt.Sprintf("%8dK", n/1_000)
	case n < 100_000_000_000:
		return fmt.Sprintf("%8dM", n/1_000_000)
	case n < 100_000_000_000_000:
		return fmt.Sprintf("%8dG", n/1_000_000_000)
	}
	return fmt.Sprintf("%8dT", n/1_000_000_000_000)
}
