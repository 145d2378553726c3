package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"fleetlb/gossip/seal"
)

// The kinds of datagrams.
const (
	forMemberlist = 1 + iota // what memberlist says
	forEngine                // what Send sends
	forBeat                  // see beat.go
	forShare                 // see share.go
)

// The kinds of streams.
const (
	toMemberlist = 1 + iota
	toEngine     // what Open opens
	toCall       // see call.go
)

const (
	dialTimeout   = 2 * time.Second // for all of a stream's opening
	acceptTimeout = 3 * time.Second // the same, for the other end
	mostStreams   = 1024            // open at a time, of members
	mostCallers   = 128             // who have not proven to be members yet
	packetQueue   = 1024            // datagrams for memberlist
)

// wire is one port for everything: memberlist's packets and streams, and ours.
// It seals what goes out, opens what comes in, and passes it on by kind. It is
// memberlist's Transport.
type wire struct {
	endpoint  *seal.Endpoint
	network   Network
	bind      netip.AddrPort // with the port it got
	advertise netip.AddrPort
	packets   Packets
	listener  net.Listener

	datagram func(from seal.Life, address netip.AddrPort, kind byte, payload []byte)
	stream   func(c *seal.Conn, kind byte)
	dropped  *dropped

	toList  chan *memberlist.Packet
	streams chan net.Conn

	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	mu     sync.Mutex
	open   map[net.Conn]bool // streams of members
	early  []net.Conn        // accepted and not proven, oldest first
}

// listen takes the port. Nothing is heard before start.
func (w *wire) listen() (err error) {
	w.packets, w.listener, err = w.network.Listen(w.bind)
	if err != nil {
		return err
	}
	port := netip.MustParseAddrPort(w.listener.Addr().String()).Port()
	w.bind = netip.AddrPortFrom(w.bind.Addr(), port)
	if !w.advertise.IsValid() {
		w.advertise = w.bind
	}
	w.toList = make(chan *memberlist.Packet, packetQueue)
	w.streams = make(chan net.Conn)
	w.open = map[net.Conn]bool{}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return nil
}

func (w *wire) start() {
	w.wait.Go(w.receive)
	w.wait.Go(w.accept)
}

// send seals a datagram and sends it.
func (w *wire) send(to seal.Life, address netip.AddrPort, kind byte, payload []byte) error {
	if len(payload) > MaxDatagram {
		return fmt.Errorf("%d bytes do not fit into a datagram of %d", len(payload), MaxDatagram)
	}
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	d, err := w.endpoint.Seal((*b)[:0], to, kind, payload)
	if err != nil {
		return err
	}
	return w.packets.WriteTo(d, address)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, seal.MaxDatagram+1); return &b }}

func (w *wire) receive() {
	b := make([]byte, seal.MaxDatagram+1) // so that what is longer shows
	for {
		n, from, err := w.packets.ReadFrom(b)
		if err != nil {
			return // closed
		}
		life, kind, payload, why := w.endpoint.Open(b[:n])
		switch {
		case why != seal.Fine:
		case kind == forMemberlist:
			w.pass(payload, from)
		default:
			w.datagram(life, plain(from), kind, payload)
		}
	}
}

// pass hands memberlist a packet, which keeps it.
func (w *wire) pass(payload []byte, from netip.AddrPort) {
	p := &memberlist.Packet{Buf: append([]byte(nil), payload...), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}
	select {
	case w.toList <- p:
	default:
		w.dropped.queue.Add(1)
	}
}

func (w *wire) accept() {
	for {
		c, err := w.listener.Accept()
		switch {
		case err == nil:
			w.await(c)
			w.wait.Go(func() { w.admit(c) })
		case errors.Is(err, net.ErrClosed) || w.ctx.Err() != nil:
			return
		default: // out of files, most likely
			select {
			case <-time.After(100 * time.Millisecond):
			case <-w.ctx.Done():
				return
			}
		}
	}
}

// await makes room for a caller who has not proven anything yet: the one who has
// been at it longest goes, so that callers who say nothing keep nobody out.
func (w *wire) await(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.early) == mostCallers {
		w.early[0].Close()
		w.early = w.early[1:]
		w.dropped.streams.Add(1)
	}
	w.early = append(w.early, c)
}

// admit lets a stream in once its dialer has proven to be a member.
func (w *wire) admit(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(acceptTimeout))
	s, kind, err := w.endpoint.Accept(c)
	w.mu.Lock()
	for i := range w.early {
		if w.early[i] == c {
			w.early = append(w.early[:i:i], w.early[i+1:]...)
			break
		}
	}
	w.mu.Unlock()
	if err != nil || !w.keep(c) {
		c.Close()
		return
	}
	_ = c.SetDeadline(time.Time{})
	if kind != toMemberlist {
		w.stream(s, kind)
		w.drop(c)
		return
	}
	select {
	case w.streams <- &listStream{s, w}: // memberlist closes it
	case <-w.ctx.Done():
		w.drop(c)
	}
}

// keep counts a member's stream in, so that it is closed with the wire.
func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		return false
	}
	if len(w.open) >= mostStreams {
		w.dropped.streams.Add(1)
		return false
	}
	w.open[c] = true
	return true
}

func (w *wire) drop(c net.Conn) {
	c.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, c)
}

// dial opens a sealed stream: to the node wanted, or to any if that is zero.
// Keys are tried in the order given, as long as the other end knows none.
func (w *wire) dial(ctx context.Context, to netip.AddrPort, wanted uint64, keys []seal.KeyID, kind byte) (*seal.Conn, error) {
	err := error(seal.UnknownKey)
	for _, id := range keys {
		var s *seal.Conn
		if s, err = w.dialWith(ctx, to, wanted, id, kind); !errors.Is(err, seal.UnknownKey) {
			return s, err
		}
	}
	return nil, err
}

func (w *wire) dialWith(ctx context.Context, to netip.AddrPort, wanted uint64, id seal.KeyID, kind byte) (*seal.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	c, err := w.network.Dial(ctx, w.bind, to)
	if err != nil {
		return nil, err
	}
	if !w.keep(c) {
		c.Close()
		return nil, errors.Join(w.ctx.Err(), seal.Crowded)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	s, err := w.endpoint.Dial(c, id, wanted, kind)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		w.drop(c)
		return nil, err
	}
	return s, nil
}

// Close ends all that goes on, and waits for it.
func (w *wire) Close() {
	w.cancel()
	w.packets.Close()
	w.listener.Close()
	w.mu.Lock()
	for c := range w.open {
		c.Close()
	}
	for _, c := range w.early {
		c.Close()
	}
	w.mu.Unlock()
	w.wait.Wait()
}

// listStream is a stream in memberlist's hands.
type listStream struct {
	*seal.Conn
	wire *wire
}

func (s *listStream) Close() error {
	s.wire.drop(s.Conn.Conn)
	return nil
}
