package offload

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"time"
	"unsafe"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
	"fleetlb/session"
)

var ourMAC = [6]byte{2, 0, 0, 0, 0, 1}

// newTestTable makes a table with one hop, back by port 0, and a program.
func newTestTable(t testing.TB, flows int) (*Table, *Program) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs BPF: run as root")
	}
	table, err := NewTable(Capacity{Flows: flows, Hops: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	p, err := table.Load(0, ourMAC, Never, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if err := table.SetPort(0, 1); err != nil { // the loopback interface: nothing is sent there
		t.Fatal(err)
	}
	table.SetHop(1, Hop{MTU: 1500, Src: ourMAC, Dst: [6]byte{2, 0, 0, 0, 0, 9}}, true)
	table.Renew(7, time.Hour)
	return table, p
}

// flowNumber returns a flow of its own for each number, every third of IPv6.
func flowNumber(table *Table, n uint32) *Flow {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	address := func() (a packet.Addr) {
		a = packet.Addr{10: 0xff, 11: 0xff}
		if n%3 == 0 {
			binary.BigEndian.PutUint64(a[:], 0x20010db8<<32|uint64(r.Uint32()))
			binary.BigEndian.PutUint64(a[8:], r.Uint64())
		} else {
			binary.BigEndian.PutUint32(a[12:], 10<<24|r.Uint32()>>8)
		}
		return a
	}
	client, vip, local, server := address(), address(), address(), address()
	return &Flow{
		Client: packet.Tuple{Src: client, Dst: vip, SrcPort: uint16(r.Uint32()), DstPort: 443, Protocol: packet.UDP},
		Server: packet.Tuple{Src: server, Dst: local, SrcPort: 8443, DstPort: uint16(r.Uint32()), Protocol: packet.UDP},
		Hops:   [2]HopRef{table.Ref(1), table.Ref(1)},
	}
}

// frame is a packet of a tuple.
func frame(t testing.TB, tuple packet.Tuple) []byte {
	line := "udp 192.0.2.1:1 > 192.0.2.2:2 ttl 64 len 9"
	if !tuple.Src.Is4() {
		line = "udp [2001:db8::1]:1 > [2001:db8::2]:2 ttl 64 len 9"
	}
	b := packettest.Frame(t, line)
	copy(b, ourMAC[:])
	var p packet.Packet
	packet.Parse(b, false, &p)
	p.Rewrite(tuple.Src, tuple.Dst, tuple.SrcPort, tuple.DstPort)
	return b
}

// ask returns what the program says of the packets of a flow.
func ask(t testing.TB, p *Program, f *Flow) (in, out Verdict) {
	t.Helper()
	in, _, err := p.Run(frame(t, f.Client))
	if err != nil {
		t.Fatal(err)
	}
	if out, _, err = p.Run(frame(t, f.Server)); err != nil {
		t.Fatal(err)
	}
	return in, out
}

// The layout in Go is that of flows.c.
func TestLayout(t *testing.T) {
	spec, err := loadFlows()
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]uintptr{
		flowsMapBuckets: unsafe.Sizeof(bucket{}), flowsMapFaces: unsafe.Sizeof(face{}), flowsMapEndsOf: unsafe.Sizeof(ends{}),
		flowsMapHops: unsafe.Sizeof(hopWords{}), flowsMapControl: unsafe.Sizeof(control{}),
	} {
		if got := spec.Maps[name].ValueSize; got != uint32(size) {
			t.Errorf("%s: %d bytes in C, %d in Go", name, got, size)
		}
	}
	for what, n := range map[string]uintptr{"face": unsafe.Sizeof(face{}), "outer header": unsafe.Sizeof(outer{}), "bucket": unsafe.Sizeof(bucket{})} {
		if n != 64 {
			t.Errorf("%s: %d bytes long, not a cache line", what, n)
		}
	}
}

// Every flow is found until it is dropped, by nobody else's number, and its
// number is good again after a grace period.
func TestTable(t *testing.T) {
	const n = 2000
	table, p := newTestTable(t, 4*n)
	for i := uint32(1); i <= n; i++ {
		if !table.Lift(i, flowNumber(table, i)) {
			t.Fatalf("flow %d of %d finds no room", i, n)
		}
	}
	for d, f := range table.facesOf(1) { // what is read ahead for an answer is what that wants
		is := table.tuple(1, session.Direction(1-d))
		if want := table.bucket(hash(table.seed, &is)); f.answer != want {
			t.Errorf("face %d: its answer is looked for in bucket %d, not %d", d, f.answer, want)
		}
	}
	for i := uint32(1); i <= n; i++ {
		if in, out := ask(t, p, flowNumber(table, i)); in != Back || out != Back {
			t.Fatalf("flow %d: %d, %d", i, in, out)
		}
		if s := table.Read(i, 0); s.Packets != 1 || s.Used != 7 || table.Read(i, 0).Packets != 0 {
			t.Fatalf("flow %d has carried %+v", i, s)
		}
	}
	for i := uint32(2); i <= n; i += 2 {
		table.Drop(i)
	}
	if table.Free(2) && table.Free(4) && table.Free(6) {
		t.Error("numbers are free at once")
	}
	for i := uint32(1); i <= n; i++ {
		want := Up
		if i%2 == 1 {
			want = Back
		}
		if in, out := ask(t, p, flowNumber(table, i)); in != want || out != want {
			t.Fatalf("flow %d: %d, %d, want %d", i, in, out, want)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); !table.Free(2); {
		if time.Now().After(deadline) {
			t.Fatal("a number does not become free")
		}
		time.Sleep(time.Millisecond)
	}
	table.Lift(2, flowNumber(table, n+2))
	if in, _ := ask(t, p, flowNumber(table, n+2)); in != Back {
		t.Error("a number used again is not found")
	}
	if table.Lifted() != n/2+1 {
		t.Errorf("%d lifted, want %d", table.Lifted(), n/2+1)
	}
}

// A full table has found room for all but a few in a thousand, and their packets
// find them.
func TestTableFull(t *testing.T) {
	const n = 1 << 15
	table, p := newTestTable(t, n)
	refused := 0
	for i := uint32(1); i <= n; i++ {
		f := flowNumber(table, i)
		want := Back
		if !table.Lift(i, f) {
			refused++
			want = Up
		}
		if i%8 != 0 && want == Back {
			continue
		}
		if in, out := ask(t, p, f); in != want || out != want {
			t.Fatalf("flow %d: %d, %d, want %d", i, in, out, want)
		}
	}
	if refused > n/200 {
		t.Errorf("%d of %d found no room", refused, n)
	}
	t.Logf("%d of %d found no room", refused, n)
}

// A hop that comes to be another's is not followed; one that moves is.
func TestHop(t *testing.T) {
	table, p := newTestTable(t, 8)
	f := flowNumber(table, 1)
	table.Lift(1, f)
	moved := [6]byte{2, 0, 0, 0, 0, 0x77}
	table.SetHop(1, Hop{MTU: 1500, Src: ourMAC, Dst: moved}, false)
	if v, out, _ := p.Run(frame(t, f.Client)); v != Back || [6]byte(out) != moved {
		t.Errorf("verdict %d, to %x", v, out[:6])
	}
	table.SetHop(1, Hop{MTU: 1500, Src: ourMAC, Dst: moved}, true)
	if in, _ := ask(t, p, f); in != Up {
		t.Error("sent to somebody else")
	}
	table.Redirect(1, 0, table.Ref(1))
	if in, out := ask(t, p, f); in != Back || out != Up {
		t.Errorf("redirected one way: %d, %d", in, out)
	}
	table.SetPort(0, 0)
	if in, _ := ask(t, p, f); in != Up {
		t.Error("sent to a port that cannot be used")
	}
}
