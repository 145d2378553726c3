package persist

import (
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestKeyOf(t *testing.T) {
	tests := []struct {
		client string
		bits   int
		want   string
	}{
		{"198.51.100.7", 0, "198.51.100.7/32"},
		{"198.51.100.7", 32, "198.51.100.7/32"},
		{"198.51.100.7", 24, "198.51.100.0/24"},
		{"198.51.100.199", 25, "198.51.100.128/25"},
		{"198.51.100.7", 1, "128.0.0.0/1"},
		{"2001:db8::7", 0, "2001:db8::7/128"},
		{"2001:db8:1:2:3::7", 64, "2001:db8:1:2::/64"},
		{"2001:db8::ffff", 121, "2001:db8::ff80/121"},
		{"2001:db8::7", 1, "::/1"},
	}
	for _, tt := range tests {
		if k := KeyOf(7, addr(tt.client), tt.bits); k.Prefix().String() != tt.want || k.Service != 7 {
			t.Errorf("%s/%d: %v, want %s", tt.client, tt.bits, k.Prefix(), tt.want)
		}
	}
}

// A template's life: it stays while a session holds it and a timeout longer.
func TestLife(t *testing.T) {
	s := prepared(64)
	k := key("198.51.100.7")
	if at, ref := s.Take(k, minute, 100); ref != 0 || at != (Server{}) {
		t.Fatalf("there is %v already", at)
	}
	at, ref := s.Give(k, one, false, minute, 100)
	if at != one || ref == 0 {
		t.Fatalf("given %v, ref %d", at, ref)
	}
	s.Assure(ref, 110)
	if at, ref := s.Take(k, minute, 100+100*minute); at != one || ref == 0 {
		t.Errorf("%v while a session holds it, want %v", at, one)
	} else {
		s.Release(ref, 100+100*minute)
	}
	end := 200 * minute
	s.Release(ref, end)
	s.Age(end + minute - 1)
	if at, ref := s.Take(k, minute, end+minute-1); at != one {
		t.Errorf("%v in the last moment, want %v", at, one)
	} else {
		s.Release(ref, end+minute-1)
	}
	end += minute - 1
	if at, ref := s.Take(k, minute, end+minute); ref != 0 {
		t.Errorf("%v after its time", at)
	}
	if got := listed(s, end+minute); got != "" {
		t.Errorf("listed after its time: %s", got)
	}
	for i := range Tick(8) {
		s.Age(end + minute + i*second)
	}
	if n := s.Counts().Templates; n != 0 {
		t.Errorf("%d templates are left", n)
	}
	s.sound(t)
}

// Who was never there leaves nothing behind.
func TestUnassured(t *testing.T) {
	s := prepared(64)
	k := key("198.51.100.7")
	_, a := s.Give(k, one, false, minute, 1)
	at, b := s.Take(k, minute, 1)
	if at != one {
		t.Errorf("a second connection at the same time goes to %v, want %v", at, one)
	}
	s.Release(a, 2)
	if got := listed(s, 2); got == "" {
		t.Error("gone while a session holds it")
	}
	s.Release(b, 3)
	if n := s.Counts().Templates; n != 0 {
		t.Errorf("%d templates are left", n)
	}
	if r := changed(s, 3); r != nil {
		t.Errorf("others are told %+v", r)
	}
	s.sound(t)
}

// Two workers that open for one client at once agree on the server.
func TestRaces(t *testing.T) {
	s := prepared(64)
	k := key("198.51.100.7")
	first, a := s.Give(k, one, true, minute, 1)
	second, b := s.Give(k, two, true, minute, 1)
	if first != one || second != one || a != b {
		t.Errorf("given %v and %v", first, second)
	}
	if got := s.Move(a, one, two, 2); got != two {
		t.Errorf("moved to %v, want %v", got, two)
	}
	if got := s.Move(b, one, three, 2); got != two {
		t.Errorf("moved to %v as well, want %v", got, two)
	}
}

// The templates of a server that died are forgotten, those that sessions hold too.
func TestForget(t *testing.T) {
	s := prepared(640)
	give(s, key("198.51.100.7"), one, 1)
	give(s, key("198.51.100.8"), two, 1)
	_, held := s.Give(key("198.51.100.9"), one, true, minute, 1)
	other := KeyOf(2, addr("198.51.100.7"), 0)
	give(s, &other, one, 1)
	if n := s.Forget(func(service uint64, at Server) bool { return service == 1 && at == one }); n != 2 {
		t.Errorf("forgotten %d, want 2", n)
	}
	if got, want := listed(s, 1), "198.51.100.7/32 10.0.0.11:80, 198.51.100.8/32 10.0.0.12:80"; got != want {
		t.Errorf("left %s\nwant %s", got, want)
	}
	if at, ref := s.Give(key("198.51.100.9"), three, true, minute, 2); at != three || ref != held {
		t.Errorf("given %v by %d, want %v by %d", at, ref, three, held)
	}
	s.Release(held, 3)
	if got, want := listed(s, 1+minute), "198.51.100.9/32 10.0.0.13:80"; got != want {
		t.Errorf("left %s\nwant %s", got, want)
	}
	s.sound(t)
}

// A flood of clients is bounded, and those whom sessions hold keep their places.
func TestBounds(t *testing.T) {
	const room = 64 * 20
	s := prepared(room)
	_, held := s.Give(key("198.51.100.7"), one, true, minute, 1)
	none := 0
	for i := range 20 * room {
		k := key(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
		_, ref := s.Give(k, two, i%2 == 0, minute, 1+Tick(i))
		if ref == 0 {
			none++
			continue
		}
		s.Release(ref, 1+Tick(i))
	}
	c := s.Counts()
	if c.Templates > room || c.Evicted == 0 || none != 0 {
		t.Errorf("%+v, %d found no place", c, none)
	}
	if at, ref := s.Take(key("198.51.100.7"), minute, 2); at != one {
		t.Errorf("who was held is led to %v", at)
	} else {
		s.Release(ref, 2)
	}
	s.Release(held, 2)
	s.sound(t)

	full := prepared(64)
	for i := range 64 * 10 {
		full.Give(key(fmt.Sprintf("10.0.%d.%d", i>>8, i&255)), one, true, minute, 1)
	}
	if c := full.Counts(); c.Templates != 64 || c.Refused == 0 || c.Evicted != 0 {
		t.Errorf("where all are held: %+v", c)
	}
	if at, ref := New(64).Give(key("10.0.0.1"), one, true, minute, 1); at != one || ref != 0 {
		t.Errorf("without memory: %v, %d", at, ref)
	}
}

func TestNothingAllocates(t *testing.T) {
	s := prepared(1 << 12)
	k, n := KeyOf(1, addr("198.51.0.0"), 0), 0
	var r Record
	again := func() {
		n++
		k.Network[14], k.Network[15] = byte(n>>8), byte(n)
		at, ref := s.Take(&k, minute, Tick(n))
		if ref == 0 {
			at, ref = s.Give(&k, one, false, minute, Tick(n))
		}
		s.Move(ref, at, two, Tick(n))
		s.Assure(ref, Tick(n))
		s.Release(ref, Tick(n))
		one := [1]Record{}
		s.Changed(Tick(n), one[:])
		r = one[0]
		s.Apply(&r, Tick(n))
		s.Age(Tick(n))
	}
	if a := testing.AllocsPerRun(1000, again); a != 0 {
		t.Errorf("%v allocations, want 0", a)
	}
}

// All workers at once, the control plane too: run with -race.
func TestTogether(t *testing.T) {
	s := prepared(64 * 4)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			var held []Ref
			for n := range 3000 {
				now := Tick(n)
				k := key(fmt.Sprintf("10.0.%d.%d", n%3, n*7%200))
				at, ref := s.Take(k, minute, now)
				if ref == 0 {
					at, ref = s.Give(k, one, n%3 == 0, minute, now)
				}
				if ref != 0 {
					if n%5 == 0 {
						s.Move(ref, at, []Server{one, two, three}[worker%3], now)
					}
					if n%7 == 0 {
						s.Assure(ref, now)
					}
					held = append(held, ref)
				}
				if len(held) > 10 {
					s.Release(held[0], now)
					held = held[1:]
				}
			}
			for _, ref := range held {
				s.Release(ref, 3000)
			}
		})
	}
	wg.Go(func() {
		var some [8]Record
		for n := range 300 {
			now := Tick(n * 10)
			s.Age(now)
			for i := range s.Changed(now, some[:]) {
				s.Apply(&some[i], now)
			}
			s.Forget(func(_ uint64, at Server) bool { return n%10 == 0 && at == two })
			s.Counts()
			for range s.All(now) {
			}
		}
	})
	wg.Wait()
	s.sound(t)
	for i := range s.shards {
		for n := range s.shards[i].entries {
			if e := &s.shards[i].entries[n]; e.uses != 0 {
				t.Fatalf("held by nobody, and yet %+v", e)
			}
		}
	}
}

// Whatever is done to a store, it answers as a map would that is told the same.
func TestStoreIsAMap(t *testing.T) {
	type template struct {
		server  Server
		uses    int
		assured bool
		expires Tick
	}
	rapid.Check(t, func(t *rapid.T) {
		s, now := prepared(64*16), Tick(1)
		model := map[string]*template{}
		refs := map[string]Ref{}
		clients := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1"}
		servers := []Server{one, two, three}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c := rapid.SampledFrom(clients).Draw(t, "client")
			at := rapid.SampledFrom(servers).Draw(t, "server")
			m := model[c]
			if m != nil && m.uses == 0 && m.expires <= now {
				m = nil
				delete(model, c)
			}
			switch op := rapid.SampledFrom([]string{"open", "move", "assure", "close", "forget", "age", "wait"}).Draw(t, "op"); op {
			case "open":
				got, ref := s.Take(key(c), minute, now)
				if (ref != 0) != (m != nil && m.server != Server{}) || ref != 0 && got != m.server {
					t.Fatalf("take %s: %v, %d; want %+v", c, got, ref, m)
				}
				if ref == 0 {
					if _, ref = s.Give(key(c), at, false, minute, now); ref == 0 {
						t.Fatal("no room")
					}
					if m == nil {
						m = &template{}
						model[c] = m
					}
					m.server, m.assured = at, false
				}
				m.uses++
				refs[c] = ref
			case "move":
				if m != nil && m.uses > 0 {
					s.Move(refs[c], m.server, at, now)
					m.server = at
				}
			case "assure":
				if m != nil && m.uses > 0 {
					s.Assure(refs[c], now)
					m.assured = true
				}
			case "close":
				if m == nil || m.uses == 0 {
					continue
				}
				s.Release(refs[c], now)
				m.uses--
				m.expires = now + minute
				if m.uses == 0 && (!m.assured || m.server == Server{}) {
					delete(model, c)
				}
			case "forget":
				s.Forget(func(_ uint64, gone Server) bool { return gone == at })
				for c, m := range model {
					if m.server == at {
						m.server = Server{}
						if m.uses == 0 {
							delete(model, c)
						}
					}
				}
			case "age":
				s.Age(now)
			case "wait":
				now += Tick(rapid.IntRange(1, int(minute)).Draw(t, "ticks"))
			}
			want := 0
			for _, m := range model {
				if m.server != (Server{}) && (m.uses > 0 || m.expires > now) {
					want++
				}
			}
			got := 0
			for range s.All(now) {
				got++
			}
			if got != want {
				t.Fatalf("%d templates, want %d", got, want)
			}
		}
	})
}

func BenchmarkTakeAndRelease(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := prepared(2 * n)
			k := KeyOf(1, addr("10.0.0.0"), 0)
			at := func(i int) *Key {
				k.Network[13], k.Network[14], k.Network[15] = byte(i>>16), byte(i>>8), byte(i)
				return &k
			}
			for i := range n {
				give(s, at(i), one, 1)
			}
			for i := 0; b.Loop(); i++ {
				_, ref := s.Take(at(i*7919%n), minute, 1)
				s.Release(ref, 1)
			}
		})
	}
}
