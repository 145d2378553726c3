package vrrp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	src4 = netip.MustParseAddr("10.9.9.1")
	src6 = netip.MustParseAddr("fe80::acc4:4dff:fe48:a688")
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func addresses(all ...string) (as []netip.Addr) {
	for _, a := range all {
		as = append(as, netip.MustParseAddr(a))
	}
	return as
}

// Seen on a wire, from keepalived 2.2.7.
const (
	seen4     = "31 33 64 01 0032 63a7 0a090950"
	seen6     = "31 34 64 01 0032 9eab 20010db8000000000000000000000080"
	seenLast4 = "31 33 00 01 0032 c7a7 0a090950"
	plain4    = "31 33 64 01 0032 5740 0a090950" // with v3_checksum_as_v2
)

func TestWire(t *testing.T) {
	half := 500 * time.Millisecond
	tests := []struct {
		name, wire string
		src        netip.Addr
		how        Checksum
		want       advert
	}{
		{"keepalived's", seen4, src4, Pseudo, advert{51, 100, half, addresses("10.9.9.80")}},
		{"over IPv6", seen6, src6, Pseudo, advert{52, 100, half, addresses("2001:db8::80")}},
		{"its last", seenLast4, src4, Pseudo, advert{51, 0, half, addresses("10.9.9.80")}},
		{"without pseudo-header", plain4, src4, Plain, advert{51, 100, half, addresses("10.9.9.80")}},
	}
	for _, tt := range tests {
		wire := unhex(t, tt.wire)
		a, how, f := parse(wire, tt.src, groupOf(tt.src.Is4()))
		if f != None || how != tt.how || !same(&a, &tt.want) {
			t.Errorf("%s: %+v, %v, %v", tt.name, a, how, f)
		}
		if got := tt.want.put(nil, tt.src, tt.how); !bytes.Equal(got, wire) {
			t.Errorf("%s: put % x, want % x", tt.name, got, wire)
		}
	}
}

func same(a, b *advert) bool {
	return a.id == b.id && a.priority == b.priority && a.interval == b.interval && slices.Equal(a.addresses, b.addresses)
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		wire string
		want Fault
	}{
		{"", TooShort},
		{"31 33 64 01 0032 63", TooShort},
		{"21 33 64 01 0001 0000 0a090950", BadVersion},
		{"32 33 64 01 0032 63a7 0a090950", BadType},
		{"31 33 64 00 0032 6d00", NoAddresses},
		{"31 33 64 02 0032 63a7 0a090950", BadLength},
		{"31 33 64 01 0032 63a7 0a090950 00", BadLength},
		{"31 33 64 01 0032 63a8 0a090950", BadChecksum},
		{"31 33 64 01 0000 63d9 0a090950", NoInterval},
		{"31 33 64 01 f032 73a6 0a090950", None}, // reserved bits say nothing
		{"31 33 64 01 f032 73a6 0a090951", BadChecksum},
	} {
		if _, _, f := parse(unhex(t, tt.wire), src4, group4); f != tt.want {
			t.Errorf("%s: %v, want %v", tt.wire, f, tt.want)
		}
	}
	// Over IPv6 there is no way without a pseudo-header.
	plain := (&advert{52, 100, time.Second, addresses("2001:db8::80")}).put(nil, src6, Plain)
	if _, how, f := parse(plain, src6, group6); how != Pseudo || f != None {
		t.Errorf("over IPv6: %v, %v", how, f)
	}
}

// FuzzParse holds parse to a second reading of RFC 9568 §7.1, and what it accepts
// to coming out again as it went in.
func FuzzParse(f *testing.F) {
	for _, s := range []string{seen4, seenLast4, plain4, "", "31 33 64 02 0032 63a7 0a090950", "31 33 64 00 0032 6d00"} {
		f.Add(unhex(f, s), false)
	}
	f.Add(unhex(f, seen6), true)
	f.Fuzz(func(t *testing.T, b []byte, v6 bool) {
		src := src4
		if v6 {
			src = src6
		}
		a, how, fault := parse(b, src, groupOf(!v6))
		pseudo, plain := acceptable(b, v6)
		if (fault == None) != (pseudo || plain) {
			t.Fatalf("% x: %v, acceptable: %v, %v", b, fault, pseudo, plain)
		}
		if fault != None {
			return
		}
		if how == Pseudo != pseudo {
			t.Fatalf("% x: checksum %v", b, how)
		}
		again := a.put(nil, src, how)
		if b[4]&0xf0 != 0 { // four bits that say nothing to us, and stand in the checksum
			again[4], again[6], again[7] = b[4], b[6], b[7]
		}
		if binary.BigEndian.Uint16(b[6:]) == 0xffff { // of the two zeros of one's complement
			again[6], again[7] = 0xff, 0xff
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("% x came out as % x", b, again)
		}
	})
}

// acceptable is whether a message is, by either checksum.
func acceptable(b []byte, v6 bool) (pseudo, plain bool) {
	size, head := 4, []byte{10, 9, 9, 1, 224, 0, 0, 18}
	if v6 {
		s, g := src6.As16(), group6.As16()
		size, head = 16, append(s[:], g[:]...)
	}
	if len(b) < 8 || b[0] != 0x31 || b[3] == 0 || len(b) != 8+size*int(b[3]) || binary.BigEndian.Uint16(b[4:])%4096 == 0 {
		return false, false
	}
	head = binary.BigEndian.AppendUint32(head, uint32(len(b)))
	head = binary.BigEndian.AppendUint32(head, 112)
	return zero(append(head, b...)), !v6 && zero(b)
}

// zero says whether the words of b add up to one's complement zero.
func zero(b []byte) bool {
	total := uint64(0)
	for i, x := range b {
		total += uint64(x) << (8 * (1 - i%2))
	}
	return total%0xffff == 0 && total != 0
}
