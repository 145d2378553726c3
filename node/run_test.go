package node

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"fleetlb/bgp"
	"fleetlb/bgp/bgptest"
	"fleetlb/node/admin"
)

// The test binary is also the speaker that a director starts, and the router
// that it speaks to.
func TestMain(m *testing.M) {
	bgp.Child()
	bgptest.Child()
	goleak.VerifyTestMain(m)
}

// The director and the router have addresses that no other test has.
var (
	router   = netip.AddrFrom4([4]byte{127, 77, byte(os.Getpid()), 1})
	speaking = netip.AddrFrom4([4]byte{127, 77, byte(os.Getpid()), 2})
	block    = netip.MustParsePrefix("10.2.1.0/28")
)

const routerPort = 1790

// A whole director has no interfaces, and so needs no privileges.
type whole struct {
	dir    string
	client *admin.Client
	hangup chan os.Signal
	log    logbook
	stop   context.CancelFunc
	ended  chan error
}

// write writes the configuration that it runs with.
func (w *whole) write(t *testing.T, more string) {
	t.Helper()
	write(t, w.dir, fmt.Sprintf("[node]\nname = \"lb1\"\nwithdraw_delay = \"500ms\"\n[fullnat]\nlocal_addresses = [%q]\n[admin]\nsocket = %q\n%s",
		block, w.socket(), more))
}

func (w *whole) socket() string { return filepath.Join(w.dir, "s") }

var announcing = fmt.Sprintf("[bgp]\nasn = 65001\nrouter_id = \"10.1.0.11\"\n"+
	"[[bgp.neighbor]]\naddress = %q\nlocal_address = %q\nport = %d\nasn = 65000\nconnect_retry = \"1s\"\n", router, speaking, routerPort)

// start runs a director; it has ended when the test has.
func start(t *testing.T, more string) *whole {
	t.Helper()
	dir, err := os.MkdirTemp("", "node") // short: a socket's path ends at 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &whole{dir: dir, hangup: make(chan os.Signal, 1), ended: make(chan error, 1)}
	w.client = admin.NewClient(w.socket())
	w.write(t, more)
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	cfg := load(t, filepath.Join(dir, "lb.toml"))
	go func() { w.ended <- Run(ctx, cfg, Options{Version: "v1", Log: &w.log, Reload: w.hangup}) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-w.ended:
			if err != nil {
				t.Errorf("the director ended: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the director does not end")
		}
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	w.await(t, "to serve", func(s *admin.Status) bool { return s.State == "serving" })
	return w
}

// await waits until the director is as wanted.
func (w *whole) await(t *testing.T, what string, good func(*admin.Status) bool) {
	t.Helper()
	var s admin.Status
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if s, err = w.client.Status(t.Context()); err == nil && good(&s) {
			return
		}
	}
	t.Fatalf("waited for the director %s: %+v, %v\n%s", what, s, err, w.log.String())
}

// reload changes the file, and has the director take it.
func (w *whole) reload(t *testing.T, more string) []admin.Change {
	t.Helper()
	w.write(t, more)
	changes, err := w.client.Reload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// peer is the router.
func peer(t *testing.T) *bgptest.Peer {
	t.Helper()
	p, err := bgptest.Start(bgptest.Config{
		ASN: 65000, RouterID: netip.MustParseAddr("10.1.0.1"), Listen: []netip.Addr{router}, Port: routerPort,
		Neighbors: []bgptest.Neighbor{{Prefix: netip.PrefixFrom(speaking, 32), ASN: 65001}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// learns waits until the router has the block from the director, or not.
func learns(t *testing.T, p *bgptest.Peer, there bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	n := 0
	if there {
		n = 1
	}
	if _, err := p.WaitRoute(ctx, block, n); err != nil {
		t.Fatal(err)
	}
}

// TestRun is a director's life as its router sees it.
func TestRun(t *testing.T) {
	p := peer(t)
	w := start(t, announcing)
	learns(t, p, true)

	// A session that does not change stays up, whatever else does.
	const second = "[[bgp.neighbor]]\naddress = \"127.77.0.9\"\nasn = 65000\n"
	if changes := w.reload(t, announcing+second); len(changes) != 1 || changes[0].Change != "bgp: neighbor 127.77.0.9 added" {
		t.Errorf("changed %v", changes)
	}
	w.write(t, announcing+"[[service]]\n")
	w.hangup <- unix.SIGHUP
	w.await(t, "to refuse a file", func(s *admin.Status) bool { return s.ReloadFailures == 1 })
	w.write(t, announcing)
	w.hangup <- unix.SIGHUP
	w.await(t, "to take a file", func(s *admin.Status) bool { return s.Reloads == 2 && s.ReloadError == "" })
	if s := p.State().Session(speaking); !s.Up || s.Count != 1 {
		t.Errorf("the session is %+v; it should not have noticed", s)
	}

	// A speaker comes and goes.
	w.reload(t, "")
	learns(t, p, false)
	w.reload(t, announcing)
	learns(t, p, true)

	// Drained, the director goes on announcing what answers come back to.
	if err := w.client.DrainNode(t.Context()); err != nil {
		t.Error(err)
	}
	w.await(t, "to drain", func(s *admin.Status) bool { return s.State == "draining" })
	if err := w.client.UndrainNode(t.Context()); err != nil {
		t.Error(err)
	}
	learns(t, p, true)

	// It withdraws before it ends, and says so while it does.
	w.stop()
	w.await(t, "to leave", func(s *admin.Status) bool { return s.State == "draining" })
	learns(t, p, false)
	err := <-w.ended
	w.ended <- err
	if _, err := os.Stat(w.socket()); err == nil {
		t.Error("the socket is still there")
	}
}

// TestRunAlone is a director that nobody has told anything yet.
func TestRunAlone(t *testing.T) {
	w := start(t, "")
	err := w.client.Edit(t.Context(), []admin.Edit{{Verb: "add", Service: "web", Set: map[string]string{"vip": "203.0.113.10:80"}}})
	if want := "service add: node: interfaces is missing; services need one to get packets from"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if e, err := w.client.Explain(t.Context(), admin.Tuple{Protocol: "tcp", Src: mustAddrPort("198.51.100.7:1"), Dst: mustAddrPort("203.0.113.10:80")}); err != nil || e.Verdict != "not_ours" {
		t.Errorf("explain: %+v, %v", e, err)
	}
	if findings, err := w.client.Doctor(t.Context()); err != nil || len(findings) == 0 {
		t.Errorf("doctor: %v, %v", findings, err)
	}

	// A second director at the same socket is refused and disturbs nobody.
	cfg := load(t, filepath.Join(w.dir, "lb.toml"))
	err = Run(t.Context(), cfg, Options{Log: &logbook{}})
	if want := fmt.Sprintf("admin socket %s: in use by process %d", w.socket(), os.Getpid()); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	w.await(t, "to go on", func(s *admin.Status) bool { return s.State == "serving" })
}

// TestMetrics: they come, move and go with the file.
func TestMetrics(t *testing.T) {
	w := start(t, "")
	address := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	there := func(a string) bool {
		c, err := net.Dial("tcp", a)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	one, two := address(), address()
	for _, row := range []struct {
		at       string
		one, two bool
	}{{one, true, false}, {two, false, true}, {"", false, false}} {
		more := ""
		if row.at != "" {
			more = fmt.Sprintf("metrics = %q\n", row.at) // still in [admin]
		}
		w.reload(t, more)
		if there(one) != row.one || there(two) != row.two {
			t.Errorf("at %q: %v and %v are there", row.at, there(one), there(two))
		}
	}
}

// TestRunErrors: what a director cannot start without.
func TestRunErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, row := range []struct{ name, file, want string }{
		{"an interface", "[node]\nname = \"lb1\"\ninterfaces = [\"none0\"]\n[admin]\nsocket = \"SOCKET\"\n", "interface none0: "},
		{"an address for metrics", "[node]\nname = \"lb1\"\n[admin]\nsocket = \"SOCKET\"\nmetrics = \"" + taken.Addr().String() + "\"\n" + announcing,
			"metrics " + taken.Addr().String() + ": "},
	} {
		dir, err := os.MkdirTemp("", "node")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		path := write(t, dir, strings.Replace(row.file, "SOCKET", filepath.Join(dir, "s"), 1))
		if err := Run(t.Context(), load(t, path), Options{Log: &logbook{}}); err == nil || !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: %v, want %s", row.name, err, row.want)
		}
	}
}

// A logbook may be read while it is written.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
