package session

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"fleetlb/fullnat/packet"
)

var sender = ownerOf("lb1", 1)

// webRecord is an established session of a web service.
func webRecord(six bool) Record {
	client, local := addr("198.51.100.7"), addr("10.9.0.1")
	key := pathTo(addr("10.0.0.11"))
	if six {
		client, local, key = addr("2001:db8:1::7"), addr("2001:db8:9::1"), pathTo(addr("2001:db8::11"))
	}
	return Record{
		PathKey: key, Port: 443, Client: client, ClientPort: 4711,
		Local: local, LocalPort: 0x1400 | uint16(Slot(packet.TCP, client, 4711)),
		Home: sender, Born: 0x123456789abc, State: Established, Idle: 3,
		Ends: [2]End{{Expects: 101, Heard: true, Acked: true}, {Expects: 501, Heard: true, Acked: true}},
	}
}

// The sizes in the doc of the wire form.
func TestRecordSizes(t *testing.T) {
	stranger := ownerOf("lb2", 1)
	for _, tt := range []struct {
		name            string
		record          func(r *Record)
		four, six, more int
	}{
		{"update", func(*Record) {}, 42, 90, 16},
		{"update after a minute", func(r *Record) { r.Idle = 600 }, 43, 91, 16},
		{"gone", func(r *Record) { r.Kind = Gone }, 33, 81, 16},
		{"without local", func(r *Record) { r.Mode, r.Local, r.LocalPort = DR, packet.Addr{}, 0 }, 36, 72, 16},
		{"of several ports", func(r *Record) { r.VIPPort, r.VIPLast, r.ServerPort = 400, 500, 0 }, 46, 94, 16},
		{"mark", func(r *Record) {
			*r = Record{Kind: Mark, Home: sender, Slot: 9, Digest: Digest{Count: 4000, Sum: 1 << 63}}
		}, 12, 12, 16},
	} {
		for _, six := range []bool{false, true} {
			r, want := webRecord(six), tt.four
			if six {
				want = tt.six
			}
			if tt.record(&r); r.Valid() != nil {
				t.Fatalf("%s: %v", tt.name, r.Valid())
			}
			if got := len(r.AppendTo(nil, sender)); got != want {
				t.Errorf("%s, IPv6 %v: %d bytes, want %d", tt.name, six, got, want)
			}
			if got := len(r.AppendTo(nil, stranger)); got != want+tt.more {
				t.Errorf("%s, IPv6 %v, by another: %d bytes, want %d", tt.name, six, got, want+tt.more)
			}
		}
	}
}

// The wire form is a promise to directors of other versions.
func TestRecordWire(t *testing.T) {
	r := webRecord(false)
	const want = "00010f c63364071267 cb00715001bb 0a00000b20fb 0a0900011473 123456789abc 03 00000065 000001f5"
	if got := r.AppendTo(nil, sender); hex.EncodeToString(got) != strings.ReplaceAll(want, " ", "") {
		t.Errorf("%x, want %s", got, want)
	}
}

// A director of today understands one of tomorrow as far as it can.
func TestRecordOfTomorrow(t *testing.T) {
	r := webRecord(false)
	b := r.AppendTo(nil, sender)
	b[0] |= bitsMore | 1<<6
	b[1] |= 1 << 7
	b[2] |= 3 << 6
	b = append(b, 5, 77, 3, 'n', 'e', 'w')
	n := len(b)
	b = append(b, "next"...)
	var got Record
	if at, err := got.Parse(b, sender); err != nil || at != n || got != r {
		t.Errorf("took %d bytes of %d: %v\n%+v\n%+v", at, n, err, got, r)
	}
}

func TestRecordCutShort(t *testing.T) {
	for _, six := range []bool{false, true} {
		r := webRecord(six)
		r.Home = ownerOf("lb2", 1)
		b := r.AppendTo(nil, sender)
		for n := range b {
			if at, err := new(Record).Parse(b[:n:n], sender); err == nil {
				t.Errorf("%d bytes of %d: took %d", n, len(b), at)
			}
		}
	}
	for name, b := range map[string]string{
		"a kind that nobody knows": "03000000000000000000",
		"a count beyond all":       "02 09 ffffffffff01 0000000000000000",
		"more than there is":       "82 09 05 0000000000000001 ffffffff0f",
	} {
		raw, _ := hex.DecodeString(strings.ReplaceAll(b, " ", ""))
		if n, err := new(Record).Parse(raw, sender); err == nil {
			t.Errorf("%s: took %d", name, n)
		}
	}
}

// FuzzRecord: whatever parses is understood the same after it was said again,
// and takes no more room than it may.
func FuzzRecord(f *testing.F) {
	for _, six := range []bool{false, true} {
		r := webRecord(six)
		f.Add(r.AppendTo(nil, sender))
		f.Add(r.AppendTo(nil, ownerOf("lb2", 1)))
		r.VIPPort++ // no service has such a port
		f.Add(r.AppendTo(nil, sender))
		r.Mode, r.Protocol, r.State, r.VIPLast = TUN, packet.UDP, TwoWay, 500
		f.Add(r.AppendTo(nil, sender))
		r.Kind = Gone
		f.Add(append(r.AppendTo(nil, sender), r.AppendTo(nil, sender)...))
	}
	mark := Record{Kind: Mark, Home: sender, Slot: 7, Digest: Digest{1 << 31, 1 << 63}}
	f.Add(mark.AppendTo(nil, ownerOf("lb2", 1)))
	table := fleetTable(100, "lb2")
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again Record
		n, err := r.Parse(b, sender)
		if err != nil {
			return
		}
		if n <= 0 || n > len(b) {
			t.Fatalf("took %d bytes of %d", n, len(b))
		}
		said := r.AppendTo(nil, sender)
		if len(said) > MaxRecord {
			t.Fatalf("%d bytes, more than %d", len(said), MaxRecord)
		}
		if at, err := again.Parse(said, sender); err != nil || at != len(said) || again != r {
			t.Fatalf("took %d bytes of %d: %v\n%+v\n%+v", at, len(said), err, again, r)
		}
		if !bytes.Equal(again.AppendTo(nil, sender), said) {
			t.Fatal("said otherwise the second time")
		}
		s, what := table.Install(&r, 100)
		if (r.Valid() != nil || r.Kind != Update) && what != Refused {
			t.Fatalf("installed: %d", what)
		}
		if what == Created {
			if table.Record(s, 100, &again); again.Face(Inbound) != r.Face(Inbound) || again.Face(Outbound) != r.Face(Outbound) {
				t.Fatalf("installed\n%+v, became\n%+v", r, again)
			}
			table.Close(s)
		}
		if table.Count() != 0 || len(table.pathIDs) != 0 || len(table.lives.places) != 0 {
			t.Fatal("something is left behind")
		}
	})
}

func TestValid(t *testing.T) {
	for name, spoil := range map[string]func(r *Record){
		"no home":                   func(r *Record) { r.Home.ID = 0 },
		"no mode":                   func(r *Record) { r.Mode = 0 },
		"unknown mode":              func(r *Record) { r.Mode = TUN + 1 },
		"unknown kind":              func(r *Record) { r.Kind = numKinds },
		"unknown protocol":          func(r *Record) { r.Protocol = packet.ICMP },
		"unknown state":             func(r *Record) { r.State = NumStates },
		"a state of UDP":            func(r *Record) { r.State = TwoWay },
		"idle for years":            func(r *Record) { r.Idle = longest + 1 },
		"no client":                 func(r *Record) { r.Client = packet.Addr{} },
		"no server":                 func(r *Record) { r.Server = packet.Addr{} },
		"client of another family":  func(r *Record) { r.Client = addr("2001:db8::7") },
		"server of another family":  func(r *Record) { r.Server, r.Local = addr("2001:db8::7"), addr("2001:db8::1") },
		"local of another family":   func(r *Record) { r.Local = addr("2001:db8::7") },
		"local of another slot":     func(r *Record) { r.LocalPort++ },
		"local where there is none": func(r *Record) { r.Mode = NAT },
		"local is the vip":          func(r *Record) { r.Local = r.VIP },
		"a port before the first":   func(r *Record) { r.Port-- },
		"a port after the last":     func(r *Record) { r.Port, r.VIPLast = 446, 445 },
		"ports backwards":           func(r *Record) { r.VIPLast = 400 },
		"no server port":            func(r *Record) { r.ServerPort = 0 },
	} {
		r := webRecord(false)
		if r.Valid() != nil {
			t.Fatal(r.Valid())
		}
		spoil(&r)
		if r.Valid() == nil {
			t.Errorf("%s: valid", name)
		}
		if _, what := fleetTable(10, "lb2").Install(&r, 1); what != Refused {
			t.Errorf("%s: installed: %d", name, what)
		}
	}
}
