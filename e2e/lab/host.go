package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Host is one machine of the lab: a network namespace, a mount namespace with a
// /sys of its own, and the thread that lives there.
type Host struct {
	Name  string
	Ports []*Port // eth0, eth1, … in the layout's order

	lab   *Lab
	dir   string
	path  string // its name under /run/netns
	ns    netns.NsHandle
	net   *netlink.Handle
	calls chan func() // run on the host's thread
}

func (l *Lab) newHost(name string) (*Host, error) {
	dir, err := l.dir(name)
	if err != nil {
		return nil, err
	}
	h := &Host{
		Name:  name,
		lab:   l,
		dir:   dir,
		path:  filepath.Join(netnsDir, l.prefix+name),
		ns:    netns.None(),
		calls: make(chan func()),
	}
	// Listed before it is made, so that Close also removes a half-made one.
	l.mu.Lock()
	l.hosts = append(l.hosts, h)
	l.mu.Unlock()

	ready := make(chan error)
	go h.thread(ready)
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if h.net, err = netlink.NewHandleAt(h.ns); err != nil {
		return nil, fmt.Errorf("%s: netlink: %w", name, err)
	}
	return h, nil
}

// thread is the host's own. It is never unlocked, so it ends with the goroutine
// instead of returning, changed, to the runtime's pool.
func (h *Host) thread(ready chan<- error) {
	runtime.LockOSThread()
	if err := h.enter(); err != nil {
		ready <- err
		return
	}
	close(ready)
	for call := range h.calls {
		call()
	}
}

// enter moves the calling thread into new namespaces and names the network one.
func (h *Host) enter() error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("new network namespace: %w", err)
	}
	f, err := os.OpenFile(h.path, os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	f.Close()
	if err := unix.Mount("/proc/thread-self/ns/net", h.path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("name network namespace: %w", err)
	}
	if h.ns, err = netns.GetFromPath(h.path); err != nil {
		return err
	}
	// A private mount namespace, so that /sys/class/net shows this host's links.
	// A slave one, so that names removed outside are removed here as well.
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("new mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("new mount namespace: %w", err)
	}
	// Refused inside containers that hide parts of /sys; little depends on it.
	_ = unix.Mount(h.Name, "/sys", "sysfs", 0, "")
	return nil
}

func (h *Host) close() {
	close(h.calls)
	if h.net != nil {
		h.net.Close()
	}
	if h.ns.IsOpen() {
		h.ns.Close()
	}
	unname(h.path)
}

// onThread runs f on the host's own thread. Keep it short: there is only one.
func (h *Host) onThread(f func() error) (err error) {
	h.lab.mu.Lock()
	if h.lab.closed {
		h.lab.mu.Unlock()
		return fmt.Errorf("%s: the lab is closed", h.Name)
	}
	done := make(chan struct{})
	h.calls <- func() { defer close(done); err = f() }
	h.lab.mu.Unlock()
	<-done
	return err
}

// Do runs f on a thread inside the host's network namespace: what f opens
// belongs to the host for as long as it is open. Goroutines that f starts do
// not run there.
func (h *Host) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := fmt.Errorf("%s: the function did not return", h.Name)
		defer func() { done <- err }()
		runtime.LockOSThread()
		if err = netns.Set(h.ns); err != nil {
			err = fmt.Errorf("%s: enter namespace: %w", h.Name, err)
			return // still locked: the thread ends
		}
		err = f()
		if netns.Set(h.lab.home) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return <-done
}

// Dial connects from the host.
func (h *Host) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = h.Do(func() error {
		var d net.Dialer
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Listen accepts streams on the host.
func (h *Host) Listen(network, address string) (ln net.Listener, err error) {
	err = h.Do(func() error {
		ln, err = net.Listen(network, address)
		return err
	})
	return ln, err
}

// ListenPacket receives datagrams on the host.
func (h *Host) ListenPacket(network, address string) (c net.PacketConn, err error) {
	err = h.Do(func() error {
		c, err = net.ListenPacket(network, address)
		return err
	})
	return c, err
}

// Sysctl sets a kernel parameter of the host's network namespace.
func (h *Host) Sysctl(name, value string) error {
	path := filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
	err := h.Do(func() error { return os.WriteFile(path, []byte(value), 0) })
	if err != nil {
		return fmt.Errorf("%s: sysctl %s: %w", h.Name, name, err)
	}
	return nil
}

// File returns the path of one of the host's scratch files.
func (h *Host) File(name string) string { return filepath.Join(h.dir, name) }

// WriteFile puts a file into the host's scratch directory and returns its path.
// It is replaced in one step, as a careful operator's editor would.
func (h *Host) WriteFile(name, content string) (string, error) {
	path := h.File(name)
	if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
		return "", err
	}
	return path, os.Rename(path+".new", path)
}

// Port returns the host's port into the named LAN.
func (h *Host) Port(lan string) *Port {
	for _, p := range h.Ports {
		if p.LAN == lan {
			return p
		}
	}
	panic(fmt.Sprintf("lab: host %s has no port into LAN %q", h.Name, lan))
}
