package service

import "testing"

func TestWords(t *testing.T) {
	for m, want := range map[Mode]string{0: "mode 0", FULLNAT: "fullnat", NAT: "nat", DR: "dr", TUN: "tun", 9: "mode 9"} {
		if m.String() != want {
			t.Errorf("mode %d is %q, want %q", m, m, want)
		}
		if got, err := ParseMode(want); (err == nil) != (m >= FULLNAT && m <= TUN) || err == nil && got != m {
			t.Errorf("ParseMode(%q) = %v, %v", want, got, err)
		}
	}
	for f, want := range map[Fate]string{Default: "default", Reset: "reset", Keep: "keep", Expire: "expire", 4: "fate 4"} {
		if f.String() != want {
			t.Errorf("fate %d is %q, want %q", f, f, want)
		}
		if got, err := ParseFate(want); (err == nil) != (f >= Reset && f <= Expire) || err == nil && got != f {
			t.Errorf("ParseFate(%q) = %v, %v", want, got, err)
		}
	}
	for s, want := range map[State]string{Down: "down", Up: "up", Draining: "draining"} {
		if s.String() != want {
			t.Errorf("state %d is %q, want %q", s, s, want)
		}
	}
	if _, err := ParseMode("masq"); err == nil || err.Error() != `mode "masq": unknown; there are fullnat, nat, dr, tun` {
		t.Errorf("ParseMode: %v", err)
	}
}
