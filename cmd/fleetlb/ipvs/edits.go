package ipvs

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"fleetlb/node/admin"
)

// A wanted service is one as a command line names it.
type wanted struct {
	mark     uint32
	six      bool
	protocol string
	at       netip.AddrPort
}

// wanted reads the service of a request.
func (r *Runner) wanted(ctx context.Context, q *request) (*wanted, error) {
	text := q.words[optService]
	if q.kind == "fwmark" {
		n, ok := number(text, 1, 1<<32-1)
		if !ok {
			return nil, misuse("invalid fwmark value `%s' specified", text)
		}
		return &wanted{mark: uint32(n), six: q.six}, nil
	}
	at, ok := r.place(ctx, text, q.kind, 0)
	if !ok {
		return nil, misuse("illegal virtual server address[:port] specified")
	}
	return &wanted{protocol: q.kind, at: at, six: at.Addr().Is6()}, nil
}

// edits is what a request wants changed.
func (r *Runner) edits(ctx context.Context, q *request) (all []admin.Edit, err error) {
	defer func() {
		for i := range all {
			all[i].Fleet = r.fleet || q.has(optFleet)
		}
	}()
	if q.command == setTimeouts {
		return timeouts(q.rest)
	}
	t, err := r.known(ctx)
	if err != nil {
		return nil, err
	}
	if q.command == flush {
		for _, v := range t.services {
			all = append(all, admin.Edit{Verb: "delete", Service: v.name})
		}
		return all, nil
	}
	w, err := r.wanted(ctx, q)
	if err != nil {
		return nil, err
	}
	var one admin.Edit
	switch q.command {
	case add, edit:
		one, err = r.service(t, q, w)
	case remove:
		one = admin.Edit{Verb: "delete"}
		if v := t.find(w); v != nil {
			one.Service = v.name
		} else {
			err = refuse("No such service")
		}
	default:
		one, err = r.server(ctx, t, q, w)
	}
	if err != nil {
		return nil, err
	}
	return []admin.Edit{one}, nil
}

// timeouts are those that --set sets: 0 leaves one as it is.
func timeouts(words []string) ([]admin.Edit, error) {
	set := map[string]string{}
	for i, key := range []string{"timeouts.established", "timeouts.fin_wait", "timeouts.udp"} {
		n, err := timeout(words[i], 0)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			set[key] = fmt.Sprintf("%ds", n)
		}
	}
	if len(set) == 0 {
		return nil, nil
	}
	return []admin.Edit{{Verb: "edit", Set: set}}, nil
}

// service reads -A and -E. As in IPVS, an edit says all that IPVS has to say of a
// service: what is left out is off. What IPVS knows nothing of stays.
func (r *Runner) service(t *table, q *request, w *wanted) (admin.Edit, error) {
	if vip, _, _ := strings.Cut(q.words[optVIP], "/"); w.mark != 0 && strings.HasPrefix(vip, "[") {
		w.six = true
	}
	v := t.find(w)
	if err := checkService(q, w, v); err != nil {
		return admin.Edit{}, err
	}
	scheduler := q.words[optScheduler]
	if scheduler == "" {
		scheduler = "wlc"
	}
	set := map[string]string{"scheduler": scheduler, "scheduler_flags": "", "persistence": "0s"}
	if q.has(optFlags) {
		flags, err := schedulerFlags(q.words[optFlags], scheduler)
		if err != nil {
			return admin.Edit{}, err
		}
		set["scheduler_flags"] = flags
	}
	if err := persistence(q, w, v, set); err != nil {
		return admin.Edit{}, err
	}
	if q.has(optOnePacket) {
		set["one_packet"] = "true"
	} else if v != nil && v.set["one_packet"] != "" {
		set["one_packet"] = "false"
	}
	if q.command == edit {
		return admin.Edit{Verb: "edit", Service: v.name, Set: set}, nil
	}
	set["mode"], set["check.type"] = "dr", "none"
	for key, word := range q.listens(w) {
		set[key] = word
	}
	for key, word := range set {
		if word == "" || key == "persistence" && word == "0s" {
			delete(set, key)
		}
	}
	e := admin.Edit{Verb: "add", Service: t.free(w), Set: set}
	return e, nil
}

// checkService refuses what IPVS refuses.
func checkService(q *request, w *wanted, v *virtual) error {
	switch {
	case w.mark == 0 && w.at.Port() == 0 && !q.has(optPersistent) && !q.has(optPorts) && !q.has(optVIPs):
		return misuse("Zero port specified for non-persistent service")
	case q.has(optOnePacket) && w.mark == 0 && w.protocol != "udp":
		return misuse("One-Packet Scheduling is only for UDP virtual services")
	case q.has(optEngine):
		return refuse("Scheduler or persistence engine not found")
	case q.command == edit && v == nil:
		return refuse("No such service")
	case q.command == add && v != nil:
		return refuse("Service already exists")
	case q.command == add && w.mark != 0 && !q.has(optVIP):
		return refuse("No packet is marked here: say what the service listens at, such as -f %d --vip 203.0.113.10:80", w.mark)
	case w.mark == 0 && q.has(optVIP):
		return misuse("Illegal '%s' option: the service has its address", optVIP)
	}
	return nil
}

// persistence reads -p and -M.
func persistence(q *request, w *wanted, v *virtual, set map[string]string) error {
	six := w.six || v != nil && v.six()
	if q.has(optPersistent) {
		seconds := int64(300)
		if word := q.words[optPersistent]; word != "" {
			var err error
			if seconds, err = timeout(word, 1); err != nil {
				return err
			}
		}
		set["persistence"] = fmt.Sprintf("%ds", seconds)
	}
	set[maskKey(six)] = ""
	if q.has(optNetmask) {
		bits, err := netmask(q.words[optNetmask], six)
		if err != nil {
			return err
		}
		set[maskKey(six)] = fmt.Sprint(bits)
	}
	return nil
}

// listens is the keys that say where a new service listens.
func (q *request) listens(w *wanted) map[string]string {
	set := map[string]string{"vips": q.words[optVIPs], "ports": q.words[optPorts]}
	if w.mark == 0 {
		set["vip"], set["protocol"] = w.at.String(), w.protocol
		return set
	}
	vip, protocol, _ := strings.Cut(q.words[optVIP], "/")
	if protocol == "" {
		protocol = "tcp"
	}
	set["tag"], set["vip"], set["protocol"] = fmt.Sprint(w.mark), vip, protocol
	return set
}

// server reads -a, -e and -d.
func (r *Runner) server(ctx context.Context, t *table, q *request, w *wanted) (admin.Edit, error) {
	v := t.find(w)
	protocol, without := w.protocol, w.at.Port()
	if v != nil {
		protocol, without = v.protocol(), v.port()
	}
	at, ok := r.place(ctx, q.words[optServer], protocol, without)
	if !ok {
		return admin.Edit{}, misuse("illegal real server address[:port] specified")
	}
	mode := q.words[optForward]
	if mode == "" {
		mode = "dr"
	}
	if q.command != dropServer && (mode == "dr" || mode == "tun") {
		at = netip.AddrPortFrom(at.Addr(), without) // no port is changed
	}
	set, err := serverSet(q, mode)
	if err != nil {
		return admin.Edit{}, err
	}
	switch {
	case w.six != at.Addr().Is6() && w.mark == 0 && mode != "tun" && q.command != dropServer:
		return admin.Edit{}, misuse("Different address family is allowed only for tunneling servers")
	case v == nil:
		return admin.Edit{}, refuse("Service not defined")
	case q.command == addServer && v.index(at) >= 0:
		return admin.Edit{}, refuse("Destination already exists")
	case q.command != addServer && v.index(at) < 0:
		return admin.Edit{}, refuse("No such destination")
	}
	verbs := map[command]string{addServer: "add", editServer: "edit", dropServer: "delete"}
	e := admin.Edit{Verb: verbs[q.command], Service: v.name, Server: at, Set: set}
	if q.command == addServer {
		for key, word := range set {
			if word == "" {
				delete(set, key)
			}
		}
	}
	return e, nil
}

// serverSet is the keys that -a and -e set. What is left out has its default
// again, as in IPVS.
func serverSet(q *request, mode string) (map[string]string, error) {
	if q.command == dropServer {
		return nil, nil
	}
	set := map[string]string{"mode": mode, "weight": "1", "upper_threshold": "", "lower_threshold": "",
		"tunnel": "", "tunnel_port": "", "tunnel_variant": ""}
	for _, n := range []struct {
		option option
		key    string
		most   int64
		wrong  string
	}{
		{optWeight, "weight", 1<<31 - 1, "illegal weight specified"},
		{optUpper, "upper_threshold", 1<<31 - 1, "illegal u_threshold specified"},
		{optLower, "lower_threshold", 1<<31 - 1, "illegal l_threshold specified"},
	} {
		if !q.has(n.option) {
			continue
		}
		if _, ok := number(q.words[n.option], 0, n.most); !ok {
			return nil, misuse("%s", n.wrong)
		}
		set[n.key] = q.words[n.option]
	}
	return set, tunnelSet(q, mode, set)
}

// tunnelSet is the keys of a tunnel.
func tunnelSet(q *request, mode string, set map[string]string) error {
	if mode != "tun" {
		return nil
	}
	if q.has(optTunPort) {
		if _, ok := number(q.words[optTunPort], 1, 65535); !ok {
			return misuse("illegal tunnel port specified")
		}
		set["tunnel_port"] = q.words[optTunPort]
	}
	if q.has(optTunType) {
		set["tunnel"] = q.words[optTunType]
	}
	switch {
	case q.has(optTunCsum):
		return refuse("Tunnels have no checksum of their own here; leave out --%s", optTunCsum)
	case q.has(optTunRemCsum):
		return refuse("Tunnels know no remote checksum offload here; leave out --%s", optTunRemCsum)
	}
	return nil
}
