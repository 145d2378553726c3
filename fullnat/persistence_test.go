package fullnat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// opens has clients open connections and returns the servers they went to, the
// last number of each address. A client is "198.51.100.7:4711" or, to another port
// than 443 of the VIP, "198.51.100.7:4711>80".
func (b *bench) opens(clients ...string) (servers []string) {
	b.Helper()
	b.frames()
	for _, c := range clients {
		at, port, _ := strings.Cut(c+">443", ">")
		b.inject(fmt.Sprintf("tcp %s > 203.0.113.80:%s S ttl 64 seq 1", at, strings.TrimSuffix(port, ">443")))
		b.settle()
		line := b.sent()
		_, to, ok := strings.Cut(line, " > ")
		if !ok || !strings.Contains(to, "10.0.0.") {
			servers = append(servers, "-")
			continue
		}
		to, _, _ = strings.Cut(to, ":")
		servers = append(servers, to[strings.LastIndexByte(to, '.')+1:])
	}
	b.verdictsSince()
	return servers
}

// shaken makes the handshakes of all that was opened.
func (b *bench) shaken() {
	b.Helper()
	for _, w := range b.workers {
		w.sessions.Each(0, 1<<30, func(s *session.Session) {
			if s.State != session.SynRecv {
				return
			}
			in, out := w.sessions.Face(s, session.Inbound), w.sessions.Face(s, session.Outbound)
			b.inject(
				fmt.Sprintf("eth1 tcp %s:%d > %s:%d SA ttl 64 seq 5000 ack 2", out.Src, out.SrcPort, out.Dst, out.DstPort),
				fmt.Sprintf("tcp %s:%d > %s:%d A ttl 64 seq 2 ack 5001", in.Src, in.SrcPort, in.Dst, in.DstPort))
		})
	}
	b.settle()
	b.frames()
	b.verdictsSince()
}

// over has both ends of all sessions reset, and time pass until they are forgotten.
func (b *bench) over() {
	b.Helper()
	for _, w := range b.workers {
		w.sessions.Each(0, 1<<30, func(s *session.Session) {
			in := w.sessions.Face(s, session.Inbound)
			b.inject(fmt.Sprintf("tcp %s:%d > %s:%d R ttl 64 seq 2", in.Src, in.SrcPort, in.Dst, in.DstPort))
		})
	}
	b.settle()
	b.pass(11 * time.Second)
	if left := b.sessionsNow(); len(left) > 0 {
		b.Errorf("not over: %v", left)
	}
	b.frames()
	b.verdictsSince()
}

func same(servers []string) bool {
	return len(slices.Compact(slices.Clone(servers))) == 1 && servers[0] != "-"
}

const persistent = "vip 203.0.113.80:443 → 10.0.0.11:8443 10.0.0.12:8443 10.0.0.13:8443 via 10.9.0.0/29 persist=60s "

// A client's connections go to one server, whatever workers own their slots, and
// other clients' take their turns.
func TestPersistence(t *testing.T) {
	w := newTestWorkers(t, 2, persistent)
	mine := w.opens("198.51.100.7:1", "198.51.100.7:2", "198.51.100.7:3", "198.51.100.7:4", "198.51.100.7:5", "198.51.100.7:6")
	if !same(mine) {
		t.Errorf("one client's connections went to %v", mine)
	}
	if others := w.opens("198.51.100.8:1", "198.51.100.9:1"); same(append(others, mine[0])) {
		t.Errorf("all clients' connections went to %v", others)
	}
	w.shaken()
	w.over()
	w.pass(48 * time.Second) // of the 60
	if again := w.opens("198.51.100.7:7"); again[0] != mine[0] {
		t.Errorf("a minute after the last session went to %v, want %v", again, mine[0])
	}
	w.books()
}

// The template stays while sessions hold it and its timeout longer.
func TestPersistenceEnds(t *testing.T) {
	w := newTestWorker(t, persistent)
	w.opens("198.51.100.7:1")
	w.shaken()
	w.pass(5 * time.Minute) // idle, and yet established
	if n := w.Templates().Counts().Templates; n != 1 {
		t.Errorf("%d templates while a session holds one", n)
	}
	w.over() // in eleven seconds, of which ten were the session's
	w.pass(58 * time.Second)
	count := func() (n int) {
		for range w.Templates().All(w.now) {
			n++
		}
		return n
	}
	if count() != 1 {
		t.Error("forgotten before its time")
	}
	w.pass(2 * time.Second)
	if count() != 0 {
		t.Error("not forgotten")
	}
}

// Networks are as wide as the service says.
func TestPersistenceOfNetworks(t *testing.T) {
	w := newTestWorker(t, persistent+"prefix4=24", strings.NewReplacer("203.0.113.80", "[2001:db8::80]", "10.0.0.", "[fd00::", ":8443", "]:8443", "10.9.0.0/29", "2001:db8:9::/125").Replace(persistent)+"prefix6=64")
	if mine := w.opens("198.51.100.7:1", "198.51.100.200:1", "198.51.100.77:1"); !same(mine) {
		t.Errorf("one network's connections went to %v", mine)
	}
	w.opens("198.51.101.7:1")
	if n := w.Templates().Counts().Templates; n != 2 {
		t.Errorf("%d templates of two networks", n)
	}
	w.inject("tcp [2001:db8:77::1]:1 > [2001:db8::80]:443 S ttl 64", "tcp [2001:db8:77::2]:1 > [2001:db8::80]:443 S ttl 64", "tcp [2001:db8:77:1::1]:1 > [2001:db8::80]:443 S ttl 64")
	w.settle()
	var networks []string
	for x := range w.Templates().All(w.now) {
		networks = append(networks, x.Prefix().String())
	}
	slices.Sort(networks)
	if got, want := fmt.Sprint(networks), "[198.51.100.0/24 198.51.101.0/24 2001:db8:77:1::/64 2001:db8:77::/64]"; got != want {
		t.Errorf("networks %s, want %s", got, want)
	}
}

// What becomes of a client whose server is not what it was.
func TestPersistenceOfServers(t *testing.T) {
	tests := []struct {
		name, after string
		stays       bool
	}{
		{"nothing happened", persistent, true},
		{"weight 0: it gets no new clients, and keeps those it has", strings.ReplaceAll(persistent, "10.0.0.11:8443", "10.0.0.11:8443,w0"), true},
		{"weight 0, and its clients shall leave", strings.ReplaceAll(persistent, "10.0.0.11:8443", "10.0.0.11:8443,w0") + "leave", false},
		{"at its upper threshold", strings.ReplaceAll(persistent, "10.0.0.11:8443", "10.0.0.11:8443,u1"), true},
		{"it drains", strings.ReplaceAll(persistent, "10.0.0.11", "~10.0.0.11"), false},
		{"it is down", strings.ReplaceAll(persistent, "10.0.0.11", "!10.0.0.11") + "dead=keep", false},
		{"it is gone", strings.ReplaceAll(persistent, "10.0.0.11:8443 ", ""), false},
		{"persistence is", strings.ReplaceAll(persistent, "persist=60s", ""), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newTestWorker(t, persistent)
			if got := w.opens("198.51.100.7:1"); got[0] != "11" {
				t.Fatalf("the first goes to %v", got)
			}
			w.shaken()
			w.services(tt.after)
			next := w.opens("198.51.100.7:2", "198.51.100.7:3", "198.51.100.7:4")
			if tt.stays && (!same(next) || next[0] != "11") {
				t.Errorf("the next go to %v, want 11", next)
			}
			if !tt.stays && (next[0] == "11" || !same(next) && strings.Contains(tt.after, "persist")) {
				t.Errorf("the next go to %v, want another, and all the same one", next)
			}
			w.books()
		})
	}
	t.Run("it was down, and is back", func(t *testing.T) {
		w := newTestWorker(t, persistent)
		w.opens("198.51.100.7:1")
		w.shaken()
		w.services(strings.ReplaceAll(persistent, "10.0.0.11", "!10.0.0.11"))
		w.services(persistent)
		if got := w.opens("198.51.100.8:1", "198.51.100.7:2"); got[1] == got[0] {
			t.Errorf("the client went to %v: its template should have gone, and its turn have come", got)
		}
	})
	t.Run("who stands in is not remembered", func(t *testing.T) {
		w := newTestWorker(t, strings.ReplaceAll(persistent, " 10.0.0.1", " !10.0.0.1")+"sorry 10.0.0.14:80")
		if got := w.opens("198.51.100.7:1"); got[0] != "14" {
			t.Errorf("goes to %v", got)
		}
		w.services(persistent)
		if got := w.opens("198.51.100.7:2"); got[0] == "14" {
			t.Errorf("goes to %v", got)
		}
	})
}

// Clients of one listener are known at the others of the service, and not at
// another service of the same servers.
func TestPersistenceAcrossListeners(t *testing.T) {
	line := "vip 203.0.113.80:443 → 10.0.0.11:0 10.0.0.12:0 10.0.0.13:0 via 10.9.0.0/29 persist=60s +tcp/203.0.113.80:80 +tcp/203.0.113.80:8000-8999"
	w := newTestWorkers(t, 2, line, "vip 203.0.113.80:22 → 10.0.0.11:22 10.0.0.12:22 10.0.0.13:22 persist=60s")
	if got := w.opens("198.51.100.7:1>443", "198.51.100.7:2>80", "198.51.100.7:3>8000", "198.51.100.7:4>8999", "198.51.100.7:5>443"); !same(got) {
		t.Errorf("one client's connections went to %v", got)
	}
	w.opens("198.51.100.7:6>22")
	if n := w.Templates().Counts().Templates; n != 2 {
		t.Errorf("%d templates, want one for each service", n)
	}
}

// A flood of forged addresses leaves nothing behind: what it made goes with its
// sessions.
func TestPersistenceUnderFlood(t *testing.T) {
	w := newTestWorker(t, persistent)
	w.snapshot.Ports = [2]uint16{1024, 65535}
	w.publish()
	w.opens("198.51.100.7:1")
	w.shaken()
	for i := range 5000 {
		w.inject(fmt.Sprintf("tcp 198.18.%d.%d:1 > 203.0.113.80:443 S ttl 64", i>>8, i&255))
		w.settle()
	}
	w.frames()
	if n := w.Templates().Counts().Templates; n > benchSessions {
		t.Errorf("%d templates", n)
	}
	w.pass(2 * time.Minute)
	var left []string
	for x := range w.Templates().All(w.now) {
		left = append(left, x.Prefix().String())
	}
	if fmt.Sprint(left) != "[198.51.100.7/32]" {
		t.Errorf("left %v, want only who was there", left)
	}
}

// A client that sends datagrams is there as soon as it sends one.
func TestPersistenceOfDatagrams(t *testing.T) {
	w := newTestWorker(t, "udp 203.0.113.53:514 → 10.0.0.11:514 10.0.0.12:514 via 10.9.0.1 persist=10m")
	send := func(port int) string {
		w.inject(fmt.Sprintf("udp 198.51.100.7:%d > 203.0.113.53:514 ttl 64", port))
		w.settle()
		_, to, _ := strings.Cut(w.sent(), " > ")
		return to
	}
	first := send(1)
	w.pass(6 * time.Minute) // the session's five are over
	if got := send(2); got != first {
		t.Errorf("goes to %s, and had gone to %s", got, first)
	}
}

func TestPersistenceAllocatesNothing(t *testing.T) {
	w := newTestWorker(t, persistent)
	worker, now := w.workers[0], w.now
	tuple := packet.Tuple{Protocol: packet.TCP, Dst: addr("203.0.113.80"), DstPort: 443, Src: addr("198.51.100.7")}
	svc := worker.snap.Services.Services[0]
	n := testing.AllocsPerRun(1000, func() {
		tuple.Src[15]++
		tuple.SrcPort++
		_, ref := worker.choose(svc, &tuple, now)
		worker.forgo(ref, now)
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// What becomes of a client's next connection can be asked before.
func TestPersistenceExplained(t *testing.T) {
	w := newTestWorker(t, persistent)
	ask := func() *Explanation {
		e, err := w.Explain(t.Context(), packet.Tuple{Protocol: packet.TCP, Src: addr("198.51.100.7"), SrcPort: 9, Dst: addr("203.0.113.80"), DstPort: 443})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	said := func(e *Explanation, want string) {
		t.Helper()
		if !slices.ContainsFunc(e.Why, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("%q, want one that begins %q", e.Why, want)
		}
	}
	said(ask(), "persistence: clients of 198.51.100.7/32 have no server yet")
	w.opens("198.51.100.7:1")
	e := ask()
	said(e, "persistence: clients of 198.51.100.7/32 go to server 10.0.0.11:8443")
	if e.Server.String() != "10.0.0.11:8443" || !e.Scheduler || e.NextHop == "" {
		t.Errorf("%+v", e)
	}
	w.services(strings.ReplaceAll(persistent, "10.0.0.11", "~10.0.0.11"))
	said(ask(), "persistence: clients of 198.51.100.7/32 had server 10.0.0.11:8443, which takes them no more")
	if n := w.Templates().Counts().Templates; n != 1 {
		t.Errorf("asking made it %d templates", n)
	}
	for x := range w.Persistence() {
		if x.Service != "service0" || x.Client.String() != "198.51.100.7/32" || x.Server.String() != "10.0.0.11:8443" || x.Sessions != 1 {
			t.Errorf("listed as %+v", x)
		}
	}
}

// A session holds its client to its server at whichever director carries it.
func TestPersistenceOfAdopted(t *testing.T) {
	r := newRig(t, 2, talkServices[0]+" persist=60s")
	k := talks[0]
	r.begin(&k)
	held := func(at int) uint32 {
		for x := range r.all[at].Templates().All(r.all[at].now) {
			return x.Sessions
		}
		return 0
	}
	if held(0) != 1 || held(1) != 0 {
		t.Errorf("held by %d sessions at its home, by %d elsewhere", held(0), held(1))
	}
	r.kill(0)
	r.converse([]leg{k.inbound("a request", 1, "PA", "seq 1001 ack 5001 len 99")})
	if held(1) != 1 {
		t.Errorf("held by %d sessions where it was adopted", held(1))
	}
	r.pass(5 * time.Minute)
	if held(1) != 1 {
		t.Error("let go of, though it lives")
	}
	b := r.all[1]
	b.inject("tcp " + k.client + " > " + k.vip + " R ttl 64 seq 1100")
	b.settle()
	r.pass(3 * time.Minute)
	n := 0
	for range b.Templates().All(b.now) {
		n++
	}
	if n != 0 || len(b.sessionsNow()) != 0 {
		t.Errorf("%d templates and %v are left", n, b.sessionsNow())
	}
}
