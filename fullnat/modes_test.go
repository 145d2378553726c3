package fullnat

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/link/linktest"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
	"fleetlb/session"
)

// modeCrowd opens and establishes sessions of n random clients in one mode and
// returns their packets: from the client, and from the server if it answers here.
func modeCrowd(t testing.TB, mode string, n int) (w *bench, q *treadmill, in, out [][]byte) {
	t.Helper()
	var servers strings.Builder
	w = newBench(t, 1, n)
	for i := range 64 {
		server := netip.AddrFrom4([4]byte{10, 0, 0, byte(11 + i)})
		w.network.Neighbors[1][server] = [6]byte{2, 0, 0, 0, 1, byte(11 + i)}
		w.network.Wanted = append(w.network.Wanted, server)
		fmt.Fprintf(&servers, "%v:443 ", server)
	}
	w.snapshot.Ports = [2]uint16{1024, 65535}
	w.services("vip 203.0.113.80:443 → " + mode + " " + servers.String() + "via 10.9.0.0/28")
	w.settle()
	q = newTreadmill(t)
	w.workers[0].queue = q
	q.load(clients(t, n, 1))
	w.round(q)
	worker := w.workers[0]
	ack := packettest.Frame(t, "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 df seq 1001 ack 5001")
	answer := packettest.Frame(t, "tcp 10.0.0.11:443 > 10.9.0.1:5235 SA ttl 64 seq 5000 ack 1001")
	worker.sessions.Each(0, 1<<30, func(s *session.Session) {
		in = append(in, readdressed(ack, worker.sessions.Face(s, session.Inbound)))
		if face := worker.sessions.Face(s, session.Outbound); face != (packet.Tuple{}) {
			out = append(out, readdressed(answer, face))
		}
	})
	for _, frames := range [][][]byte{out, in} {
		if len(frames) > 0 {
			q.load(frames)
			w.round(q)
		}
	}
	for _, path := range worker.sessions.Paths() {
		if path.Inactive != 0 {
			t.Fatalf("%s: %d sessions of a path are not established", mode, path.Inactive)
		}
	}
	return w, q, in, out
}

var modeWords = []string{"fullnat", "nat", "dr", "tun", "gue0"}

// TestModesAllocate nothing, whichever way a packet goes, in pieces or whole.
func TestModesAllocate(t *testing.T) {
	for _, mode := range modeWords {
		w, q, in, out := modeCrowd(t, mode, 500)
		turn := func() { w.workers[0].turn(w.now) }
		for name, frames := range map[string][][]byte{"inbound": in, "outbound": out} {
			if len(frames) == 0 {
				continue
			}
			q.load(frames)
			turn()
			if n := testing.AllocsPerRun(200, turn); n != 0 {
				t.Errorf("%s, %s: allocates %v times a turn, want 0", mode, name, n)
			}
		}
	}

	w, q, in, _ := modeCrowd(t, "tun", 10)
	var p packet.Packet
	packet.Parse(in[0], false, &p)
	large := packettest.Frame(t, fmt.Sprintf("tcp %v:%d > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001 len 4000", p.Tuple.Src, p.Tuple.SrcPort))
	quoted := packettest.Frame(t, fmt.Sprintf("icmp 10.0.0.254 > 10.0.0.1 no-host ttl 64 ( ipip 10.0.0.1 > %s ttl 60 df ( tcp %v:%d > 203.0.113.80:443 A ttl 63 df cut 100 ) )",
		w.workers[0].sessions.Path(1).Server, p.Tuple.Src, p.Tuple.SrcPort))
	for name, frame := range map[string][]byte{"in fragments": large, "an error about a tunnel": quoted} {
		q.load([][]byte{frame})
		turn := func() { w.now++; w.workers[0].turn(w.now) }
		turn()
		if n := testing.AllocsPerRun(100, turn); n != 0 {
			t.Errorf("%s: allocates %v times a turn, want 0", name, n)
		}
	}
}

// BenchmarkModes is BenchmarkForward for each mode.
func BenchmarkModes(b *testing.B) {
	for _, mode := range modeWords {
		w, q, in, out := modeCrowd(b, mode, 1000)
		for _, bb := range []struct {
			name   string
			frames [][]byte
		}{{"inbound", in}, {"outbound", out}} {
			if len(bb.frames) == 0 {
				continue
			}
			q.load(bb.frames)
			w.verdictsSince()
			b.Run(mode+"/"+bb.name, func(b *testing.B) {
				measure(b, func() int { return w.workers[0].turn(w.now) })
			})
			if got := w.verdictsSince(); strings.Contains(got, " ") {
				b.Errorf("verdicts %s", got)
			}
		}
	}
}

// FuzzModes gives a worker with sessions of all modes but FULLNAT any frame,
// super-packets too. It never panics and holds no frame but those it has parked;
// what it sends is sound; and what leaves for a server is what came, but for a
// hop and, by NAT, its destination.
func FuzzModes(f *testing.F) {
	for _, line := range []string{
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1001 ack 5001 len 99",
		"eth1 tcp 10.0.0.11:8443 > 198.51.100.7:4711 PA ttl 64 seq 5001 ack 1001 len 99",
		"eth1 icmp 10.0.0.254 > 198.51.100.7 too-big ttl 64 mtu 1300 ( tcp 198.51.100.7:4711 > 10.0.0.11:8443 A ttl 62 df seq 1001 ack 5001 len 1360 cut 8 )",
		"eth1 frag 10.0.0.11 > 198.51.100.7 proto 6 ttl 64 id 9 off 1376 len 632",
		"tcp 198.51.100.7:4711 > 203.0.113.81:443 PA ttl 64 seq 1001 ack 5001 len 99",
		"tcp 198.51.100.7:4711 > 203.0.113.82:443 PA ttl 64 df seq 1001 ack 5001 len 3000 partial",
		"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 2000",
		"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 PA ttl 64 ext 60 seq 1001 ack 5001 len 99",
		"tcp [2001:db8:7::7]:4711 > [2001:db8::81]:443 PA ttl 64 seq 1001 ack 5001 len 1250",
		"eth1 icmp 10.0.0.254 > 10.0.0.1 too-big ttl 64 mtu 1400 ( ipip 10.0.0.1 > 10.0.0.13 ttl 60 df ( tcp 198.51.100.7:4711 > 203.0.113.82:443 A ttl 63 df seq 1001 ack 5001 len 1440 cut 500 ) )",
		"eth1 icmp fd00::fe > fd00::1 no-port ttl 64 ( gue1 [fd00::1]:62213 > [fd00::12]:6080 ttl 64 ( tcp [2001:db8:7::7]:4711 > [2001:db8::81]:443 A ttl 63 len 33 ) )",
	} {
		seed := frameOf(f, line)
		f.Add(seed.Bytes, seed.Port == 1, seed.Offload.NeedsChecksum(), uint16(0), uint16(1500))
		f.Add(seed.Bytes, seed.Port == 1, true, uint16(700), uint16(1300))
	}
	f.Fuzz(func(t *testing.T, frame []byte, servers, partial bool, segment, mtu uint16) {
		if len(frame) > 65000 {
			return
		}
		mendIPv4(frame)
		w := newTestWorker(t,
			"vip 203.0.113.80:443 → nat 10.0.0.11:8443",
			"vip 203.0.113.81:443 → dr 10.0.0.12:443",
			"vip 203.0.113.82:443 → tun 10.0.0.13:443",
			"udp 203.0.113.53:53 → gue0 10.0.0.13:53",
			"vip [2001:db8::80]:443 → tun 10.0.0.14:443",
			"vip [2001:db8::81]:443 → gue1 [fd00::12]:443")
		w.workers[0].report = func(panicked any) { t.Fatalf("panic: %v", panicked) }
		w.network.Ports[1].MTU = 1280 + int(mtu%300)
		w.publish()
		for _, vip := range []string{"203.0.113.80", "203.0.113.81", "203.0.113.82"} {
			w.inject("tcp 198.51.100.7:4711 > " + vip + ":443 S ttl 64 seq 1000")
		}
		w.inject("tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64 seq 1000", "tcp [2001:db8:7::7]:4711 > [2001:db8::81]:443 S ttl 64 seq 1000")
		w.settle()
		w.frames()
		w.verdictsSince()

		in := linktest.Frame{Bytes: frame}
		if servers {
			in.Port = 1
		}
		var was packet.Packet
		fault := packet.Parse(frame, partial, &was)
		if partial {
			in.Offload = link.OwedChecksum(34, 16)
			if fault == packet.None && was.Segments() && segment > 0 {
				in.Offload = link.OwedChecksum(was.L4, was.ChecksumAt()-was.L4)
				in.Offload.GSOType = map[uint8]uint8{packet.TCP: 1, packet.UDP: 5}[was.Tuple.Protocol]
				in.Offload.GSOSize = segment
			}
		}
		copied := bytes.Clone(was.Frame)
		w.queues[0].InjectFrame(in)
		w.settle()
		w.conserved("frame")
		verdicts := w.verdictsSince()
		for _, out := range w.frames() {
			checkMode(t, &was, copied, &in, out, verdicts)
		}
		w.now += fragmentTimeout
		w.settle()
		if held := w.queues[0].Held(); held != 0 {
			t.Errorf("holds %d frames in the end", held)
		}
	})
}

// checkMode looks at one frame that a worker sent for another.
func checkMode(t *testing.T, was *packet.Packet, frame []byte, in *linktest.Frame, out linktest.Frame, verdicts string) {
	t.Helper()
	var p packet.Packet
	if fault := packet.Parse(out.Bytes, out.Offload.NeedsChecksum(), &p); fault != packet.None {
		t.Fatalf("%s sent %x: %v", verdicts, out.Bytes, fault)
	}
	if out.Offload.NeedsChecksum() && !in.Offload.NeedsChecksum() {
		t.Errorf("a checksum is owed that was not: %s", packettest.Print(out.Bytes))
	}
	if verdicts != "forwarded" || was.Kind == packet.Error || in.Offload.GSO() {
		return
	}
	inner := out.Bytes
	switch p.Tuple.Protocol {
	case packet.IPv4InIP, packet.IPv6InIP:
		inner = out.Bytes[p.L4:]
	case packet.UDP:
		if p.Tuple.DstPort == 6080 {
			inner = out.Bytes[p.L4+8:]
			if inner[0] == 0 {
				inner = inner[4:]
			}
		}
	}
	if len(inner) < len(out.Bytes) { // what is inside is what came, a hop later
		if want := frame[was.L4:]; !bytes.HasSuffix(inner, want) || len(inner) != len(frame)-was.L3 {
			t.Errorf("%s\nis inside as %x", packettest.Print(frame), inner)
		}
		return
	}
	if was.Tuple.Dst == addr("203.0.113.81") && !bytes.Equal(frame[was.L4:], out.Bytes[p.L4:]) {
		t.Errorf("%s\nwas sent as %s", packettest.Print(frame), packettest.Print(out.Bytes))
	}
	if was.Kind != packet.Fragment && p.Kind != packet.Fragment {
		if got, want := deviation(&p), deviationOf(frame, in); got != want {
			t.Errorf("the checksum was off by %#x and is by %#x: %s\nsent as %s", want, got, packettest.Print(frame), packettest.Print(out.Bytes))
		}
	}
}

func deviationOf(frame []byte, in *linktest.Frame) int {
	var p packet.Packet
	packet.Parse(bytes.Clone(frame), in.Offload.NeedsChecksum(), &p)
	return deviation(&p)
}
