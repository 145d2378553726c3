package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlb/bgp"
	"fleetlb/fullnat"
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/persist"
	"fleetlb/gossip/replica"
	"fleetlb/node/config"
	"fleetlb/node/health"
	"fleetlb/session"
)

// records are a dataplane's other side, towards other directors.
type records interface{ replica.Sessions }

// A world is everything at a director's edges. It notes what is done to it.
type world struct {
	records // nobody asks for them

	mu       sync.Mutex
	events   []string
	clock    func() string    // put before each event; nil: nothing
	fail     map[string]error // what goes wrong, by what is done
	beat     time.Duration    // the heartbeat's age
	sessions int              // established
	verdicts map[string]health.Verdict
	targets  []health.Target
	kept     []packet.Addr
	counters fullnat.Counters
	infos    []fullnat.SessionInfo
	pools    []fullnat.PoolInfo

	templates []fullnat.TemplateInfo
	explains  fullnat.Explanation
	stats     []link.Stat
	peers     []bgp.NeighborStatus
	child     bgp.Process

	healthNews, hopNews chan struct{}
}

// newWorld is the world, and a director in it with the configuration in a file.
// It speaks if the configuration does.
func newWorld(t *testing.T, path string) (*world, *director) {
	t.Helper()
	w := &world{
		fail:       map[string]error{},
		healthNews: make(chan struct{}, 1), hopNews: make(chan struct{}, 1),
	}
	cfg := load(t, path)
	d := newDirector(cfg, Options{Version: "v1", Log: io.Discard})
	d.life, d.workers = t.Context(), 2
	d.ports, d.hops, d.plane, d.monitor = w, hops{w}, w, checks{w}
	if cfg.BGP != nil {
		d.speaker = voice{w}
	}
	d.pulse.alive = true
	d.follow()
	return w, d
}

// errPanic goes wrong as badly as can be.
var errPanic = errors.New("a mistake of ours")

// note writes down what is done, and returns what goes wrong with it.
func (w *world) note(what, about string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if about != "" {
		what += " " + about
	}
	verb, _, _ := strings.Cut(what, " ")
	if w.clock != nil {
		what = w.clock() + what
	}
	w.events = append(w.events, what)
	if w.fail[verb] == errPanic {
		panic(errPanic)
	}
	return w.fail[verb]
}

// since returns what was done since it was last asked.
func (w *world) since() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.Join(w.events, "\n")
	w.events = nil
	return all
}

// failing has something go wrong from now on; nil: no more.
func (w *world) failing(verb string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail[verb] = err
}

// health sets the verdicts on all servers: "11 up, 12 down".
func (w *world) health(d *director, line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdicts = verdicts(d.running.Services, line)
}

func (w *world) Run(ctx context.Context) { <-ctx.Done() }

func (w *world) Publish(s *fullnat.Snapshot) error {
	var all []string
	for _, v := range s.Services.Services {
		all = append(all, fmt.Sprintf("%s(%d)", v.Name, len(v.Members)))
	}
	return w.note("publish", strings.Join(all, " "))
}

func (w *world) Heartbeat() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.beat
}

// stuck makes the heartbeat old.
func (w *world) stuck(age time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beat = age
}

func (w *world) Counters(context.Context) (*fullnat.Counters, error) { return &w.counters, nil }

func (w *world) Sessions(context.Context) iter.Seq2[fullnat.SessionInfo, error] {
	return func(yield func(fullnat.SessionInfo, error) bool) {
		for _, s := range w.infos {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (w *world) Established(context.Context) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions = max(0, w.sessions-1) // one ends between two looks
	return w.sessions, nil
}

func (w *world) Pools(context.Context) ([]fullnat.PoolInfo, error) { return w.pools, nil }

func (w *world) Persistence() iter.Seq[fullnat.TemplateInfo] { return slices.Values(w.templates) }

func (w *world) Explain(context.Context, packet.Tuple) (*fullnat.Explanation, error) {
	e := w.explains
	return &e, nil
}

func (w *world) Templates() *persist.Store { return persist.New(1) }
func (w *world) Now() session.Tick         { return 1 }

func (w *world) Interfaces() []link.Interface { return []link.Interface{{Name: "eth0"}} }
func (w *world) Steering() string             { return "eBPF: as it should be" }
func (w *world) Unguarded() error             { return nil }
func (w *world) Driver() string               { return "AF_XDP rings" }
func (w *world) Stats() []link.Stat           { return w.stats }

type hops struct{ *world }

func (h hops) Changes() <-chan struct{}   { return h.hopNews }
func (h hops) Keep(set []packet.Addr)     { h.kept = set }
func (h hops) Table() *nexthop.Table      { return nil }
func (h hops) Resolved(a netip.Addr) bool { return true }

type checks struct{ *world }

func (c checks) Set(targets []health.Target) { c.targets = targets }
func (c checks) Changes() <-chan struct{}    { return c.healthNews }
func (c checks) Verdicts() map[string]health.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.verdicts
}

type voice struct{ *world }

func (v voice) Announce(routes []bgp.Route) error {
	var all []string
	for _, r := range routes {
		all = append(all, r.Prefix.String())
	}
	return v.note("announce", strings.Join(all, " "))
}

func (v voice) Configure(c bgp.Config) error {
	var all []string
	for _, n := range c.Neighbors {
		all = append(all, n.Address.String())
	}
	return v.note("configure", strings.Join(all, " "))
}

func (v voice) Flush(context.Context) error     { return v.note("flush", "") }
func (v voice) Close(context.Context) error     { return v.note("close", "") }
func (v voice) Neighbors() []bgp.NeighborStatus { return v.peers }
func (v voice) Process() bgp.Process            { return v.child }

// speaks is a [bgp] with a neighbour.
const speaks = `
[bgp]
asn = 65001
router_id = "10.1.0.11"
[[bgp.neighbor]]
address = "10.1.0.1"
asn = 65000
`

// tomls writes services as a file has them.
func tomls(t *testing.T, lines string) string {
	t.Helper()
	c := config.Config{Services: several(t, lines)}
	_, text, _ := strings.Cut(string(config.Marshal(&c)), "\n[[service]]")
	if len(c.Services) == 0 {
		return ""
	}
	return "\n[[service]]" + text
}
