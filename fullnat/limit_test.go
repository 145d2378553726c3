package fullnat

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/link/linktest"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

// TestTransmitFull lets the interface take less than there is to send.
func TestTransmitFull(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	ack := "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001"
	for range 10 {
		w.inject(ack)
	}
	w.queues[0].Room(4)
	w.settle()
	if got, want := w.verdictsSince(), "forwarded×10 tx_full×6"; got != want {
		t.Errorf("verdicts %s, want %s", got, want)
	}
	if n := len(w.frames()); n != 4 {
		t.Errorf("sent %d frames", n)
	}
	w.conserved("a full ring")
	w.queues[0].Room(-1)
	w.converse([]row{{"room again", ack, "tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001", "forwarded"}})
}

// A scrambler sends in an order of its own, as a queue may that has several
// interfaces: it takes every other frame and puts those it refuses last.
type scrambler struct{ *linktest.Queue }

func (q scrambler) Send(frames []*link.Frame) int {
	var taken, refused []*link.Frame
	for i, f := range frames {
		if i%2 == 1 {
			taken = append(taken, f)
		} else {
			refused = append(refused, f)
		}
	}
	copy(frames, append(taken, refused...))
	return q.Queue.Send(frames[:len(taken)])
}

func TestSendReorders(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	w.workers[0].queue = scrambler{w.queues[0]}
	for i := range 6 {
		w.inject(fmt.Sprintf("tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq %d ack 5001", i))
	}
	w.settle()
	var seqs []string
	for line := range strings.SplitSeq(w.sent(), "\n") {
		seqs = append(seqs, strings.Fields(line)[8])
	}
	if got, want := strings.Join(seqs, " "), "1 3 5"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	if got, want := w.verdictsSince(), "forwarded×6 tx_full×3"; got != want {
		t.Errorf("verdicts %s, want %s", got, want)
	}
	w.conserved("a queue that reorders")
}

// TestPoolExhausted leaves the worker no frame to make a packet in.
func TestPoolExhausted(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1", "udp 203.0.113.53:53 → 10.0.0.11:5353")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	taken := make([]*link.Frame, benchFrames-1)
	w.queues[0].Alloc(taken)
	w.network.Ports[1].MTU = 1400
	w.publish()

	send := func(line string) string {
		t.Helper()
		w.inject(line)
		w.settle()
		w.sent()
		return w.verdictsSince()
	}
	if got := send("tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001"); got != "forwarded" {
		t.Errorf("a packet that needs no other frame: %s", got)
	}
	if got := send("udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 1450"); got != "no_frame" {
		t.Errorf("a packet to be cut: %s", got)
	}
	w.queues[0].Free(taken[:1])
	taken = taken[1:]
	if got := send("udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 2900"); got != "cut" {
		t.Errorf("a packet to be cut, one frame left, to be used again: %s", got)
	}
	more := make([]*link.Frame, 2)
	n := w.queues[0].Alloc(more)
	w.services("vip 192.0.2.80:443 → !10.0.0.11:8443")
	w.pass(tickLength)
	if got := w.verdictsSince(); got != "no_frame" {
		t.Errorf("an announcement: %s", got)
	}
	w.services("vip 192.0.2.80:443 → !10.0.0.11:8443", "vip 203.0.113.80:443 → !10.0.0.11:8443")
	w.settle()
	if got := w.verdictsSince(); got != "no_frame×2" {
		t.Errorf("two resets: %s", got)
	}
	w.queues[0].Free(append(taken, more[:n]...))
	w.conserved("all given back")
}

// TestHandedNoFrame has no frame for what another worker hands over.
func TestHandedNoFrame(t *testing.T) {
	w := newTestWorkers(t, 2, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	owner := w.worker(packet.TCP, "198.51.100.7", 4711)
	taken := make([]*link.Frame, benchFrames)
	n := w.queues[owner].Alloc(taken)
	w.injectAt(1-owner, "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64")
	w.settle()
	w.queues[owner].Free(taken[:n])
	w.expect("dropped", "", "handed_over no_frame")
}

// TestDefect lets a packet bring about a panic. It is lost and nothing else.
func TestDefect(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	reported := 0
	worker := w.workers[0]
	worker.report = func(any) { reported++ }
	worker.want = func(a packet.Addr) { panic("nobody wants " + a.String()) }
	w.services("vip 203.0.113.80:443 → 10.0.0.11:8443 10.0.0.20:8443") // whose station is not known
	ack := "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001"
	w.inject(ack, "tcp 198.51.100.8:4711 > 203.0.113.80:443 S ttl 64",
		ack, "tcp 198.51.100.8:4712 > 203.0.113.80:443 S ttl 64", ack)
	w.settle()
	got := w.verdictsSince()
	if got != "forwarded×4 defect" || reported != 1 {
		t.Errorf("verdicts %s, reported %d times", got, reported)
	}
	if n := len(w.frames()); n != 4 {
		t.Errorf("sent %d frames", n)
	}
	w.conserved("a panic")

	// The same while the batch is still being parsed.
	worker.batch.n, worker.batch.parsed, worker.batch.at = worker.queue.Alloc(worker.batch.frames[:2]), 0, 0
	func() {
		defer worker.survive()
		panic("Parse")
	}()
	worker.carryRest(w.now)
	worker.flush()
	w.expect("a panic while parsing", "", "defect too_short")

	var log strings.Builder
	w.Plane.log = slog.New(slog.NewTextHandler(&log, nil))
	w.report("first")
	w.report("second")
	if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "panic=first") || !strings.Contains(s, "limit_test.go") {
		t.Errorf("logged %s", s)
	}
}

// TestHousekeepingPanics does not hide that the worker itself is broken.
func TestHousekeepingPanics(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.workers[0].sessions = nil
	defer func() {
		if recover() == nil {
			t.Error("a worker without sessions goes on")
		}
	}()
	w.pass(tickLength)
}

// TestMalformed names what is wrong with each frame and sends none of them on.
func TestMalformed(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1",
		"udp 203.0.113.53:53 → 10.0.0.11:5353",
		"vip [2001:db8::80]:443 → [fd00::11]:8443 via 2001:db8:9::1")
	const (
		tcp4 = "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64"
		udp4 = "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 9"
		tcp6 = "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64"
	)
	set := func(at int, b ...byte) func([]byte) []byte {
		return func(f []byte) []byte { copy(f[at:], b); return f }
	}
	cut := func(n int) func([]byte) []byte { return func(f []byte) []byte { return f[:n] } }
	for _, tt := range []struct {
		name, line string
		spoil      func([]byte) []byte
		want       string
	}{
		{"nothing", tcp4, cut(0), "too_short"},
		{"half an Ethernet header", tcp4, cut(13), "too_short"},
		{"half an IPv4 header", tcp4, cut(33), "too_short"},
		{"half an IPv6 header", tcp6, cut(50), "too_short"},
		{"a VLAN tag", tcp4, set(12, 0x81, 0x00), "not_ip"},
		{"IPv6 that says it is IPv4", tcp6, set(14, 0x40), "bad_version"},
		{"IPv4 that says it is IPv6", tcp4, set(14, 0x65), "bad_version"},
		{"a header of 16 bytes", tcp4, set(14, 0x44), "bad_ihl"},
		{"longer than the frame", tcp4, set(16, 0xff, 0xff), "bad_length"},
		{"shorter than its header", tcp4, set(16, 0, 19), "bad_length"},
		{"IPv6, longer than the frame", tcp6, set(18, 0xff, 0xff), "bad_length"},
		{"a wrong header checksum", tcp4 + " bad-ip-sum", nil, "bad_checksum"},
		{"an option of no length", tcp4 + " ipopt 9400", nil, "bad_options"},
		{"a source route", tcp4 + " ipopt 830704c0000201", nil, "source_route"},
		{"half a TCP header", tcp4, func(f []byte) []byte { return shorten(f, 19) }, "too_short"},
		{"a TCP header of 16 bytes", tcp4, set(46, 0x40), "bad_tcp_offset"},
		{"a TCP header of 60 bytes", tcp4, set(46, 0xf0), "bad_tcp_offset"},
		{"half a UDP header", udp4, func(f []byte) []byte { return shorten(f, 7) }, "too_short"},
		{"a UDP length of 7", udp4, set(38, 0, 7), "bad_udp_length"},
		{"a UDP length beyond the packet", udp4, set(38, 0, 99), "bad_udp_length"},
		{"from a multicast address", "tcp 224.0.0.1:4711 > 203.0.113.80:443 S ttl 64", nil, "martian"},
		{"from everybody", "tcp 255.255.255.255:4711 > 203.0.113.80:443 S ttl 64", nil, "martian"},
		{"from nobody", "tcp 0.0.0.0:4711 > 203.0.113.80:443 S ttl 64", nil, "martian"},
		{"from itself", "tcp 127.0.0.1:4711 > 203.0.113.80:443 S ttl 64", nil, "martian"},
		{"LAND", "tcp 203.0.113.80:443 > 203.0.113.80:443 S ttl 64", nil, "land"},
		{"LAND, IPv6", "tcp [2001:db8::80]:443 > [2001:db8::80]:443 S ttl 64", nil, "land"},
		{"too many extension headers", tcp6 + " ext 60 ext 60 ext 60 ext 60 ext 60 ext 60 ext 60", nil, "extension_headers"},
		{"hop-by-hop options in the middle", tcp6 + " ext 60 ext 0", nil, "extension_headers"},
		{"an empty fragment", "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 1 off 80 len 0", nil, "bad_fragment"},
		{"an uneven fragment", "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 1 off 80 more len 9", nil, "bad_fragment"},
		{"a ping of death", "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 1 off 65528 len 100", nil, "bad_fragment"},
		{"an error that quotes nothing", "icmp 198.51.100.1 > 203.0.113.80 no-host ttl 60 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 cut 0 )", nil, "bad_quote"},
		{"ARP of another kind", "arp who-has 192.0.2.80 tell 192.0.2.7", set(14, 0, 6), "bad_arp"},
		{"ARP that does neither ask nor answer", "arp who-has 192.0.2.80 tell 192.0.2.7", set(20, 0, 9), "bad_arp"},
	} {
		frame := packettest.Frame(t, tt.line)
		if tt.spoil != nil {
			frame = tt.spoil(frame)
		}
		w.queues[0].Inject(0, frame)
		w.settle()
		w.expect(tt.name, "", tt.want)
	}
	if s := w.sessionsNow(); len(s) != 0 {
		t.Errorf("sessions %v", s)
	}
}

// shorten leaves n bytes behind the IPv4 header, which tells so.
func shorten(frame []byte, n int) []byte {
	frame = frame[:34+n]
	frame[16], frame[17] = 0, byte(20+n)
	frame[24], frame[25] = 0, 0
	sum := 0
	for i := 14; i < 34; i += 2 {
		sum += int(frame[i])<<8 | int(frame[i+1])
	}
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	frame[24], frame[25] = byte(^sum>>8), byte(^sum)
	return frame
}
