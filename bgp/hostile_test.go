package bgp_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"fleetlb/bgp"
	"fleetlb/bgp/bgptest"
)

// hostile is what a router sends that is broken, compromised or passes on what
// others sent it: once, after the OPENs or instead of one.
type hostile struct {
	name    string
	instead bool // of our OPEN
	message []byte
}

var messages = []hostile{
	// These kill the version of GoBGP that this module pins.
	{"a message of type 99", false, message(99, "de ad")},
	{"flow specification of no sense", false, update("80 0e 0c 00 01 85 00 00 06 03 ff ff ff ff ff", "")},
	// What advisories for GoBGP describe.
	{"AS4_PATH before AS_PATH, of one byte (CVE-2026-41643)", false, update("40 11 01 02  40 02 04 ff ff de ad", "")},
	{"NEXT_HOP of three bytes (CVE-2026-30405)", false, update("40 01 01 00  40 02 06 02 01 00 00 fd e8  40 03 03 7f 00 00", "18 c6 33 64")},
	{"attributes longer than they say, with reachable IPv6 (CVE-2026-42285)", false, update("80 0e 0a 00 02 01 04 01 02 03 04 00 40  40 01 02 00 00", "")},
	{"ORIGIN that is not transitive", false, update("00 01 01 00  40 02 06 02 01 00 00 fd e8  40 03 04 7f 00 00 01", "18 c6 33 64")},
	{"lengths that leave less than nothing (CVE-2026-37462)", false, message(2, "00 05 18 c6 33 64 ff ff")},
	{"IPv6 extended communities cut short (CVE-2026-37461)", false, update("40 01 01 00  c0 19 0b 00 02 20 01 0d b8 00 00 00 00 00", "")},
	{"a software version longer than its capability (CVE-2023-46565)", true, open("4b 07 0a 00 00 00 00 00 00")},
	{"a software version of no length (CVE-2025-43971)", true, open("4b 01 00")},
	// Each part of a message with a wrong length.
	{"an AS path cut short", false, update("40 01 01 00  40 02 04 02 0a fd e8  40 03 04 7f 00 00 01", "18 c6 33 64")},
	{"attributes past the end", false, message(2, "00 00 ff ff 40 01 01 00")},
	{"withdrawn routes past the end", false, message(2, "ff ff 00 00")},
	{"a prefix of 255 bits", false, update("40 01 01 00  40 02 06 02 01 00 00 fd e8  40 03 04 7f 00 00 01", "ff c6 33 64 00")},
	{"reachable IPv6 with a next hop of 255 bytes", false, update("80 0e 06 00 02 01 ff 20 01", "")},
	{"reachable IPv6 that ends in its family", false, update("80 0e 02 00 02", "")},
	{"unreachable IPv6 of two bytes", false, update("80 0f 02 00 02", "")},
	{"an attribute that says it is 64 kB long", false, update("50 02 ff ff", "")},
	{"route refresh of one byte", false, message(5, "00")},
	{"notification of no bytes", false, message(3, "")},
	{"keepalive with a body", false, message(4, "de ad be ef")},
	{"a header of length 18", false, header(18, 4)},
	{"a header of length 0", false, header(0, 2)},
	{"a header of length 65535", false, header(65535, 2)},
	{"a marker of zeros", false, make([]byte, 19)},
	{"an OPEN of one byte", true, message(1, "04")},
	{"an OPEN whose options end early", true, message(1, "04 fd e8 00 09 7f 00 00 01 0f 02 0d 02 01 04 00 01 00 01 41 04 00 00 fd e9")},
	{"an OPEN with a capability of 255 bytes", true, open("41 ff 00 00 fd e8")},
	{"an OPEN with capabilities of no bytes", true, open("01 00 02 00 41 00 40 00 45 00 05 00 49 00 49 01 ff 47 00")},
	{"an UPDATE instead of an OPEN", true, update("40 01 01 00", "")},
}

func header(length int, kind byte) []byte {
	h := bytes.Repeat([]byte{0xff}, 19)
	binary.BigEndian.PutUint16(h[16:], uint16(length))
	h[18] = kind
	return h
}

func message(kind byte, body string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(body, " ", ""))
	if err != nil {
		panic(err)
	}
	return append(header(19+len(b), kind), b...)
}

// update is an UPDATE that withdraws nothing.
func update(attributes, prefixes string) []byte {
	a := message(2, attributes)[19:]
	body := binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(len(a)))
	return message(2, hex.EncodeToString(append(body, a...))+prefixes)
}

// open is an OPEN of theirASN with the capabilities given beside its ASN.
func open(capabilities string) []byte {
	c := message(1, "01 04 00 01 00 01  01 04 00 02 00 01  41 04 00 00 fd e8"+capabilities)[19:]
	return message(1, "04 fd e8 00 5a 7f 00 00 01"+hex.EncodeToString([]byte{byte(len(c) + 2), 2, byte(len(c))})+hex.EncodeToString(c))
}

// attack lets one connection in, sends the message on it, and listens no more.
func attack(t *testing.T, at netip.AddrPort, h hostile, done chan<- struct{}) {
	defer func() { done <- struct{}{} }()
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Error(err)
		return
	}
	defer l.Close()
	for {
		c, err := l.Accept()
		if err != nil {
			t.Errorf("%s: %v", h.name, err)
			return
		}
		sent := talk(c, h)
		c.Close()
		if sent {
			return
		}
	}
}

// talk says what h says and reports whether the other side was there to hear
// it: it may have died of another's message.
func talk(c net.Conn, h hostile) bool {
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if h.instead {
		_, err := c.Write(h.message)
		io.Copy(io.Discard, io.LimitReader(c, 1<<20))
		return err == nil
	}
	c.Write(open(""))
	c.Write(message(4, ""))
	for kind := byte(0); kind != 4; { // its KEEPALIVE ends the opening
		head := make([]byte, 19)
		if _, err := io.ReadFull(c, head); err != nil {
			return false
		}
		if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint16(head[16:]))-19); err != nil {
			return false
		}
		kind = head[18]
	}
	if _, err := c.Write(h.message); err != nil {
		return false
	}
	c.SetReadDeadline(time.Now().Add(time.Second)) // for the answer, if it is not a death
	io.Copy(io.Discard, io.LimitReader(c, 1<<20))
	return true
}

// Whatever one neighbour sends, the speaker goes on and the others have the
// routes in the end.
func TestHostileMessages(t *testing.T) {
	t.Parallel()
	good := newPair()
	peer := good.start(t, bgptest.Neighbor{})
	c := config(good.neighbor())
	done := make(chan struct{}, len(messages))
	for _, h := range messages {
		p := newPair()
		c.Neighbors = append(c.Neighbors, p.neighbor())
		go attack(t, netip.AddrPortFrom(p.router, p.port), h, done)
	}
	s := start(t, c)
	announce(t, s, bgp.Route{Prefix: vip4})
	ctx := within(t, 2*time.Minute)
	for range messages {
		select {
		case <-done:
		case <-ctx.Done():
			t.Fatal("not every message was delivered")
		}
	}
	before := peer.State().Session(good.director).Count
	announce(t, s, bgp.Route{Prefix: vip4}, bgp.Route{Prefix: vip4b})
	if _, err := peer.WaitRoute(ctx, vip4b, 1); err != nil {
		t.Fatal(err)
	}
	p := s.Process()
	t.Logf("%d messages, %d restarts, the good neighbour's session came up %d times, last exit: %s", len(messages), p.Restarts, before, p.LastExit)
	if p.Restarts == 0 {
		t.Error("no message killed the child: what is its process for?")
	}
	if got := len(peer.State().Routes); got != 2 {
		t.Errorf("the good neighbour knows %d routes", got)
	}
}

// What a router announces to us goes nowhere.
func TestNothingIsLearned(t *testing.T) {
	t.Parallel()
	teacher, other := newPair(), newPair()
	peer := other.start(t, bgptest.Neighbor{})
	valid := hostile{"a valid route", false, update("40 01 01 00  40 02 06 02 01 00 00 fd e8  40 03 04 c0 00 02 01", "18 c6 33 64")}
	done := make(chan struct{}, 1)
	go attack(t, netip.AddrPortFrom(teacher.router, teacher.port), valid, done)
	s := start(t, config(teacher.neighbor(), other.neighbor()))
	if err := peer.WaitSession(within(t, 30*time.Second), other.director, true); err != nil {
		t.Fatal(err)
	}
	<-done
	announce(t, s, bgp.Route{Prefix: vip4}) // would come after what it learned
	if _, err := peer.WaitRoute(within(t, 30*time.Second), vip4, 1); err != nil {
		t.Fatal(err)
	}
	if got := peer.State().Routes; len(got) != 1 {
		t.Errorf("the router knows %v", got)
	}
}
