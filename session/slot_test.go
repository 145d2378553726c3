package session

import (
	"encoding/binary"
	"testing"

	"fleetlb/fullnat/packet"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

func TestSlotIsXXHash64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		protocol := rapid.Uint8().Draw(t, "protocol")
		client := packet.Addr(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "client"))
		port := rapid.Uint16().Draw(t, "port")

		key := append([]byte{protocol}, client[:]...)
		key = binary.BigEndian.AppendUint16(key, port)
		if got, want := Slot(protocol, client, port), uint8(xxhash.Sum64(key)); got != want {
			t.Fatalf("Slot = %d, want %d", got, want)
		}
	})
}

// Directors of different versions must agree for ever.
func TestSlotNeverChanges(t *testing.T) {
	for _, tt := range []struct {
		protocol uint8
		client   string
		port     uint16
		want     uint8
	}{
		{packet.TCP, "198.51.100.7", 4711, 115},
		{packet.UDP, "198.51.100.7", 4711, 118},
		{packet.TCP, "2001:db8::7", 4711, 56},
	} {
		if got := Slot(tt.protocol, addr(tt.client), tt.port); got != tt.want {
			t.Errorf("Slot(%d, %s, %d) = %d, want %d", tt.protocol, tt.client, tt.port, got, tt.want)
		}
	}
}
