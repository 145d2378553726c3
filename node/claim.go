package node

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Two directors on one interface would both open a session for the same client
// and both answer it, each with another server. So a director claims its
// interfaces by binding an abstract unix address for each. The kernel keeps those
// by network namespace, as it does interfaces, and takes them back with the
// process, however that ends: a lock file would outlive a machine's crash and
// know nothing of namespaces.

// lastBreath is how long a director that was killed may take to be gone: the
// kernel closes what it had only after much else.
const lastBreath = 3 * time.Second

// claim takes the interfaces for the director behind an admin socket. For each
// it waits so long until nobody else has it.
func claim(interfaces []string, socket string, patience time.Duration, log *slog.Logger) (release func(), err error) {
	var held []net.Listener
	release = func() {
		for _, l := range held {
			l.Close()
		}
	}
	for _, name := range interfaces {
		l, holder, err := take(name, patience)
		switch {
		case l != nil:
			held = append(held, l)
			go tellHolder(l, socket)
		case err != nil:
			log.Warn("interface " + name + ": cannot tell whether another director has it: " + err.Error())
		case !holder.credible():
			log.Warn(fmt.Sprintf("interface %s: process %d of user %d pretends to be a director that has it", name, holder.Pid, holder.Uid))
		default:
			release()
			return nil, fmt.Errorf("interface %s: in use by another director (%s): end that first, or list other interfaces here", name, holder)
		}
	}
	return release, nil
}

// take takes one interface, or says who has it.
func take(name string, patience time.Duration) (l net.Listener, h holder, err error) {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if l, err = net.Listen("unix", claimOf(name)); err == nil {
			return l, holder{}, nil
		}
		if h, err = holderOf(name); err == nil && !h.credible() || time.Now().After(end) {
			return nil, h, err
		}
	}
}

func claimOf(name string) string { return "@fleetlb/interface/" + name }

// tellHolder tells everybody who asks for the address which director has it.
func tellHolder(l net.Listener, socket string) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond) // out of files, most likely
			continue
		}
		conn.SetDeadline(time.Now().Add(time.Second))
		fmt.Fprintln(conn, socket)
		conn.Close()
	}
}

// A holder is the process that has an interface.
type holder struct {
	unix.Ucred
	socket string // "": it does not say
}

func holderOf(name string) (holder, error) {
	conn, err := net.DialTimeout("unix", claimOf(name), time.Second)
	if err != nil {
		return holder{}, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return holder{}, err
	}
	var h holder
	var failure error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failure = err
			return
		}
		h.Ucred = *cred
	})
	if err = errors.Join(err, failure); err != nil {
		return holder{}, err
	}
	conn.SetDeadline(time.Now().Add(time.Second)) // it may be frozen
	if line, err := bufio.NewReader(io.LimitReader(conn, 256)).ReadString('\n'); err == nil {
		h.socket = line[:len(line)-1]
	}
	return h, nil
}

// credible says whether the holder can be a director. Anybody may bind such an
// address, and must not keep us from starting by it.
func (h *holder) credible() bool { return h.Uid == 0 || h.Uid == uint32(os.Geteuid()) }

func (h holder) String() string {
	who := fmt.Sprintf("process %d", h.Pid)
	if h.Pid == 0 {
		who = "a process of another container"
	}
	if h.socket != "" {
		who += fmt.Sprintf(", socket %q", h.socket)
	}
	return who
}
