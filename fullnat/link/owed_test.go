package link

import (
	"bytes"
	"encoding/binary"
	"testing"

	"fleetlb/fullnat/packet/packettest"
)

// oracle adds up words as RFC 1071 §4.1 does.
func oracle(parts ...[]byte) uint16 {
	s := uint32(0)
	for _, b := range parts {
		for i := 0; i < len(b); i += 2 {
			w := uint32(b[i]) << 8
			if i+1 < len(b) {
				w |= uint32(b[i+1])
			}
			s += w
			s = s>>16 + s&0xffff
		}
	}
	return uint16(s)
}

// segment returns where TCP or UDP lies in a frame, and its pseudo-header.
func segment(frame []byte) (at, length int, pseudo []byte) {
	ip := frame[14:]
	if frame[12] == 0x08 {
		length = int(binary.BigEndian.Uint16(ip[2:])) - 20
		return 34, length, append(bytes.Clone(ip[12:20]), 0, ip[9], byte(length>>8), byte(length))
	}
	length = int(binary.BigEndian.Uint16(ip[4:]))
	return 54, length, append(bytes.Clone(ip[8:40]), 0, 0, byte(length>>8), byte(length), 0, 0, 0, ip[6])
}

var owing = []string{
	"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64",
	"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 len 101",
	"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 len 22",
	"tcp [2001:db8::7]:4711 > [2001:db8::80]:443 PA ttl 64 len 7",
	"udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 len 0",
}

func TestOwed(t *testing.T) {
	for _, line := range owing {
		frame := packettest.Frame(t, line)
		whole := bytes.Clone(frame)
		if o := owed(frame); o != (Offload{}) {
			t.Errorf("%s: true, but owed: %+v", line, o)
		}
		at, _, pseudo := segment(frame)
		offset := 16
		if line[:3] == "udp" {
			offset = 6
		}
		binary.BigEndian.PutUint16(frame[at+offset:], oracle(pseudo))
		o := owed(frame)
		if o != OwedChecksum(at, offset) {
			t.Errorf("%s: owed, but %+v", line, o)
			continue
		}
		if o.complete(frame); !bytes.Equal(frame, whole) {
			t.Errorf("%s: completed to\n% x, want\n% x", line, frame, whole)
		}
	}
}

// FuzzOwed: what is said to be owed lies within the frame, and is right once
// paid, whatever the bytes around it.
func FuzzOwed(f *testing.F) {
	for _, line := range owing {
		f.Add(packettest.Frame(f, line))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, pay := range []bool{false, true} { // as it is, and with what would be owed
			if pay && len(frame) >= 60 && (frame[12] == 0x08 || frame[12] == 0x86) {
				if at, _, pseudo := segment(frame); at+18 <= len(frame) {
					offset := map[bool]int{true: 6, false: 16}[pseudo[len(pseudo)-1] == 17 || frame[12] == 8 && frame[23] == 17]
					binary.BigEndian.PutUint16(frame[at+offset:], oracle(pseudo))
				}
			}
			o := owed(frame)
			if !o.NeedsChecksum() {
				continue
			}
			if !o.covers(len(frame)) {
				t.Fatalf("%+v in a frame of %d bytes", o, len(frame))
			}
			at, length, pseudo := segment(frame)
			if at != int(o.ChecksumStart) || at+length > len(frame) {
				continue // the worker refuses a packet longer than its frame
			}
			frame := frame[:at+length]
			if o.complete(frame); oracle(pseudo, frame[at:]) != 0xffff {
				t.Fatalf("completed, but wrong:\n% x", frame)
			}
		}
	})
}
