package e2e

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// BGP message types (RFC 4271 §4.1).
const (
	bgpOpen         = 1
	bgpUpdate       = 2
	bgpNotification = 3
	bgpKeepalive    = 4
)

// message puts a BGP header before a body.
func message(kind byte, body ...byte) []byte {
	m := slices.Repeat([]byte{0xff}, 16)
	m = binary.BigEndian.AppendUint16(m, uint16(19+len(body)))
	return append(append(m, kind), body...)
}

// hello is an OPEN of the rogue's, with raw optional parameters.
func hello(parameters ...byte) []byte {
	body := []byte{4, 0xfd, 0xe8, 0, 90, 10, 1, 0, 66, byte(len(parameters))} // AS 65000, hold time 90
	return message(bgpOpen, append(body, parameters...)...)
}

// capability is an optional parameter (RFC 5492) whose lengths are right.
func capability(code byte, value ...byte) []byte {
	return append([]byte{2, byte(2 + len(value)), code, byte(len(value))}, value...)
}

// update is an UPDATE with raw path attributes and raw NLRI.
func update(attributes []byte, nlri ...byte) []byte {
	body := []byte{0, 0}
	body = binary.BigEndian.AppendUint16(body, uint16(len(attributes)))
	return message(bgpUpdate, append(append(body, attributes...), nlri...)...)
}

var (
	origin  = []byte{0x40, 1, 1, 0}
	asPath  = []byte{0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8}
	nextHop = []byte{0x40, 3, 4, 10, 1, 0, 66}
	usual   = slices.Concat(origin, asPath, nextHop)
	ipv4    = capability(1, 0, 1, 0, 1)
	as4     = capability(65, 0, 0, 0xfd, 0xe8)
	good    = hello(slices.Concat(ipv4, as4)...)
)

// A malice is one connection of the rogue's: what it sends in place of an OPEN,
// or in an established session.
type malice struct {
	name   string
	open   []byte // nil: a good one, and then the rest
	update []byte
}

var malices = []malice{
	{name: "OPEN: parameters beyond the message", open: message(bgpOpen, 4, 0xfd, 0xe8, 0, 90, 10, 1, 0, 66, 200, 2, 6, 1, 4)},
	{name: "OPEN: capability beyond its parameter", open: hello(2, 4, 1, 200, 0, 1)},
	{name: "OPEN: multiprotocol capability of one byte", open: hello(capability(1, 0)...)},
	{name: "OPEN: graceful restart capability of one byte", open: hello(capability(64, 1)...)},
	{name: "OPEN: add-path capability cut short", open: hello(capability(69, 0, 1, 1)...)},
	{name: "OPEN: software version longer than its capability", open: hello(capability(75, 255, 'x')...)},
	{name: "OPEN: software version of 200 bytes", open: hello(capability(75, append([]byte{199}, make([]byte, 199)...)...)...)},
	{name: "OPEN: FQDN capability with lengths beyond it", open: hello(capability(73, 250, 'h')...)},
	{name: "OPEN: version 3", open: message(bgpOpen, 3, 0xfd, 0xe8, 0, 90, 10, 1, 0, 66, 0)},
	{name: "header: length 18", open: append(slices.Repeat([]byte{0xff}, 16), 0, 18, bgpOpen)},
	{name: "header: length 65535", open: append(slices.Repeat([]byte{0xff}, 16), 0xff, 0xff, bgpOpen)},
	{name: "header: marker of zeros", open: append(make([]byte, 16), good[16:]...)},
	{name: "header: type 77", update: message(77, 1, 2, 3)},
	{name: "UPDATE: attributes beyond the message", update: message(bgpUpdate, 0, 0, 0xff, 0xff, 0x40, 1, 1, 0)},
	{name: "UPDATE: withdrawn routes beyond the message", update: message(bgpUpdate, 0xff, 0xff, 0, 0)},
	{name: "UPDATE: an attribute beyond the attributes", update: update([]byte{0x40, 2, 200, 2, 1})},
	{name: "UPDATE: AS path segment beyond its attribute", update: update(slices.Concat(origin, []byte{0x40, 2, 6, 2, 250, 0, 0, 0xfd, 0xe8}, nextHop), 24, 192, 0, 2)},
	{name: "UPDATE: prefix of 200 bits", update: update(usual, 200, 192, 0, 2)},
	{name: "UPDATE: prefix cut short", update: update(usual, 32, 192)},
	{name: "UPDATE: next hop of one byte", update: update(slices.Concat(origin, asPath, []byte{0x40, 3, 1, 10}), 24, 192, 0, 2)},
	{name: "UPDATE: aggregator of two bytes", update: update(slices.Concat(usual, []byte{0xc0, 7, 2, 0, 1}), 24, 192, 0, 2)},
	{name: "UPDATE: MP_REACH cut short", update: update(slices.Concat(origin, asPath, []byte{0x80, 14, 3, 0, 2, 1}))},
	{name: "UPDATE: MP_REACH with a next hop beyond it", update: update(slices.Concat(origin, asPath, []byte{0x80, 14, 5, 0, 2, 1, 250, 0}))},
	{name: "UPDATE: MP_UNREACH of one byte", update: update([]byte{0x80, 15, 1, 0})},
	{name: "UPDATE: flow specification beyond its attribute", update: update(slices.Concat(origin, asPath, []byte{0x80, 14, 9, 0, 1, 133, 0, 0, 0xf0, 3, 1, 200}))},
	{name: "UPDATE: EVPN route cut short", update: update(slices.Concat(origin, asPath, []byte{0x80, 14, 12, 0, 25, 70, 4, 10, 1, 0, 66, 0, 2, 200}))},
	{name: "UPDATE: BGP-LS attribute of nonsense", update: update(slices.Concat(usual, []byte{0x80, 29, 5, 4, 7, 0xff, 0xff, 0}), 24, 192, 0, 2)},
	{name: "UPDATE: prefix SID of nonsense", update: update(slices.Concat(usual, []byte{0xc0, 40, 4, 1, 0xff, 0xff, 0}), 24, 192, 0, 2)},
	{name: "UPDATE: tunnel encapsulation of nonsense", update: update(slices.Concat(usual, []byte{0xc0, 23, 5, 0, 15, 0xff, 0xff, 1}), 24, 192, 0, 2)},
	{name: "UPDATE: AIGP of one byte", update: update(slices.Concat(usual, []byte{0x80, 26, 1, 1}), 24, 192, 0, 2)},
	{name: "UPDATE: of one byte", update: message(bgpUpdate, 0)},
	{name: "NOTIFICATION: empty", update: message(bgpNotification)},
}

// Whatever a neighbour says, the director's packets keep flowing, and its other
// neighbours hear of its addresses again within seconds at the most.
func TestRogueNeighbor(t *testing.T) {
	const rogues = 8
	machine := lab.Machine{Name: "rogue", Plugs: []lab.Plug{{LAN: "front"}}}
	var addresses []string
	for i := range rogues {
		addresses = append(addresses, fmt.Sprintf("10.1.0.%d", 61+i))
		machine.Plugs[0].Addrs = append(machine.Plugs[0].Addrs, addresses[i]+"/24")
	}
	s := &site{Site: lab.SiteForTest(t, lab.Options{Router: "bird", Servers: 1, Extra: []lab.Machine{machine}})}
	s.lb, s.client = s.Directors[0], s.Clients[0]
	s.lb.Neighbors = append(s.lb.Neighbors, addresses...)
	if _, err := s.Servers[0].Serve(); err != nil {
		t.Fatal(err)
	}
	s.lb.Services = tomls(1, service{name: "echo", vip: s.VIP4, port: lab.EchoPort},
		service{name: "echo-udp", vip: s.VIP4, port: lab.EchoPort, protocol: "udp"})
	var listeners []*net.TCPListener
	for _, a := range addresses {
		l, err := s.Host("rogue").Listen("tcp", a+":179")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		listeners = append(listeners, l.(*net.TCPListener))
	}
	if err := s.lb.Start(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
	s.pin(t)
	pid := s.lb.Process.Pid
	crowd := s.crowd(t, at(s.VIP4, lab.EchoPort), 20)
	probe := s.probe(t)

	var rogue sync.WaitGroup
	for i, l := range listeners {
		rogue.Go(func() {
			for m := i; m < len(malices); m += rogues {
				// Another rogue may have been the speaker's death meanwhile.
				if err := lab.Await(40*time.Second, "the director to hear it", func() error { return malices[m].visit(l) }); err != nil {
					t.Errorf("%s: %v", malices[m].name, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { rogue.Wait(); close(done) }()
	deaths, last := 0, 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
		}
		if now, err := s.lb.Speaker(); err == nil && now != last {
			deaths, last = deaths+1, now
		}
	}
	t.Logf("%d messages, and the speaker died %d times", len(malices), deaths-1)
	if !s.lb.Process.Running() || s.lb.Process.Pid != pid {
		t.Error("the director died")
	}
	s.ready(t)
	lossless(t, probe)
	unbroken(t, crowd)
}

// visit takes the director's next connection and does its worst.
func (m *malice) visit(listener *net.TCPListener) error {
	listener.SetDeadline(time.Now().Add(20 * time.Second))
	c, err := listener.Accept()
	if err != nil {
		return fmt.Errorf("the director does not connect: %w", err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := expect(c, bgpOpen); err != nil {
		return err
	}
	if m.open != nil {
		c.Write(m.open)
		linger(c)
		return nil
	}
	c.Write(good)
	c.Write(message(bgpKeepalive))
	if _, err := expect(c, bgpKeepalive); err != nil {
		return err
	}
	c.Write(m.update)
	linger(c)
	return nil
}

// linger gives the director the time to answer, or to die of what it read.
func linger(c net.Conn) {
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	io.Copy(io.Discard, c)
}

// expect reads messages up to the first of a kind.
func expect(c net.Conn, kind byte) (body []byte, err error) {
	var header [19]byte
	for {
		if _, err := io.ReadFull(c, header[:]); err != nil {
			return nil, fmt.Errorf("waiting for BGP message %d: %w", kind, err)
		}
		body = make([]byte, max(0, int(binary.BigEndian.Uint16(header[16:]))-19))
		if _, err := io.ReadFull(c, body); err != nil {
			return nil, err
		}
		if header[18] == kind {
			return body, nil
		}
		if header[18] == bgpNotification {
			return nil, fmt.Errorf("waiting for BGP message %d: notification %d", kind, body)
		}
	}
}
