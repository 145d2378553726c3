package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fleetlb/gossip"
	"fleetlb/gossip/replica"
	"fleetlb/node/admin"
	"fleetlb/session"
)

// friends are the rest of a fleet, as one director meets it.
type friends struct {
	mu        sync.Mutex
	members   []gossip.Member
	conflicts []gossip.Conflict
	told      []gossip.Info
	live      []replica.Member
	self      session.Owner
	atRisk    int
	syncs     chan error // what becomes of each Sync
	reborn    chan struct{}
	left      bool
	keys      [][]byte
	shared    map[string]map[session.NodeID][]byte
	heard     chan struct{}
	news      chan struct{}
}

func (f *friends) Members() []gossip.Member     { return f.members }
func (f *friends) Changes() <-chan struct{}     { return f.news }
func (f *friends) Conflicts() []gossip.Conflict { return f.conflicts }
func (f *friends) Address() netip.AddrPort      { return netip.MustParseAddrPort("10.1.0.11:7946") }
func (f *friends) Refusals() []gossip.Refusal {
	return []gossip.Refusal{{Reason: "forged", Text: "sealed with another key", Count: 3}, {Reason: "stale"}}
}
func (f *friends) Leave(context.Context) error   { f.left = true; return nil }
func (f *friends) Handle(string, gossip.Handler) {}
func (f *friends) Keyring(context.Context) []gossip.KeyHolder {
	return []gossip.KeyHolder{{Member: "lb1", Keys: []string{"aa"}}, {Member: "lb2", Err: errors.New("away")}}
}
func (f *friends) AddKey(_ context.Context, key []byte) (string, []gossip.KeyHolder) {
	return "", []gossip.KeyHolder{{Member: "lb1", Err: errors.New("a key has 32 bytes")}}
}
func (f *friends) UseKey(context.Context, string) []gossip.KeyHolder    { return nil }
func (f *friends) RemoveKey(context.Context, string) []gossip.KeyHolder { return nil }
func (f *friends) SetKeys(keys [][]byte) error                          { f.keys = keys; return nil }
func (f *friends) Call(context.Context, session.NodeID, string, []byte) (io.ReadCloser, error) {
	return nil, errors.New("no answer")
}

func (f *friends) Share(key string, value []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.members) > 0 { // the first says the same
		if f.shared == nil {
			f.shared = map[string]map[session.NodeID][]byte{}
		}
		f.shared[key] = map[session.NodeID][]byte{f.members[0].ID: value}
	}
	return nil
}

func (f *friends) SharedChanges() <-chan struct{} { return f.heard }

func (f *friends) Shared(key string) map[session.NodeID][]byte { return f.shared[key] }

func (f *friends) Announce(i gossip.Info) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, i)
	return nil
}

// states are what was told since it was last asked.
func (f *friends) states() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.told {
		all = append(all, string(i.State))
	}
	f.told = nil
	return slices.Compact(all)
}

type engine struct{ *friends }

func (e engine) SetSelf(o session.Owner) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.self = o
	close(e.reborn)
	e.reborn = make(chan struct{})
}
func (e engine) SetMembers(m []replica.Member)                     { e.live = m }
func (e engine) Partly() (none [session.Slots]bool)                { return none }
func (e engine) KeepsOf(session.NodeID) (none [session.Slots]bool) { return none }
func (e engine) Keeps() (all [session.Slots]bool) {
	for i := range all {
		all[i] = true
	}
	return all
}
func (e engine) Stats() replica.Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return replica.Stats{AtRisk: e.atRisk}
}
func (e engine) Refusals() []replica.Refusal { return nil }
func (e engine) Sync(ctx context.Context, _ func(replica.Progress)) error {
	e.mu.Lock()
	reborn := e.reborn
	e.mu.Unlock()
	select {
	case err := <-e.syncs:
		return err
	case <-reborn:
		return errors.New("another life has begun")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// member is another director: its name, a ! if it is dead, and its block.
func member(name, block string) gossip.Member {
	bare := strings.TrimSuffix(name, "!")
	return gossip.Member{
		ID: session.NodeIDOf(bare), Name: bare, Alive: bare == name, Since: time.Now(),
		Info: gossip.Info{Epoch: 1, State: gossip.Serving, Blocks: []netip.Prefix{netip.MustParsePrefix(block)}},
	}
}

const gossips = `
[gossip]
bind = "127.0.0.1:7946"
seeds = ["127.0.0.1:7947"]
`

// newFleet is a world with a director that has joined others.
func newFleet(t *testing.T, members ...gossip.Member) (*world, *director, *friends) {
	t.Helper()
	w, d := newWorld(t, write(t, t.TempDir(), carrier+speaks+gossips+tomls(t, web)))
	w.health(d, "11 up, 12 up")
	f := &friends{members: members, syncs: make(chan error), reborn: make(chan struct{}), news: make(chan struct{}, 1)}
	d.company = &company{members: f, engine: engine{f}, syncing: true, state: gossip.Syncing, epoch: 7, digest: servicesDigest(d.running), down: map[session.NodeID]string{}}
	d.meet()
	return w, d, f
}

// TestRekey: what somebody wrote into the key file is taken by a reload.
func TestRekey(t *testing.T) {
	dir := t.TempDir()
	hold := func(keys ...string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "gossip.key"), []byte(strings.Join(keys, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, two := strings.Repeat("A", 43)+"=", strings.Repeat("AQEB", 10)+"AQE="
	hold(one)
	_, d := newWorld(t, write(t, dir, carrier+speaks+gossips+"key_file = \"gossip.key\"\n"+tomls(t, web)))
	f := &friends{}
	d.company = &company{members: f, engine: engine{f}, digest: servicesDigest(d.running)}
	serving(t, d)
	hold(two, one)
	if _, err := d.reload(); err != nil {
		t.Fatal(err)
	}
	if len(f.keys) != 2 || f.keys[0][0] != 1 || f.keys[1][0] != 0 {
		t.Errorf("the ring is %x", f.keys)
	}
}

// routesNow are what was announced last.
func routesNow(w *world) string {
	last := ""
	for line := range strings.Lines(w.since()) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "announce"); ok {
			last = strings.TrimSpace(rest)
		}
	}
	return last
}

// TestBackups: every director announces every block, each successor with a path
// of its own length, and they keep their order whoever else comes or goes.
func TestBackups(t *testing.T) {
	block := func(i int) string { return fmt.Sprintf("10.2.%d.0/28", i) }
	// order lists who announces a block, the most wanted first, while the
	// directors in dead are.
	order := func(of, n int, dead ...int) (names []string) {
		prepends := map[int]string{}
		for self := 1; self <= n; self++ {
			if slices.Contains(dead, self) {
				continue
			}
			in := sound(nil, "")
			in.locals, in.self = []netip.Prefix{netip.MustParsePrefix(block(self))}, session.NodeIDOf(fmt.Sprint("lb", self))
			for other := 1; other <= n; other++ {
				if other != self {
					m := member(fmt.Sprint("lb", other), block(other))
					m.Alive = !slices.Contains(dead, other)
					in.others = append(in.others, m)
				}
			}
			for _, r := range newPlan(in).routes {
				if r.Prefix.String() != block(of) {
					continue
				}
				if other, taken := prepends[r.Prepend]; taken {
					t.Fatalf("%s and lb%d announce %s with %d prepended", other, self, block(of), r.Prepend)
				}
				prepends[r.Prepend] = fmt.Sprint("lb", self)
			}
		}
		for prepend := range mostPrepended + 1 {
			if name := prepends[prepend]; name != "" {
				names = append(names, name)
			}
		}
		return names
	}
	first := map[string]bool{}
	for of := 1; of <= 5; of++ {
		all := order(of, 5)
		if len(all) != 5 || all[0] != fmt.Sprint("lb", of) {
			t.Errorf("%s is announced by %v, want all, its owner first", block(of), all)
		}
		first[all[1]] = true
		if got := order(of, 5, of); !slices.Equal(got, all[1:]) {
			t.Errorf("%s without its owner: %v, want %v", block(of), got, all[1:])
		}
		gone := all[2]
		want := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == gone })
		var number int
		fmt.Sscanf(gone, "lb%d", &number)
		if got := order(of, 5, number); !slices.Equal(got, want) {
			t.Errorf("%s without %s: %v, want %v", block(of), gone, got, want)
		}
	}
	if len(first) < 2 {
		t.Errorf("all blocks fall to %v", first)
	}
}

// TestSync: nothing is announced before the sessions are known, whether that
// goes well or not.
func TestSync(t *testing.T) {
	for _, tt := range []struct {
		name    string
		outcome error
		problem string
	}{
		{"all of them", nil, ""},
		{"not all of them", errors.New("lb2: the stream broke off"), "it may not know all sessions: lb2: the stream broke off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, d, f := newFleet(t, member("lb2", "10.2.2.0/28"))
				d.settle()
				if got := routesNow(w); got != "" || d.state() != "syncing" {
					t.Errorf("%s: announces %q before it is in sync", d.state(), got)
				}
				if s := d.snapshot.Fleet; !s.Fenced || len(s.Members) != 1 || s.Self.Epoch != 7 {
					t.Errorf("the workers are told %+v", s)
				}
				serving(t, d)
				go d.sync(t.Context(), 7)
				f.syncs <- tt.outcome
				synctest.Wait()
				if got, want := d.plan.serves(d.plan.routes[1]), "local addresses of lb2"; got != want {
					t.Errorf("a backup is for %q, want %q", got, want)
				}
				if got, want := routesNow(w), "10.2.1.0/28 10.2.2.0/28 203.0.113.10/32"; got != want {
					t.Errorf("in sync it announces %q, want %q", got, want)
				}
				d.do(t.Context(), func() error {
					if d.snapshot.Fleet.Fenced {
						t.Error("the workers are still fenced")
					}
					return nil
				})
				if got := f.states(); !slices.Equal(got, []string{"serving"}) {
					t.Errorf("the fleet is told %q", got)
				}
				v, _ := d.view(t.Context())
				if v.problem() != tt.problem {
					t.Errorf("problem %q, want %q", v.problem(), tt.problem)
				}
				if tt.outcome != nil {
					f.syncs <- nil // it has gone on trying
					synctest.Wait()
				}
				if v, _ = d.view(t.Context()); v.problem() != "" {
					t.Errorf("problem %q when it has caught up", v.problem())
				}
			})
		})
	}
}

// A fleet that does not answer keeps a director waiting for so long and no
// longer, and the operator hears of it.
func TestSyncTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, _ := newFleet(t, member("lb2", "10.2.2.0/28"))
		serving(t, d)
		began := time.Now()
		d.sync(t.Context(), 7)
		if took := time.Since(began).Round(time.Second); took != 30*time.Second {
			t.Errorf("waited %v", took)
		}
		if got := routesNow(w); !strings.Contains(got, "203.0.113.10/32") {
			t.Errorf("announces %q", got)
		}
		v, _ := d.view(t.Context())
		if want := "it may not know all sessions: not done after sync_timeout 30s"; v.problem() != want {
			t.Errorf("problem %q, want %q", v.problem(), want)
		}
	})
}

// TestFrozen: who was frozen announces nothing, in a new life, until it has
// learned what it missed.
func TestFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, f := newFleet(t, member("lb2", "10.2.2.0/28"))
		serving(t, d)
		go d.sync(t.Context(), 7)
		f.syncs <- nil
		synctest.Wait()
		w.since()
		f.states()
		d.freeze(time.Minute)
		synctest.Wait()
		d.freeze(time.Minute) // another worker, a moment later
		synctest.Wait()
		if got := routesNow(w); got != "" {
			t.Errorf("announces %q", got)
		}
		if got := f.states(); !slices.Equal(got, []string{"syncing"}) || f.self.Epoch <= 7 {
			t.Errorf("tells %q in epoch %d", got, f.self.Epoch)
		}
		synctest.Wait()
		if got := routesNow(w); got != "" { // the sync that the second worker has ended says nothing
			t.Errorf("announces %q after a sync of an earlier life", got)
		}
		f.syncs <- nil
		synctest.Wait()
		if got := routesNow(w); !strings.Contains(got, "203.0.113.10/32") {
			t.Errorf("afterwards announces %q", got)
		}
	})
}

// TestConflict: who does not fit announces nothing, except that services may be
// changed on one director after the other.
func TestConflict(t *testing.T) {
	for _, tt := range []struct {
		name          string
		conflict      gossip.Conflict
		served, holds bool
	}{
		{"our name", gossip.Conflict{Kind: gossip.ConflictName, Ours: true, Text: "lb1 is also at 10.1.0.19"}, true, true},
		{"our block", gossip.Conflict{Kind: gossip.ConflictBlocks, Ours: true, Text: "10.2.1.0/28 is lb2's"}, true, true},
		{"their block", gossip.Conflict{Kind: gossip.ConflictBlocks, Text: "10.2.1.0/28 is ours"}, true, false},
		{"our services, as we join", gossip.Conflict{Kind: gossip.ConflictConfig, Ours: true, Text: "services differ"}, false, true},
		{"our services, changed later", gossip.Conflict{Kind: gossip.ConflictConfig, Ours: true, Text: "services differ"}, true, false},
		{"a clock", gossip.Conflict{Kind: gossip.ConflictClock, Ours: true, Text: "clocks differ"}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, d, f := newFleet(t, member("lb2", "10.2.2.0/28"))
			d.company.syncing, d.company.served = false, tt.served
			f.conflicts = []gossip.Conflict{tt.conflict}
			d.meet()
			d.settle()
			if got := routesNow(w); (got == "") != tt.holds {
				t.Errorf("announces %q, held: %v", got, tt.holds)
			}
			if tt.holds != (d.state() == "barred") {
				t.Errorf("is %s", d.state())
			}
			f.conflicts = nil
			d.meet()
			d.settle()
			if got := routesNow(w); !strings.Contains(got, "203.0.113.10/32") {
				t.Errorf("afterwards announces %q", got)
			}
		})
	}
}

// TestShare: before connections are moved away, all others know them.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, f := newFleet(t, member("lb2", "10.2.2.0/28"))
		d.company.syncing = false
		d.settle()
		serving(t, d)
		w.since()
		f.atRisk = 5
		time.AfterFunc(time.Second, func() { f.mu.Lock(); f.atRisk = 0; f.mu.Unlock() })
		w.timed()
		if err := d.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := w.since(), "0s announce 10.2.1.0/28 10.2.2.0/28 203.0.113.10/32\n0s publish web(2)\n"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "1s announce 10.2.1.0/28 10.2.2.0/28") {
			t.Errorf("drain:\n%s", got)
		}
		if got := f.states(); !slices.Equal(got, []string{"serving", "draining"}) {
			t.Errorf("tells %q", got)
		}
	})
}

// TestLeaveFleet: a director that has others does not wait for its sessions to
// end, and says good-bye.
func TestLeaveFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d, f := newFleet(t, member("lb2", "10.2.2.0/28"))
		d.company.syncing = false
		d.config.Node.DrainTimeout = time.Hour
		w.sessions = 1000
		d.settle()
		w.since()
		began := time.Now()
		d.leave()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("left after %v", took)
		}
		if !f.left {
			t.Error("without a word")
		}
		if got := f.states(); !slices.Equal(got, []string{"serving", "draining", "leaving"}) {
			t.Errorf("tells %q", got)
		}
	})
}

// TestNodes: the whole fleet, and what is wrong with whom.
func TestNodes(t *testing.T) {
	_, d, f := newFleet(t, member("lb2", "10.2.2.0/28"), member("lb3!", "10.2.3.0/28"))
	d.company.syncing = false
	f.conflicts = []gossip.Conflict{{Kind: gossip.ConflictBlocks, With: f.members[0], Text: "lb2 has a part of our 10.2.1.0/28"}}
	d.meet()
	d.settle()
	serving(t, d)
	b := backend{d}
	nodes, err := b.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range nodes {
		got = append(got, strings.TrimSpace(n.Name+" "+n.State+" "+n.Problem))
	}
	want := []string{"lb1 serving", "lb2 serving lb2 has a part of our 10.2.1.0/28", "lb3 dead"}
	if !slices.Equal(got, want) {
		t.Errorf("nodes %q, want %q", got, want)
	}
	// Numbers change without a word, and are those of now all the same.
	f.members = slices.Clone(f.members)
	f.members[0].Numbers = gossip.Numbers{Sessions: 7, Slots: 255, SlotsOf: 256}
	if nodes, err = b.Nodes(t.Context()); err != nil || nodes[1].Sessions != 7 || nodes[1].Slots != 255 || nodes[1].SlotsOf != 256 {
		t.Errorf("node %+v, %v", nodes[1], err)
	}
	findings, err := b.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for check, state := range map[string]string{"director lb2": "ok", "director lb3": "warn", "fleet": "warn", "fleet: forged": "warn"} {
		if i := slices.IndexFunc(findings, func(f admin.Finding) bool { return f.Check == check }); i < 0 || findings[i].State != state {
			t.Errorf("doctor says nothing of %q, or not %s: %+v", check, state, findings)
		}
	}
	// With nobody there, the seeds are what to look at.
	f.members, d.config.Gossip.Seeds = nil, []netip.AddrPort{f.Address(), netip.MustParseAddrPort("10.1.0.12:7946")}
	if findings, err = b.Doctor(t.Context()); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(findings, func(f admin.Finding) bool { return f.Check == "fleet: seeds" }); i < 0 ||
		findings[i].State != "warn" || findings[i].Found != "no other director has been found at [10.1.0.12:7946]" {
		t.Errorf("doctor says nothing of seeds that do not answer: %+v", findings)
	}
	holders, err := b.Keyring(t.Context())
	if err != nil || len(holders) != 2 || holders[1].Error != "away" {
		t.Errorf("keyring: %+v, %v", holders, err)
	}
	if _, err := b.AddKey(t.Context(), "c2hvcnQ="); err == nil || err.Error() != "a key has 32 bytes" {
		t.Errorf("a short key: %v", err)
	}
	_, alone := newWorld(t, write(t, t.TempDir(), carrier))
	if _, err := (backend{alone}).Keyring(t.Context()); err != errAlone {
		t.Errorf("alone: %v", err)
	}
}

// TestDoubt: who finds servers dead resets their sessions only if another
// director finds them dead, too, or there never was another.
func TestDoubt(t *testing.T) {
	w, d, f := newFleet(t, member("lb2", "10.2.2.0/28"), member("lb3!", "10.2.3.0/28"))
	d.company.syncing = false
	doubted := func() (all []string) {
		d.settle()
		for _, s := range d.table.Servers {
			if s.Doubted {
				all = append(all, last(netip.AddrPortFrom(s.Addr.Netip(), s.Port)))
			}
		}
		return all
	}
	w.health(d, "11 up, 12 down")
	if got := doubted(); !slices.Equal(got, []string{"12"}) {
		t.Errorf("doubted: %q, want 12", got)
	}
	told := f.shared[deadKey][f.members[0].ID] // lb2 says the same
	if !d.company.consult() || d.company.consult() {
		t.Error("what lb2 says is no news, or is news twice")
	}
	if got := doubted(); got != nil || len(told) != 8 {
		t.Errorf("doubted: %q, and lb2 says so as well", got)
	}
	w.health(d, "11 down, 12 down")
	f.shared[deadKey] = map[session.NodeID][]byte{f.members[0].ID: told}
	if got := doubted(); !slices.Equal(got, []string{"11"}) {
		t.Errorf("doubted: %q, want 11", got)
	}
	for _, tt := range []struct {
		name    string
		members []gossip.Member
		want    []string
	}{
		{"the other is not heard of", []gossip.Member{member("lb2!", "10.2.2.0/28")}, []string{"11", "12"}},
		{"it has left", []gossip.Member{{Left: true}}, nil},
		{"there never was one", nil, nil},
	} {
		f.members = tt.members
		d.meet()
		if got := doubted(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: doubted: %q, want %q", tt.name, got, tt.want)
		}
	}
}
