package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlb/gossip"
	"fleetlb/node/admin"
	"fleetlb/node/config"
	"fleetlb/session"
)

// TestMerge: directors that have heard the same changes agree, in whatever order,
// however often and in whatever lots they heard of them.
func TestMerge(t *testing.T) {
	file := several(t, "web 203.0.113.10:80 > 11 12=2\ndns 203.0.113.53:53 > 21")
	sentences := []string{"weight web 11 5", "weight web 11 6", "drain web 11", "ready web 11", "delete web 12", "add web 12", "add web 13",
		"delete web 13", "weight web 13 4", "forget dns", "new dns 203.0.113.54:53 > 22", "set dns scheduler=mh", "set web quorum=2 scheduler=",
		"new api 203.0.113.20:80 > 31", "forget api", "weight api 31 7"}
	now := time.Unix(0, 0).Add(time.Hour)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var said changes
		for i := range 2 + random.IntN(12) {
			for _, c := range command(t, sentences[random.IntN(len(sentences))]) {
				c.Version, c.Origin = uint64(i*10+len(said)), fmt.Sprint("lb", 1+random.IntN(3))
				said = append(said, c)
			}
		}
		var directors [3]changes
		for i := range directors {
			heard := append(changes(nil), said...)
			random.Shuffle(len(heard), func(a, b int) { heard[a], heard[b] = heard[b], heard[a] })
			for len(heard) > 0 {
				n := 1 + random.IntN(len(heard))
				directors[i] = directors[i].merged(heard[:n], file, now)
				if random.IntN(3) == 0 { // and what another made of it
					directors[i] = directors[i].merged(directors[(i+1)%3], file, now)
				}
				heard = heard[n:]
			}
		}
		for i := range directors {
			directors[i] = directors[i].merged(directors[(i+1)%3], file, now)
		}
		first, err1 := directors[0].apply(file)
		for _, other := range directors[1:] {
			if !reflect.DeepEqual(says(directors[0]), says(other)) {
				t.Fatalf("round %d, of %q:\n%q\n%q", round, says(said), says(directors[0]), says(other))
			}
			second, err2 := other.apply(file)
			if !reflect.DeepEqual(first, second) || fmt.Sprint(err1) != fmt.Sprint(err2) {
				t.Fatalf("round %d: %s and %s", round, written(first), written(second))
			}
		}
	}
}

// A circle is what directors share, in memory.
type circle struct {
	mu   sync.Mutex
	said map[string]map[session.NodeID][]byte
	all  []*mate
}

// A mate is one director's end of it.
type mate struct {
	*friends
	circle *circle
	id     session.NodeID
}

func (m *mate) Share(key string, value []byte) error {
	m.circle.mu.Lock()
	defer m.circle.mu.Unlock()
	if m.circle.said[key] == nil {
		m.circle.said[key] = map[session.NodeID][]byte{}
	}
	if value == nil {
		delete(m.circle.said[key], m.id)
	} else {
		m.circle.said[key][m.id] = value
	}
	for _, o := range m.circle.all {
		select {
		case o.heard <- struct{}{}:
		default:
		}
	}
	return nil
}

func (m *mate) Shared(key string) map[session.NodeID][]byte {
	m.circle.mu.Lock()
	defer m.circle.mu.Unlock()
	all := map[session.NodeID][]byte{}
	for id, value := range m.circle.said[key] {
		all[id] = value
	}
	return all
}

// join adds a director to the circle.
func (c *circle) join(t *testing.T, name string) *director {
	t.Helper()
	_, d := newWorld(t, write(t, t.TempDir(), strings.Replace(carrier, "lb1", name, 1)+gossips+tomls(t, web)))
	f := &friends{syncs: make(chan error), news: make(chan struct{}, 1), heard: make(chan struct{}, 1)}
	m := &mate{f, c, session.NodeIDOf(name)}
	c.mu.Lock()
	c.all = append(c.all, m)
	c.mu.Unlock()
	d.company = &company{
		members: m, engine: engine{f}, state: gossip.Serving, epoch: 7, digest: servicesDigest(d.running),
		down: map[session.NodeID]string{}, spoken: make(chan struct{}, 1),
	}
	d.settle()
	serving(t, d)
	ctx, end := context.WithCancel(t.Context())
	var listens sync.WaitGroup
	listens.Go(func() { d.listen(ctx) })
	t.Cleanup(func() {
		end()
		listens.Wait()
	})
	return d
}

// comes waits until a director runs services.
func comes(t *testing.T, d *director, want string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, v := running(t, d)
		got := strings.ReplaceAll(strings.TrimSpace(written(v.running.Services)), "\n", "; ")
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s runs %s, want %s; it remembers %q", v.config.Node.Name, got, want, says(v.changes))
		}
	}
}

// TestFleetChange: what is changed for the fleet is changed everywhere, also where
// somebody joins later, and the later of two wins.
func TestFleetChange(t *testing.T) {
	c := &circle{said: map[string]map[session.NodeID][]byte{}}
	one, two := c.join(t, "lb1"), c.join(t, "lb2")
	do := func(d *director, words string, fleet bool) {
		t.Helper()
		var edits []admin.Edit
		for _, c := range command(t, words) {
			edits = append(edits, admin.Edit{Verb: c.Verb, Service: c.Service, Server: c.Server, Set: c.Set, Fleet: fleet})
		}
		if err := (backend{d}).Edit(t.Context(), edits); err != nil {
			t.Fatalf("%s: %v", words, err)
		}
	}
	do(one, "weight web 11 5", true)
	comes(t, one, "web: 11=5 12")
	comes(t, two, "web: 11=5 12")
	do(two, "drain web 12", false)
	do(two, "weight web 11 6", true)
	comes(t, one, "web: 11=6 12")
	comes(t, two, "web: 11=6 12!")
	do(one, "new api 203.0.113.20:80 > 31", true)
	comes(t, two, "web: 11=6 12!; api: 31")

	three := c.join(t, "lb3")
	comes(t, three, "web: 11=6 12; api: 31")
	do(three, "forget api", true)
	comes(t, one, "web: 11=6 12")
	comes(t, two, "web: 11=6 12!")
	do(two, "set web quorum=2", true)
	_, v := running(t, two)
	if got := strings.Join(says(v.changes), "; "); !strings.Contains(got, "service web: quorum 2 (fleet, by lb2)") || !strings.Contains(got, "server web 10.3.0.12:80: drain;") {
		t.Errorf("lb2 remembers %s", got)
	}

	// Back to the files, for all; what is one director's own is not the fleet's to
	// take back unless it is older.
	if err := (backend{one}).Edit(t.Context(), []admin.Edit{{Verb: "forget", Fleet: true}}); err != nil {
		t.Fatal(err)
	}
	comes(t, one, "web: 11 12")
	comes(t, two, "web: 11 12")
	comes(t, three, "web: 11 12")
}

// TestFleetChangeUnfit: what one director cannot do keeps the others from nothing,
// and is seen there.
func TestFleetChangeUnfit(t *testing.T) {
	next := with(carrying(t), several(t, "web 203.0.113.10:80 > 11 12"))
	next.Fullnat.LocalAddresses = nil
	var cs changes
	for i, words := range []string{"new six [2001:db8::1]:80", "weight web 11 3"} {
		for _, c := range command(t, words) {
			c.Version, c.Origin = uint64(i+1), "lb2"
			cs = append(cs, c)
		}
	}
	s, lost := cs.over(next, config.Host{})
	if len(lost) != 0 || written(s.running.Services) != "web: 11=3 12\n" {
		t.Errorf("lost %q, runs %s", lost, written(s.running.Services))
	}
	want := `service six: add [2001:db8::1]:80/tcp (fleet, by lb2) (not here: service "six": mode "fullnat" needs an IPv6 local address; list one in fullnat.local_addresses)`
	if got := says(s.changes); len(got) != 2 || got[0] != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// TestLots: what is shared comes back as it was, however much of it there is.
func TestLots(t *testing.T) {
	var cs changes
	for i := range 2000 {
		for _, c := range command(t, fmt.Sprintf("weight web %d 3", i%250)) {
			c.Version, c.Origin = uint64(i+1), "lb1"
			cs = append(cs, c)
		}
	}
	cs = append(cs, Change{Edit: config.Edit{Verb: "edit", Service: "web", Set: map[string]string{"quorum": "2"}}, Version: 1}) // not the fleet's
	lots, err := cs.lots()
	if err != nil || len(lots) < 2 {
		t.Fatalf("%d lots, %v", len(lots), err)
	}
	d := &director{}
	if got := d.understood(lots); !reflect.DeepEqual(got, cs[:2000]) {
		t.Errorf("%d changes of %d came back", len(got), 2000)
	}
	for _, lot := range lots {
		if len(lot) > gossip.MaxShared {
			t.Errorf("a lot of %d bytes", len(lot))
		}
	}
	for range 5 {
		cs = append(cs, cs...)
	}
	if _, err := cs.lots(); err == nil || !strings.Contains(err.Error(), "config revert --fleet") {
		t.Errorf("too many: %v", err)
	}
}
