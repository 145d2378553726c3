package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ErrPrivilege is why Open refuses an ordinary user.
var ErrPrivilege = errors.New("lab: network namespaces need root, or a user namespace (see lab.Enter)")

// Lab owns a set of hosts and all that runs in them.
type Lab struct {
	// Dir holds configurations, sockets and logs, one directory a host. Close
	// removes it unless Keep is set.
	Dir  string
	Keep bool

	interrupted atomic.Bool

	prefix string         // of every namespace: fleetlb-<pid>-
	home   netns.NsHandle // where threads return to
	fabric *Host          // holds the bridges, one for each LAN
	lans   map[string]*lan

	mu        sync.Mutex
	hosts     []*Host
	processes []*Process // in the order they were started
	closers   []func()
	closed    bool
	done      chan struct{} // closed once Close has finished
}

// Open builds the layout. On error nothing of it is left.
func Open(layout Layout) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, ErrPrivilege
	}
	sweep()

	home, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("lab: own namespace: %w", err)
	}
	dir, err := os.MkdirTemp(scratch(), fmt.Sprintf("%s%d-", namePrefix, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("lab: scratch directory: %w", err)
	}
	// FRR and nginx read their files as users of their own.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("lab: scratch directory: %w", err)
	}

	l := &Lab{
		Dir:    dir,
		Keep:   os.Getenv("LAB_KEEP") != "",
		prefix: fmt.Sprintf("%s%d-%d-", namePrefix, os.Getpid(), serial.Add(1)),
		home:   home,
		lans:   make(map[string]*lan),
		done:   make(chan struct{}),
	}
	l.closeOnSignal()
	if err := l.build(layout); err != nil {
		l.Close()
		return nil, fmt.Errorf("lab: %w", err)
	}
	return l, nil
}

// Host returns the host of that name; asking for one that is not in the layout
// is a mistake in the test.
func (l *Lab) Host(name string) *Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.hosts {
		if h.Name == name {
			return h
		}
	}
	panic(fmt.Sprintf("lab: no host %q in this layout", name))
}

// Hosts lists every host of the layout, in its order.
func (l *Lab) Hosts() []*Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.hosts), func(h *Host) bool { return h == l.fabric })
}

// Program returns the program last started on a host under that name, or nil.
func (l *Lab) Program(h *Host, name string) *Process {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range slices.Backward(l.processes) {
		if p.Host == h && p.Name == name {
			return p
		}
	}
	return nil
}

// Namespace is the name by which `ip netns exec` knows the host.
func (l *Lab) Namespace(h *Host) string { return l.prefix + h.Name }

// Close ends every program, removes every namespace and deletes the scratch
// directory. It may be called more than once and from any goroutine; all calls
// return when the work is done.
func (l *Lab) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.done
		return
	}
	l.closed = true
	closers, processes, hosts := l.closers, l.processes, l.hosts
	l.mu.Unlock()
	defer close(l.done)

	for _, c := range slices.Backward(closers) {
		c()
	}
	// No time for farewells: nothing outlives the namespaces.
	for _, p := range processes {
		p.expected.Store(true)
		p.send(p.Pid, syscall.SIGKILL)
	}
	for _, p := range processes {
		<-p.ended
	}
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.path
	}
	endAllIn(names)
	for _, h := range slices.Backward(hosts) {
		h.close()
	}
	l.home.Close()
	if !l.Keep {
		os.RemoveAll(l.Dir)
	}
}

// Report writes what a reader of a failure wants to see: how each program ended
// and the last lines it wrote.
func (l *Lab) Report(w io.Writer) {
	l.mu.Lock()
	processes := slices.Clone(l.processes)
	l.mu.Unlock()
	for _, p := range processes {
		if tail := p.Tail(25); tail != "" {
			fmt.Fprintf(w, "--- %s (%s)\n%s\n", p, p.State(), tail)
		}
	}
	if l.Keep {
		fmt.Fprintf(w, "--- files kept in %s\n", l.Dir)
	}
}

// OnClose has f run when the lab closes, before its programs end. It reports
// false, and does nothing, when the lab is closed already.
func (l *Lab) OnClose(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.closers = append(l.closers, f)
	return true
}

// Interrupted reports whether the process was told to end: the lab is cleaning
// up and will exit, and what fails now fails for that reason.
func (l *Lab) Interrupted() bool { return l.interrupted.Load() }

// closeOnSignal tears the lab down when its process is told to end.
func (l *Lab) closeOnSignal() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	go func() {
		select {
		case s := <-c:
			l.interrupted.Store(true)
			fmt.Fprintf(os.Stderr, "\nlab: %v: cleaning up\n", s)
			l.Close()
			os.Exit(128 + int(s.(syscall.Signal)))
		case <-l.done:
			signal.Stop(c)
		}
	}()
}

// dir returns, and makes, the scratch directory of one host.
func (l *Lab) dir(host string) (string, error) {
	d := filepath.Join(l.Dir, host)
	return d, os.MkdirAll(d, 0o755)
}
