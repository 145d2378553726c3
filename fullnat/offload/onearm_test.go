package offload

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// What leaves by the interface it came in by arrives, also where the other end
// takes frames but runs no program of its own.
func TestDriverOneArm(t *testing.T) {
	director, far := cable(t)
	d, given, err := drive(t, director, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	d.await(t, "native", "")
	table := <-given
	table.SetHop(1, Hop{MTU: 1500, Src: [6]byte(director.MAC("eth0")), Dst: [6]byte(far.MAC("far0"))}, true)
	table.Renew(7, time.Hour)
	flow := flowNumber(table, 1)
	if !table.Lift(1, flow) {
		t.Fatal("the flow finds no room")
	}

	var conn *packet.Conn
	far.Do(func() {
		conn, err = packet.Listen(&net.Interface{Index: far.Link("far0").Attrs().Index, HardwareAddr: far.MAC("far0")}, packet.Raw, unix.ETH_P_ALL, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := frame(t, flow.Client)
	copy(request, director.MAC("eth0"))
	if _, err := conn.WriteTo(request, &packet.Addr{HardwareAddr: director.MAC("eth0")}); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for b := make([]byte, 2048); ; {
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			t.Fatalf("nothing comes back: %v", err)
		}
		if n > 14 && bytes.Equal(b[6:12], director.MAC("eth0")) && bytes.Equal(b[n-9:n], request[len(request)-9:]) {
			return
		}
	}
}
