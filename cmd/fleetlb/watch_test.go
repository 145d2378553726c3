package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"fleetlb/node/admin"
	"fleetlb/node/admin/admintest"
)

// ticking counts how often what is asked of d, and calls after each time.
func ticking(d *admintest.Director, what string, after func(times int) error) {
	times := 0
	d.Fail = func(asked string) error {
		if asked != what {
			return nil
		}
		times++
		return after(times)
	}
}

func TestWatch(t *testing.T) {
	for _, args := range [][]string{{"-w", "0.1"}, {"-w0.1"}, {"--watch=100ms"}, {"--watch", "100ms"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			d := admintest.Example()
			ctx, stop := context.WithCancel(t.Context())
			ticking(d, "drops", func(times int) error {
				if times == 3 {
					stop()
				}
				return nil
			})
			code, out, errs := direct(t, d)(ctx, append([]string{"drops", "-o", "json"}, args...)...)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if code != done || errs != "" || len(lines) < 2 || lines[0] != lines[1] ||
				lines[0] != `[{"reason":"mid-connection packet of no connection we know","packets":40},{"reason":"no hops left","packets":1007}]` {
				t.Errorf("exit %d, %q, %q", code, out, errs)
			}
		})
	}
	t.Run("tables stand apart", func(t *testing.T) {
		d := admintest.Example()
		ctx, stop := context.WithCancel(t.Context())
		ticking(d, "drops", func(times int) error {
			if times == 3 {
				stop()
			}
			return nil
		})
		code, out, _ := direct(t, d)(ctx, "drops", "-w", "0.1")
		if code != done || strings.Count(out, "\n\nREASON") < 1 || strings.Contains(out, "\x1b") {
			t.Errorf("exit %d, %q", code, out)
		}
	})
	t.Run("a director that comes back is waited for", func(t *testing.T) {
		d := admintest.Example()
		ctx, stop := context.WithCancel(t.Context())
		ticking(d, "drops", func(times int) error {
			switch times {
			case 2:
				return admin.Errorf(admin.Unavailable, "still starting")
			case 4:
				stop()
			}
			return nil
		})
		code, out, errs := direct(t, d)(ctx, "drops", "-w", "0.1", "-o", "json")
		if code != done || errs != "fleetlb: drops: still starting\n" || strings.Count(out, "\n") < 2 {
			t.Errorf("exit %d, %q, %q", code, out, errs)
		}
	})
	t.Run("one that was never there is not", func(t *testing.T) {
		d := admintest.Example()
		ticking(d, "drops", func(int) error { return errors.New("no") })
		if code, _, errs := direct(t, d)(t.Context(), "drops", "-w"); code != failed || errs != "fleetlb: drops: no\n" {
			t.Errorf("exit %d, %q", code, errs)
		}
	})
}

func TestJoinWatch(t *testing.T) {
	tests := []struct{ in, want string }{
		{"servers web", "servers web"},
		{"servers -w", "servers -w"},
		{"servers -w 5 web", "servers --watch=5 web"},
		{"-w 500ms servers", "--watch=500ms servers"},
		{"servers --watch 1m", "servers --watch=1m"},
		{"servers -w web", "servers -w web"},
		{"servers -w=5", "servers -w=5"},
		{"servers -w5 web", "servers --watch=5 web"},
		{"servers -weird", "servers -weird"},
		{"servers -- -w 5", "servers -- -w 5"},
	}
	for _, tt := range tests {
		in := strings.Fields(tt.in)
		if got := strings.Join(joinWatch(in), " "); got != tt.want || strings.Join(in, " ") != tt.in {
			t.Errorf("%s: %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestHuman(t *testing.T) {
	tests := []struct{ got, want string }{
		{count(0), "0"}, {count(9999), "9999"}, {count(10_000), "10k"}, {count(999_499), "999k"}, {count(999_500), "1.0M"},
		{count(12_345_678_901), "12G"}, {count(1 << 63), "9.2E"}, {count(1<<64 - 1), "18E"},
		{size(999), "999B"}, {size(1000), "1.0kB"}, {size(9949), "9.9kB"}, {size(9950), "10kB"}, {size(9999), "10kB"}, {size(4_500_000), "4.5MB"},
		{ago(-1), "0s"}, {ago(59), "59s"}, {ago(60), "1m00s"}, {ago(3599), "59m59s"}, {ago(3600), "1h00m"}, {ago(86400 + 3600), "1d01h"},
		{took(0), "0s"}, {took(212), "212µs"}, {took(1830), "1.83ms"}, {took(1_500_000), "1.5s"},
		{thousands(0), "0"}, {thousands(999), "999"}, {thousands(1000), "1,000"}, {thousands(1234567), "1,234,567"}, {thousands(-123456), "-123,456"},
	}
	for i, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%d: %s, want %s", i, tt.got, tt.want)
		}
	}
}

// More sessions than are held at once come in sorted lots, none lost.
func TestManySessions(t *testing.T) {
	d := admintest.Example()
	few := slices.Clone(d.SessionList)
	d.SessionList = slices.Repeat(few, sorted/len(few)+2)
	n := len(d.SessionList)
	run := direct(t, d)
	code, out, errs := run(t.Context(), "sessions")
	if code != done || errs != "" || strings.Count(out, "\n") != n+1 || strings.Count(out, "PROTOCOL") != 1 {
		t.Errorf("exit %d, %d lines, want %d; %q", code, strings.Count(out, "\n"), n+1, errs)
	}
	code, out, errs = run(t.Context(), "sessions", "-o", "json")
	if code != done || errs != "" || strings.Count(out, `{"protocol"`) != n || !strings.HasSuffix(out, "}\n]\n") {
		t.Errorf("exit %d, %d objects, want %d; %q", code, strings.Count(out, `{"protocol"`), n, errs)
	}
}

// A list that breaks off is an error, and as JSON not even begun.
func TestSessionsBreakOff(t *testing.T) {
	d := admintest.Example()
	d.SessionList = slices.Repeat(d.SessionList, 1000)
	seen := 0
	d.Fail = func(what string) error {
		if what == "session" {
			if seen++; seen > 3000 {
				return errors.New("worker 1 does not answer")
			}
		}
		return nil
	}
	code, out, errs := direct(t, d)(t.Context(), "sessions", "-o", "json")
	if code != failed || out != "" || errs != "fleetlb: director: the answer broke off\n" {
		t.Errorf("exit %d, %d bytes, %q", code, len(out), errs)
	}
}

func TestDoctorFails(t *testing.T) {
	d := admintest.Example()
	d.Findings = append(d.Findings, admin.Finding{Check: "addresses", State: "fail", Found: "203.0.113.10 is on lo", Advice: "ip addr del 203.0.113.10/32 dev lo"})
	run := direct(t, d)
	code, out, errs := run(t.Context(), "doctor")
	if code != failed || errs != "fleetlb: doctor: 1 check failed\n" || !strings.Contains(out, "\nfail   addresses ") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	d.Findings = append(d.Findings, d.Findings[2])
	if code, _, errs = run(t.Context(), "doctor", "-o", "json"); code != failed || errs != "fleetlb: doctor: 2 checks failed\n" {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// An operator may interrupt anything.
func TestInterrupted(t *testing.T) {
	d := admintest.Example()
	ctx, stop := context.WithCancel(t.Context())
	ticking(d, "reload", func(int) error { stop(); return nil })
	code, out, errs := direct(t, d)(ctx, "reload")
	if code == done && out == "" || code == failed && errs != "fleetlb: director: interrupted\n" || code == misuse {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

// What the command line is, the parsers end, and what explain takes is whole.
func FuzzTuple(f *testing.F) {
	f.Add("tcp 198.51.100.7:4711 > 203.0.113.10:80")
	f.Add("udp [2001:db8::7]:1->[2001:db8::10]:53")
	f.Add("tcp > >")
	f.Fuzz(func(t *testing.T, s string) {
		tuple, err := parseTuple([]string{s})
		if err != nil {
			if codeOf(err) != misuse {
				t.Errorf("%v is not misuse", err)
			}
			return
		}
		again, err := parseTuple([]string{tuple.Protocol, tuple.Src.String(), tuple.Dst.String()})
		if err != nil || again != tuple {
			t.Errorf("%q: %v, then %v, %v", s, tuple, again, err)
		}
	})
}
