package persist

import (
	"strings"
	"testing"
)

func TestRecordForm(t *testing.T) {
	four := Record{KeyOf(0x0102030405060708, addr("198.51.100.7"), 24), server("10.0.0.11:80"), 1, 5 * minute, 5 * minute}
	six := Record{KeyOf(1, addr("2001:db8::7"), 64), server("[2001:db8:3::11]:0"), 300, 5 * minute, minute}
	tests := []struct {
		r    Record
		want string
	}{
		{four, "\x10\x01\x02\x03\x04\x05\x06\x07\x08\x78\xc6\x33\x64\x00\x0a\x00\x00\x0b\x00\x50\x01\xb8\x17\x00"},
		{six, "\x13\x00\x00\x00\x00\x00\x00\x00\x01\x40" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 12) +
			"\x20\x01\x0d\xb8\x00\x03" + strings.Repeat("\x00", 9) + "\x11\x00\x00\xac\x02\xb8\x17\xe0\x12"},
	}
	for _, tt := range tests {
		b := tt.r.AppendTo([]byte("before"))
		if got := string(b[6:]); got != tt.want {
			t.Errorf("%+v:\n%x, want\n%x", tt.r, got, tt.want)
		}
		got, rest, err := Parse(append(b[6:], "after"...))
		if err != nil || got != tt.r || string(rest) != "after" {
			t.Errorf("%x: %+v, %q, %v", b, got, rest, err)
		}
		for n := range len(tt.want) {
			if _, _, err := Parse([]byte(tt.want[:n])); err == nil || err.Error() != "template: cut short" {
				t.Errorf("%d bytes of %d: %v", n, len(tt.want), err)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := Record{KeyOf(1, addr("198.51.100.7"), 24), one, 1, minute, minute}
	edit := func(change func(*Record)) string {
		r := good
		change(&r)
		return string(r.AppendTo(nil))
	}
	tests := []struct{ b, want string }{
		{"", "template: cut short"},
		{"\x20", "template: form 0x20: this build understands 0x10"},
		{edit(func(r *Record) { r.Bits = 96 }), "template: network: 96 bits"},
		{edit(func(r *Record) { r.Bits = 129 }), "template: network: 129 bits"},
		{edit(func(r *Record) { r.Bits = 119 }), ""},
		{edit(func(r *Record) { r.Network[15] = 1 }), "template: network: does not begin there"},
		{edit(func(r *Record) { r.Server = Server{} }), "template: server: none"},
		{edit(func(r *Record) { r.Version = 0 }), "template: version: none"},
		{edit(func(r *Record) { r.Timeout, r.Left = 0, 0 }), "template: timeout: 0, of which 0 are left"},
		{edit(func(r *Record) { r.Timeout, r.Left = longest+1, 1 }), "template: timeout: 27648001, of which 1 are left"},
		{edit(func(r *Record) { r.Left = minute + 1 }), "template: timeout: 600, of which 601 are left"},
	}
	for _, tt := range tests {
		_, _, err := Parse([]byte(tt.b))
		if got := errText(err); got != tt.want {
			t.Errorf("%x: %q, want %q", tt.b, got, tt.want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What is parsed is valid, means the same when it is written again, and can be
// applied to a store without harm to it.
func FuzzParse(f *testing.F) {
	four := Record{KeyOf(7, addr("198.51.100.7"), 24), one, 1, 5 * minute, 5 * minute}
	six := Record{KeyOf(1, addr("2001:db8::7"), 64), server("[2001:db8:3::11]:0"), 300, 5 * minute, minute}
	f.Add(four.AppendTo(nil))
	f.Add(six.AppendTo(four.AppendTo(nil)))
	f.Add([]byte{tag})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := prepared(64 * 4)
		for len(b) > 0 {
			r, rest, err := Parse(b)
			if err != nil {
				return
			}
			if err := r.valid(); err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
			again, none, err := Parse(r.AppendTo(nil))
			if err != nil || again != r || len(none) != 0 {
				t.Fatalf("%+v is read again as %+v, %v", r, again, err)
			}
			s.Apply(&r, 1000)
			s.sound(t)
			if at, ref := s.Take(&r.Key, minute, 1000); (ref == 0 || at == (Server{})) && r.Left > 0 {
				t.Fatalf("%+v leads to %v", r, at)
			}
			b = rest
		}
	})
}
