package node

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"sync"
	"time"

	"fleetlb/fullnat"
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/service"
	"fleetlb/node/admin"
	"fleetlb/node/config"
	"fleetlb/node/health"
	"fleetlb/node/metrics"
)

// Options are what a process tells the director that runs in it.
type Options struct {
	Version string
	Log     io.Writer
	Reload  <-chan os.Signal // each asks for a reload
	Replace <-chan os.Signal // each tells that another director of the name takes over at once
}

// A director is one running node.
type director struct {
	version string
	journal *journal
	log     *slog.Logger // to journal
	started time.Time
	life    context.Context // packets flow until it ends

	ports    ports
	workers  int
	hops     nextHops
	plane    dataplane
	monitor  monitor
	detector detector           // nil: none
	elector  elector            // nil: none
	company  *company           // nil: alone
	relay    relay              // from the workers to it
	froze    chan time.Duration // the workers were, for so long
	rivals   rivals             // who answer for our addresses as well
	offload  offloader          // nil: none wanted
	express  offloader          // in its stead, for the drivers to feed the workers' rings; nil: not
	liftOff  func() error       // has sessions lifted, once there is a snapshot
	replaced bool               // another director takes over

	tally tally

	requests chan func()   // to be run by the goroutine in run
	ended    chan struct{} // closed when it takes no more
	changing sync.Mutex    // held while the settings change; see reload.go

	// All that follows is owned by the goroutine in run.

	settings
	reloads  reloads
	speaker  speaker               // nil: no [bgp]
	failures map[netip.Addr]uint64 // of BFD, that speaker knows of
	metrics  *metrics.Listener     // nil: none wanted

	pulse    pulse
	sharing  bool // about to move connections away: others must know all of them
	draining bool // told to move new connections away, or ending
	ending   bool
	drained  bool // the local addresses may go too

	specs    []service.Spec // table was built from these
	table    *service.Table
	snapshot *fullnat.Snapshot // the last one published; nil: none yet
	plan     *plan             // the last one made so
	trouble  string            // why the last apply failed; "": it did not
	panicked string            // the last panic
}

// Run is a director's life, from its configuration to its last packet. It ends
// in good order when ctx does.
func Run(ctx context.Context, cfg *config.Config, o Options) error {
	d := newDirector(cfg, o)
	socket, err := admin.Listen(cfg.Admin.Socket, operators(), d.log)
	if err != nil {
		return err
	}
	defer closeWithin(time.Second, socket.Close)

	release, err := claim(cfg.Node.Interfaces, cfg.Admin.Socket, lastBreath, d.log)
	if err != nil {
		return err
	}
	defer release()

	// Packets flow until the routes are gone, and so longer than ctx.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	d.life = life
	dismantle, err := d.build()
	if err != nil {
		return err
	}
	defer dismantle()
	quit, err := d.join()
	if err != nil {
		return err
	}
	defer quit()
	if err := d.open(); err != nil {
		return err
	}
	defer func() { d.close(d.speaker, d.metrics) }() // unless leave has

	if err := d.apply(); err != nil { // the workers need something to begin with
		return err
	}
	if err := d.liftOff(); err != nil {
		return err
	}
	var workers sync.WaitGroup
	workers.Go(func() { d.plane.Run(life) })
	defer workers.Wait()
	defer end()

	d.serve(socket)
	go d.tally.follow(life, d.plane.Counters)
	go d.reloadOn(o.Reload)
	ctx, replaced := context.WithCancelCause(ctx)
	defer replaced(nil)
	go d.replaceOn(ctx, o.Replace, replaced)
	d.warn(cfg)
	d.log.Info("running", "node", cfg.Node.Name, "version", d.version, "workers", d.workers, "steering", d.ports.Steering())
	d.run(ctx)
	if d.replaced = context.Cause(ctx) == errReplaced; !d.replaced {
		d.leave()
	}
	return nil
}

func newDirector(cfg *config.Config, o Options) *director {
	j := newJournal(o.Log, &cfg.Node)
	return &director{
		version: o.Version, journal: j, log: slog.New(j), started: time.Now(),
		requests: make(chan func()), ended: make(chan struct{}), froze: make(chan time.Duration, 1),
		settings: settingsOf(cfg), table: &service.Table{},
	}
}

// mostWorkers is as many as the configuration could ask for.
const mostWorkers = 256

// build makes the edges that stay for as long as the director runs.
func (d *director) build() (dismantle func(), err error) {
	n := &d.config.Node
	d.workers = cmp.Or(n.Workers, min(runtime.GOMAXPROCS(0), mostWorkers))
	links, err := link.Open(n.Interfaces, d.workers, d.config.Dataplane.Driver != "packet")
	if err != nil {
		return nil, err
	}
	var interfaces []nexthop.Interface
	for _, i := range links.Interfaces() {
		interfaces = append(interfaces, nexthop.Interface(i))
	}
	hops, err := nexthop.Watch(d.life, interfaces)
	if err != nil {
		links.Close()
		return nil, err
	}
	checks := health.New(d.log)
	d.ports, d.hops, d.monitor = links, watcher{hops}, checks
	options := fullnat.Options{Sessions: n.MaxSessions, Want: hops.Want, Log: d.log}
	if g := d.config.Gossip; g != nil {
		options.Peers, options.Replicas, options.Froze = &d.relay, g.Replicas*n.MaxSessions, d.freeze
	}
	options.Contested = d.contested
	plane := fullnat.New(links, options)
	d.plane = plane
	d.liftOff = func() error { return d.drive(plane, links.Express()) }
	if err := errors.Join(d.watchNeighbors(), d.startElections()); err != nil {
		d.farewell()
		checks.Close()
		links.Close()
		return nil, err
	}
	return func() {
		d.farewell()
		d.ground()
		checks.Close()
		links.Close()
	}, nil
}

// open makes the edges that come and go with the configuration.
func (d *director) open() (err error) {
	if d.speaker, err = startSpeaker(d.life, d.config.BGP, d.log); err != nil {
		return err
	}
	if d.metrics, err = d.listenMetrics(d.config.Admin.Metrics); err != nil {
		d.close(d.speaker, nil)
		return err
	}
	d.follow()
	d.watch()
	return nil
}

// serve answers the operator, and whoever scrapes.
func (d *director) serve(socket *admin.Socket) {
	go func() {
		if err := socket.Serve(backend{d}); err != nil {
			d.log.Error(err.Error())
		}
	}()
	d.serveMetrics(d.metrics)
}

// close takes leave of a speaker and a metrics listener, where there are any.
func (d *director) close(s speaker, m *metrics.Listener) {
	if s != nil {
		closeWithin(flushWithin, s.Close)
	}
	if m != nil {
		closeWithin(time.Second, m.Close)
	}
}

// closeWithin calls a closer that takes a context.
func closeWithin(limit time.Duration, close func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	close(ctx)
}

// operators is the group that may use the admin socket beside root: "fleetlb",
// where the host has it. Only root can give the socket away; -1 leaves it as it
// is.
func operators() int {
	group, err := user.LookupGroup("fleetlb")
	if err != nil || os.Geteuid() != 0 {
		return -1
	}
	gid, err := strconv.Atoi(group.Gid)
	if err != nil {
		return -1
	}
	return gid
}
