package link

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
)

// TestGuard lets the kernel have what it needs and nothing that is ours.
func TestGuard(t *testing.T) {
	s := loadedSteering(t)
	o := testOurs
	o.Hosts = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("2001:db8:3::1")}
	if _, err := s.set(o); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		sketch sketch
		drops  bool
	}{
		{"to a VIP", sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}, true},
		{"to a local address", sketch{src: "10.0.0.11", dst: "10.9.0.5", protocol: 17}, true},
		{"over IPv6", sketch{src: "2001:db8::7", dst: "2001:db8:1::80", protocol: 6}, true},
		{"to the host", sketch{src: "198.51.100.7", dst: "10.0.0.1", protocol: 6}, false},
		{"to an address of the host's among the local ones", sketch{src: "198.51.100.7", dst: "10.9.0.1", protocol: 6}, false},
		{"for the kernel to forward", sketch{src: "198.51.100.7", dst: "192.0.2.9", protocol: 6}, false},
		{"a gated server's answer to a client", sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 6, srcPort: 8080}, true},
		{"over IPv6", sketch{src: "2001:db8:3::21", dst: "2001:db8::7", protocol: 6, srcPort: 8080, extensions: 2}, true},
		{"in fragments, the first", sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 17, srcPort: 53, fragment: 0x2000}, true},
		{"and without it the others go nowhere", sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 17, srcPort: 53, fragment: 0x00b9}, false},
		{"to the host, whose checks it answers", sketch{src: "10.0.0.21", dst: "10.0.0.1", protocol: 6, srcPort: 8080}, false},
		{"over IPv6", sketch{src: "2001:db8:3::21", dst: "2001:db8:3::1", protocol: 6, srcPort: 8080}, false},
		{"what it asks of the world", sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 6, srcPort: 4711, dstPort: 443}, false},
		{"another server's", sketch{src: "10.0.0.23", dst: "198.51.100.7", protocol: 6, srcPort: 8080}, false},
	} {
		ret, err := s.program.Guard.Run(&ebpf.RunOptions{Data: tt.sketch.frame()})
		if err != nil {
			t.Fatal(err)
		}
		if drops := int32(ret) == 2; drops != tt.drops || !drops && int32(ret) != -1 {
			t.Errorf("%s: the guard answers %d, want a drop: %v", tt.name, int32(ret), tt.drops)
		}
	}
}
