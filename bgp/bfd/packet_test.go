package bfd

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// good is a session that is up, as FRR sends it: 300 ms, three times.
const good = "20 c0 03 18  00000001 00000002  000493e0 000493e0 00000000"

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, wire string
		want       Fault
	}{
		{"a session that is up", good, None},
		{"more bytes follow", good + "ffff", None},
		{"the first of a session: it knows nobody", "20 40 03 18  00000001 00000000  000f4240 000f4240 00000000", None},
		{"ended on purpose, and knows nobody", "27 00 03 18  00000001 00000000  000f4240 000f4240 00000000", None},
		{"up, and knows nobody", "20 c0 03 18  00000001 00000000  000493e0 000493e0 00000000", Stateless},
		{"on its way, and knows nobody", "20 80 03 18  00000001 00000000  000493e0 000493e0 00000000", Stateless},
		{"nothing", "", TooShort},
		{"a byte is missing", good[:len(good)-2], TooShort},
		{"version 0", "00" + good[2:], BadVersion},
		{"version 2", "40" + good[2:], BadVersion},
		{"claims 23 bytes", "20 c0 03 17" + good[11:], BadLength},
		{"claims 25 bytes of 24", "20 c0 03 19" + good[11:], BadLength},
		{"multiplier 0", "20 c0 00 18" + good[11:], NoMultiplier},
		{"multipoint", "20 c1 03 18" + good[11:], Multipoint},
		{"sender 0", "20 c0 03 18  00000000 00000002  000493e0 000493e0 00000000", NoSender},
		{"a password", "20 c4 03 1b" + good[11:] + "010301", Authenticated},
	}
	for _, tt := range tests {
		if _, got := parse(unhex(t, tt.wire)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestPacketOnTheWire(t *testing.T) {
	tests := []struct {
		packet packet
		wire   string
	}{
		{packet{state: Up, multiplier: 3, mine: 1, yours: 2, desired: 300 * time.Millisecond, required: 300 * time.Millisecond}, good},
		{packet{state: Down, diag: Expired, poll: true, demand: true, multiplier: 50, mine: 0xdeadbeef, desired: time.Second, required: 50 * time.Millisecond, echo: time.Microsecond},
			"21 62 32 18  deadbeef 00000000  000f4240 0000c350 00000001"},
		{packet{state: AdminDown, diag: ByOperator, final: true, multiplier: 255, mine: 1, yours: 0xffffffff, desired: 10 * time.Second},
			"27 10 ff 18  00000001 ffffffff  00989680 00000000 00000000"},
	}
	for _, tt := range tests {
		var b [packetSize]byte
		if tt.packet.put(&b); !bytes.Equal(b[:], unhex(t, tt.wire)) {
			t.Errorf("%+v is\n% x, want\n%s", tt.packet, b, tt.wire)
		}
		if p, f := parse(b[:]); f != None || p != tt.packet {
			t.Errorf("%s is %+v (%v), want %+v", tt.wire, p, f, tt.packet)
		}
	}
}

// FuzzParse holds parse to a second reading of RFC 5880 §6.8.6, and what it
// accepts to coming out again as it went in.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		good,
		"27 00 03 18  00000001 00000000  000f4240 000f4240 00000000",
		"20 e0 03 18  00000001 00000002  000493e0 000493e0 00000000", // poll
		"20 d0 03 18  00000001 00000002  000493e0 000493e0 00000000", // final
		"20 c4 03 1b  00000001 00000002  000493e0 000493e0 00000000 010301",
		"3f ff ff ff  ffffffff ffffffff  ffffffff ffffffff ffffffff",
		"",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, fault := parse(b)
		if want := acceptable(b); (fault == None) != want {
			t.Fatalf("% x: %v, acceptable: %v", b, fault, want)
		}
		if fault != None {
			return
		}
		var again [packetSize]byte
		p.put(&again)
		same := bytes.Clone(b[:packetSize])
		same[1] &^= 0x08     // says nothing to us
		same[3] = packetSize // what follows is not ours
		if !bytes.Equal(again[:], same) {
			t.Fatalf("% x came out as % x", same, again)
		}
	})
}

func acceptable(b []byte) bool {
	if len(b) < 24 {
		return false
	}
	var w struct {
		VersDiag, StaFlags, Mult, Length uint8
		My, Your, Tx, Rx, Echo           uint32
	}
	binary.Read(bytes.NewReader(b), binary.BigEndian, &w)
	state := w.StaFlags / 64
	return w.VersDiag/32 == 1 && w.Length >= 24 && int(w.Length) <= len(b) &&
		w.Mult != 0 && w.StaFlags%2 == 0 && w.StaFlags/4%2 == 0 && w.My != 0 &&
		(w.Your != 0 || state == 0 || state == 1)
}
