package nexthop

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// newsBuffer holds some 50,000 messages for a watcher that is late.
const newsBuffer = 16 << 20

// news is what the kernel reports of routes, neighbours, links and addresses,
// all from one socket and so in the order in which it happened.
type news struct {
	messages chan *syscall.NetlinkMessage // nil: some were lost
	ns       netns.NsHandle
	closing  chan struct{}
	ended    sync.WaitGroup

	mu     sync.Mutex
	socket *nl.NetlinkSocket
}

// subscribe listens in the present thread's network namespace.
func subscribe() (*news, error) {
	ns, err := netns.Get()
	if err != nil {
		return nil, err
	}
	n := &news{messages: make(chan *syscall.NetlinkMessage, 1024), ns: ns, closing: make(chan struct{})}
	if err := n.open(); err != nil {
		ns.Close()
		return nil, err
	}
	n.ended.Go(n.listen)
	return n, nil
}

func (n *news) open() error {
	s, err := nl.SubscribeAt(n.ns, netns.None(), unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_NEXTHOP)
	if err != nil {
		return err
	}
	if s.SetReceiveBufferSize(newsBuffer, true) != nil {
		s.SetReceiveBufferSize(newsBuffer, false)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.closing:
		s.Close()
		return os.ErrClosed
	default:
	}
	n.socket = s
	return nil
}

// close ends the subscription.
func (n *news) close() {
	n.mu.Lock()
	close(n.closing)
	n.socket.Close()
	n.mu.Unlock()
	n.ended.Wait()
	n.ns.Close()
}

// listen passes the messages on until the subscription ends.
func (n *news) listen() {
	for {
		messages, from, err := n.socket.Receive()
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil && !n.recover(err) {
			return
		}
		for i := range messages {
			if from.Pid == 0 && !n.pass(&messages[i]) { // nobody but the kernel is believed
				return
			}
		}
	}
}

// pass hands a message on, unless the subscription ends meanwhile.
func (n *news) pass(m *syscall.NetlinkMessage) bool {
	select {
	case n.messages <- m:
		return true
	case <-n.closing:
		return false
	}
}

// recover goes on after an error: after an overflow (ENOBUFS) with the same
// socket, else with a new one. Either way messages have been lost.
func (n *news) recover(err error) bool {
	for err != nil && err != unix.ENOBUFS && err != unix.EINTR {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-n.closing:
			return false
		}
		n.socket.Close()
		err = n.open()
	}
	return n.pass(nil)
}
