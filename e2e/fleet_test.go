package e2e

import (
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// TestFleet: three directors, and no fault of theirs, of the routers' or of the
// networks between them breaks an established connection: what each says comes
// back whole, and no client sees a reset. Both families, with the routers' own
// ways to spread connections.
func TestFleet(t *testing.T) {
	for _, router := range []string{"bird", "frr"} {
		t.Run(router, func(t *testing.T) {
			f := openFleet(t, lab.Options{Router: router, BFD: "100ms", Directors: 4}, 3)
			f.populate(t)
			for _, fault := range []struct {
				name   string
				play   func(*testing.T, *fleet)
				router bool // what the router is matters
			}{
				{"kill -9 a director", fleetKilled, true},
				{"kill -9 and back at once", fleetRevived, false},
				{"SIGSTOP a director", fleetStopped, true},
				{"link down", fleetLinkDown, true},
				{"silence on a link", fleetSilenced, true},
				{"drain and undrain", fleetDrained, true},
				{"SIGTERM", fleetTerminated, true},
				{"a rolling restart", fleetRolled, false},
				{"a server and a director leave", fleetWithoutServer, false},
				{"the router drops its sessions", fleetReset, true},
				{"the router starts anew", fleetRouterRestart, true},
				{"two of three", fleetPartition, false},
				{"gossip is lost", fleetLoss, false},
				{"home and keeper die at once", fleetDoubleDeath, false},
				{"garbage and forgery", fleetForgery, false},
				{"a fourth director", fleetGrows, true},
			} {
				if !fault.router && router != "bird" && !f.long() {
					continue // `make fleet` plays all with both
				}
				if !t.Run(fault.name, func(t *testing.T) { fault.play(t, f) }) {
					f.mend(t)
				}
			}
		})
	}
}

// TestResilient: a router with resilient next-hop groups moves the flows of the
// director that is gone alone.
func TestResilient(t *testing.T) {
	f := openFleet(t, lab.Options{Router: "resilient", Directors: 4}, 3)
	f.populate(t)
	t.Run("kill -9 a director", func(t *testing.T) { fleetKilled(t, f) })
	t.Run("a fourth director", func(t *testing.T) { fleetGrows(t, f) })
}

// mend brings a fleet back after a fault that went wrong, so that the next one
// tells about itself.
func (f *fleet) mend(t *testing.T) {
	t.Helper()
	f.crowds, f.idlers = nil, nil
	for _, d := range f.Directors[:3] {
		if !d.Process.Running() {
			d.Start()
		}
		d.Process.Thaw()
		d.LoseGossip(0)
	}
	f.whole(t)
	f.populate(t)
}

func fleetKilled(t *testing.T, f *fleet) {
	victim := f.Directors[1]
	probe := f.through(t, victim)
	killed := time.Now()
	victim.Process.Kill()
	f.routed(t, 5*time.Second, "lb1", "lb3")
	within(t, 200*time.Millisecond, killed, "unrouted")
	f.unbroken(t)
	blackhole(t, probe, 200*time.Millisecond)
	f.start(t, victim)
	f.unbroken(t)
}

// A director that is back before anybody has missed it has another epoch, and
// none of its ports is given out twice: every message comes back to who sent it.
func fleetRevived(t *testing.T, f *fleet) {
	victim := f.Directors[2]
	before := epochs(t, f.lb)["lb3"]
	victim.Process.Kill()
	f.start(t, victim)
	churn := f.churn()
	f.unbroken(t)
	served(t, churn)
	if after := epochs(t, f.lb)["lb3"]; after <= before {
		t.Errorf("epoch %d before and %d after", before, after)
	}
	f.ownPorts(t)
}

// epochs are the lives of the directors as one of them knows them.
func epochs(t *testing.T, d *lab.Director) map[string]uint64 {
	t.Helper()
	nodes, err := d.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]uint64{}
	for _, n := range nodes {
		all[n.Name] = n.Epoch
	}
	return all
}

// ownPorts checks that no local port serves two clients of one server.
func (f *fleet) ownPorts(t *testing.T) {
	t.Helper()
	owner := map[string]string{}
	for _, d := range f.Directors {
		if d.Process == nil || !d.Process.Running() {
			continue
		}
		sessions, err := d.Sessions("--state", "established")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sessions {
			port := s.Protocol + " " + s.Local + " " + s.Server
			if other, taken := owner[port]; taken && other != s.Client {
				t.Errorf("%s serves %s and %s", port, other, s.Client)
			}
			owner[port] = s.Client
		}
	}
}

// A director that wakes after everybody has gone on without it ends nothing and
// answers nobody with what it remembers.
func fleetStopped(t *testing.T, f *fleet) {
	victim := f.Directors[1]
	probe := f.through(t, victim)
	stopped := time.Now()
	victim.Process.Freeze()
	f.routed(t, 10*time.Second, "lb1", "lb3")
	within(t, 600*time.Millisecond, stopped, "unrouted")
	f.unbroken(t)
	blackhole(t, probe, 600*time.Millisecond)
	asleep := 8 * time.Second
	if f.long() {
		asleep = time.Minute
	}
	time.Sleep(time.Until(stopped.Add(asleep)))
	victim.Process.Thaw()
	f.whole(t)
	f.unbroken(t)
	f.equal(t, 15*time.Second)
}

// long says whether faults take as long as promised: with a population that is
// asked for.
func (f *fleet) long() bool { return len(f.crowds) > 0 && f.crowds[0].Size() >= 5000 }

func fleetLinkDown(t *testing.T, f *fleet) {
	port := f.Directors[2].Host.Port("front")
	probe := f.through(t, f.Directors[2])
	cut := time.Now()
	if err := port.SetUp(false); err != nil {
		t.Fatal(err)
	}
	f.routed(t, 10*time.Second, "lb1", "lb2")
	within(t, 600*time.Millisecond, cut, "unrouted")
	f.unbroken(t)
	blackhole(t, probe, 600*time.Millisecond)
	if err := port.SetUp(true); err != nil {
		t.Fatal(err)
	}
	for _, route := range []string{"default via 10.1.0.1", "default via 2001:db8:1::1"} {
		if err := f.Directors[2].Host.AddRoute(route); err != nil { // the kernel forgets them with the link
			t.Fatal(err)
		}
	}
	f.whole(t)
	f.unbroken(t)
}

func fleetSilenced(t *testing.T, f *fleet) {
	port := f.Directors[1].Host.Port("front")
	probe := f.through(t, f.Directors[1])
	cut := time.Now()
	if err := port.Unplug(); err != nil {
		t.Fatal(err)
	}
	f.routed(t, 10*time.Second, "lb1", "lb3")
	within(t, 600*time.Millisecond, cut, "unrouted")
	f.unbroken(t)
	blackhole(t, probe, 600*time.Millisecond)
	if err := port.Plug(); err != nil {
		t.Fatal(err)
	}
	f.whole(t)
	f.unbroken(t)
}

func fleetDrained(t *testing.T, f *fleet) {
	victim, churn := f.Directors[1], f.churn()
	if _, err := victim.CLI("node", "drain"); err != nil {
		t.Fatal(err)
	}
	f.routed(t, 10*time.Second, "lb1", "lb3")
	f.unbroken(t)
	if _, err := victim.CLI("node", "undrain"); err != nil {
		t.Fatal(err)
	}
	f.whole(t)
	f.unbroken(t)
	served(t, churn)
}

func fleetTerminated(t *testing.T, f *fleet) {
	victim, churn := f.Directors[2], f.churn()
	restartGently(t, f, victim)
	f.unbroken(t)
	served(t, churn)
}

// restartGently ends a director as a service manager would, and starts it again.
func restartGently(t *testing.T, f *fleet, d *lab.Director) {
	t.Helper()
	asked := time.Now()
	d.Process.Signal(syscall.SIGTERM)
	if err := d.Process.Wait(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s left after %v", d.Host.Name, time.Since(asked).Round(time.Millisecond))
	f.start(t, d)
}

func fleetRolled(t *testing.T, f *fleet) {
	churn := f.churn()
	for _, d := range f.Directors[:3] {
		restartGently(t, f, d)
	}
	f.unbroken(t)
	served(t, churn)
}

// Nobody but the removed server's own clients notices anything, and even they
// keep their connections: what is removed drains.
func fleetWithoutServer(t *testing.T, f *fleet) {
	victim := f.Directors[1]
	churn := f.churn()
	all := f.lb.Services
	for _, d := range f.Directors[:3] {
		d.Services = tomls(2, fleetServices...)
	}
	done := make(chan error, 2)
	for _, d := range []*lab.Director{f.Directors[0], f.Directors[2]} {
		go func() { done <- d.Reload() }()
	}
	victim.Process.Kill()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	f.routed(t, 5*time.Second, "lb1", "lb3")
	f.unbroken(t)
	f.start(t, victim)
	for _, d := range f.Directors[:3] {
		d.Services = all
		if err := d.Reload(); err != nil {
			t.Error(err)
		}
	}
	f.whole(t)
	f.unbroken(t)
	// kill -9 may cost those that were being opened by the one that died.
	if n, failed := churn.Stop(); n == 0 || len(failed)*20 > n {
		t.Errorf("%d new connections were served and %d failed: %v", n, len(failed), failed[:min(1, len(failed))])
	}
}

func fleetReset(t *testing.T, f *fleet) {
	if err := f.Router.Reset(f.Directors[0].Host.Port("front").Addr(false)); err != nil {
		t.Fatal(err)
	}
	if err := f.Router.Reset(f.Directors[0].Host.Port("front").Addr(true)); err != nil {
		t.Fatal(err)
	}
	f.whole(t)
	f.unbroken(t)
}

func fleetRouterRestart(t *testing.T, f *fleet) {
	f.Router.Stop()
	if err := f.Router.Start(); err != nil {
		t.Fatal(err)
	}
	f.whole(t)
	f.unbroken(t)
}

// While one director speaks to no other, all go on; afterwards they are one
// fleet again, and of one mind.
func fleetPartition(t *testing.T, f *fleet) {
	apart := 8 * time.Second
	if f.long() {
		apart = time.Minute
	}
	loner := f.Directors[1]
	if err := loner.Secede(); err != nil {
		t.Fatal(err)
	}
	churn := f.churn()
	time.Sleep(apart)
	f.unbroken(t)
	churn.Stop() // some may meet a director that cannot ask
	healed := time.Now()
	if err := loner.LoseGossip(0); err != nil {
		t.Fatal(err)
	}
	f.whole(t)
	within(t, 10*time.Second, healed, "one fleet again")
	merged := time.Now()
	f.equal(t, 15*time.Second)
	within(t, 5*time.Second, merged, "of one mind")
	f.unbroken(t)
}

// What is lost between directors is sent again.
func fleetLoss(t *testing.T, f *fleet) {
	for _, percent := range []int{5, 20, 50} {
		for _, d := range f.Directors[:3] {
			if err := d.LoseGossip(percent); err != nil {
				t.Fatal(err)
			}
		}
		c, err := f.client.Crowd(t.Context(), at(f.VIP4, lab.EchoPort), 300, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		f.equal(t, 10*time.Second)
		unbroken(t, c)
	}
	for _, d := range f.Directors[:3] {
		if err := d.LoseGossip(0); err != nil {
			t.Fatal(err)
		}
	}
	f.unbroken(t)
}

func fleetDoubleDeath(t *testing.T, f *fleet) {
	f.equal(t, 10*time.Second)
	f.Directors[1].Process.Kill()
	f.Directors[2].Process.Kill()
	f.routed(t, 5*time.Second, "lb1")
	f.unbroken(t)
	f.start(t, f.Directors[1], f.Directors[2])
	f.unbroken(t)
	f.equal(t, 15*time.Second)
}

// Whoever can reach the port but has no key changes nothing.
func fleetForgery(t *testing.T, f *fleet) {
	target := f.Directors[0]
	seen, err := target.Host.Port("front").Capture(lab.Gossip)
	if err != nil {
		t.Fatal(err)
	}
	churn := f.churn()
	time.Sleep(time.Second)
	served(t, churn)
	if err := seen.Stop(); err != nil {
		t.Fatal(err)
	}
	before := resident(t, target.Process.Pid)
	stranger, err := f.Gateway.Dial(t.Context(), "udp", target.Gossip)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	random := rand.New(rand.NewPCG(1, 2))
	real := 0
	for _, frame := range seen.Frames() {
		s := frame.Decode()
		if s.Outgoing || s.Protocol != "udp" {
			continue
		}
		payload := frame.Bytes[len(frame.Bytes)-s.Length:]
		real++
		for range 20 {
			stranger.Write(payload) // again
			stranger.Write(payload[:random.IntN(len(payload)+1)])
			forged := append([]byte(nil), payload...)
			forged[random.IntN(len(forged))] ^= 1 << random.IntN(8)
			stranger.Write(forged)
		}
	}
	if real < 10 {
		t.Errorf("only %d datagrams between directors were seen", real)
	}
	huge := make([]byte, 65000)
	for i := range huge {
		huge[i] = byte(random.Uint32())
	}
	for range 200 {
		stranger.Write(huge)
	}
	for range 50 {
		conn, err := f.Gateway.Dial(t.Context(), "tcp", target.Gossip)
		if err != nil {
			continue // it takes no more of these
		}
		go func(conn net.Conn) {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			for range 100 {
				if _, err := conn.Write(huge); err != nil {
					return
				}
			}
		}(conn)
	}
	f.unbroken(t)
	f.whole(t)
	f.equal(t, 10*time.Second)
	if after := resident(t, target.Process.Pid); after > before+(64<<20) {
		t.Errorf("it holds %d MiB after %d MiB", after>>20, before>>20)
	}
	if out, err := target.CLI("doctor"); err == nil && !strings.Contains(out, "refused") {
		t.Errorf("doctor says nothing of it:\n%s", out)
	}
}

// A router that spreads by hash threshold moves up to half of all connections
// when a director joins: none notices.
func fleetGrows(t *testing.T, f *fleet) {
	churn := f.churn()
	f.start(t, f.Directors[3])
	f.unbroken(t)
	served(t, churn)
	adopted := 0
	for _, d := range f.Directors {
		sessions, err := d.Sessions("--state", "established")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sessions {
			if s.Role == "adopted" {
				adopted++
			}
		}
	}
	if adopted == 0 {
		t.Error("nobody has adopted a session: the router has moved none")
	}
	t.Logf("%d sessions adopted", adopted)
	restartGently(t, f, f.Directors[3])
	f.Directors[3].Process.Stop()
	f.whole(t)
	f.unbroken(t)
}
