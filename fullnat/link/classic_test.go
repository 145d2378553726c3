package link

import (
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"fleetlb/fullnat/internal/nettest"
)

// TestClassicFilter runs what follows the filter's look at the frame's type and
// tag, which only the kernel can answer.
func TestClassicFilter(t *testing.T) {
	raw, err := classicFilter(testOurs)
	if err != nil {
		t.Fatal(err)
	}
	prog, _ := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(prog[6:])
	if err != nil {
		t.Fatal(err)
	}
	arp := make([]byte, 60)
	arp[12], arp[13] = 0x08, 0x06
	discovery := func(kind byte) []byte {
		b := sketch{src: "fe80::1", dst: "ff02::1:ff00:80", protocol: 58}.frame()
		b[54] = kind
		return b
	}
	tests := []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"TCP to a VIP", sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame(), true},
		{"next to the VIPs", sketch{src: "198.51.100.7", dst: "203.0.114.80", protocol: 6}.frame(), false},
		{"UDP to a local address", sketch{src: "10.0.0.11", dst: "10.9.0.15", protocol: 17}.frame(), true},
		{"next to the local addresses", sketch{src: "10.0.0.11", dst: "10.9.0.16", protocol: 17}.frame(), false},
		{"IPv6 to a VIP", sketch{src: "2001:db8::7", dst: "2001:db8:1::80", protocol: 6}.frame(), true},
		{"IPv6 next to the VIPs", sketch{src: "2001:db8::7", dst: "2001:db8:1:1::80", protocol: 6}.frame(), false},
		{"IPv6 to a local address", sketch{src: "2001:db8::7", dst: "2001:db8:2::f", protocol: 17}.frame(), true},
		{"IPv6 next to the local addresses", sketch{src: "2001:db8::7", dst: "2001:db8:2::10", protocol: 17}.frame(), false},
		{"ICMPv6 to a VIP", sketch{src: "2001:db8::7", dst: "2001:db8:1::80", protocol: 58}.frame(), true},
		{"a gated server's answer", sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 6, srcPort: 8080}.frame(), true},
		{"over IPv6", sketch{src: "2001:db8:3::21", dst: "2001:db8::7", protocol: 6, srcPort: 8080}.frame(), true},
		{"from another server", sketch{src: "10.0.0.31", dst: "198.51.100.7", protocol: 6, srcPort: 8080}.frame(), false},
		{"ICMP, for what it may quote", sketch{src: "10.0.0.1", dst: "192.0.2.1", protocol: 1}.frame(), true},
		{"ICMPv6", sketch{src: "2001:db8:3::1", dst: "2001:db8:5::1", protocol: 58}.frame(), true},
		{"ARP", arp, true},
		{"neighbour solicitation", discovery(135), true},
		{"neighbour advertisement", discovery(136), true},
		{"another protocol", append(make([]byte, 12), 0x88, 0xcc, 1, 2), false},
		{"cut off", arp[:13], false},
	}
	for _, tt := range tests {
		n, err := vm.Run(tt.frame)
		if err != nil {
			t.Fatal(err)
		}
		if got := n > 0; got != tt.want {
			t.Errorf("%s: let in: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestClassicFilterPlain lets no other ICMP in where no server makes it ours.
func TestClassicFilterPlain(t *testing.T) {
	raw, err := classicFilter(Ours{VIPs: testVIPs, Locals: testLocals})
	if err != nil {
		t.Fatal(err)
	}
	prog, _ := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(prog[6:])
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[byte]int{134: 0, 135: 1 << 30, 136: 1 << 30, 137: 0} {
		b := sketch{src: "fe80::1", dst: "ff02::1:ff00:80", protocol: 58}.frame()
		b[54] = kind
		if n, err := vm.Run(b); err != nil || n != want {
			t.Errorf("ICMPv6 of type %d: %d bytes let in, want %d: %v", kind, n, want, err)
		}
	}
}

// TestClassicFilterSize steers more addresses than classic BPF can compare.
func TestClassicFilterSize(t *testing.T) {
	for _, n := range []int{0, maxClassic, maxClassic + 1, 5000} {
		var ours []netip.Prefix
		a := netip.MustParseAddr("2001:db8::")
		for range n {
			a = a.Next()
			ours = append(ours, netip.PrefixFrom(a, 128))
		}
		raw, err := classicFilter(Ours{VIPs: ours})
		if err != nil || len(raw) > 4096 {
			t.Errorf("%d addresses: %d instructions, %v", n, len(raw), err)
		}
	}
}

// TestUnprivileged opens interfaces with CAP_NET_RAW and without CAP_BPF, as in
// a container.
func TestUnprivileged(t *testing.T) {
	n, peer := nettest.New(t), nettest.New(t)
	nettest.Veth(n, "eth0", peer, "eth0")
	n.Do(func() {
		if err := giveUp(unix.CAP_BPF, unix.CAP_SYS_ADMIN); err != nil {
			t.Error(err)
			return
		}
		p, err := Open([]string{"eth0"}, 2, true)
		if err != nil {
			t.Error(err)
			return
		}
		defer p.Close()
		if p.steering.reason == nil {
			t.Errorf("steering without CAP_BPF: %s", p.Steering())
		}
		t.Log(p.Steering())
		if err := p.Steer(testOurs); err != nil {
			t.Error(err)
		}
	})
}

// giveUp takes capabilities from the present thread.
func giveUp(capabilities ...uint) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	for _, c := range capabilities {
		data[c/32].Effective &^= 1 << (c % 32)
		data[c/32].Permitted &^= 1 << (c % 32)
	}
	return unix.Capset(&header, &data[0])
}
