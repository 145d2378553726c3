package replica

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fleetlb/session"
)

// same says in what two directors differ about a home's sessions.
func (f *fleet) same(a, b *director, home session.NodeID) error {
	x, _ := a.memory.Digests(context.Background())
	y, _ := b.memory.Digests(context.Background())
	if x[home] == nil || y[home] == nil || *x[home] != *y[home] {
		return fmt.Errorf("%v has %d sessions of %v, %v has %d, or others",
			a.memory.self.ID, a.memory.count(home), home, b.memory.self.ID, b.memory.count(home))
	}
	return nil
}

// populated is a fleet of n directors, each with so many sessions of its own,
// beginning with number 0, 10,000 and so on, which their keepers have.
func populated(t *testing.T, n, each int) *fleet {
	t.Helper()
	f := settled(t, n)
	for i, d := range f.directors {
		d.open(10000*i, each)
	}
	time.Sleep(time.Second)
	return f
}

// isolate cuts one member off from all others.
func (f *fleet) isolate(id session.NodeID) {
	f.set(func() { f.cut = func(from, to session.NodeID) bool { return from == id != (to == id) } })
}

// reunite ends what was cut.
func (f *fleet) reunite() { f.set(func() { f.cut = nil }) }

// A director that others do not know yet gets nothing, and says why.
func TestSyncAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := populated(t, 3, 3000)
		f.kill(f.directors[0])

		again := f.start(session.Owner{ID: 1, Epoch: 2})
		again.SetMembers(f.others(again))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := again.Sync(ctx, nil); err == nil || !strings.Contains(err.Error(), "not a member here yet") {
			t.Errorf("%v; want that the others do not know it yet", err)
		}
	})
}

// A director that lost its memory gets its own sessions back, and those it keeps.
func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := populated(t, 3, 3000)
		f.kill(f.directors[0])
		again := f.start(session.Owner{ID: 1, Epoch: 2})
		f.meet()
		var last Progress
		calls := 0
		if err := again.Sync(t.Context(), func(p Progress) {
			if p.Records < last.Records || p.Slots < last.Slots && last.MembersOf == p.MembersOf {
				t.Errorf("progress went back from %+v to %+v", last, p)
			}
			last = p
			calls++
		}); err != nil {
			t.Fatal(err)
		}
		for home := range 3 {
			if n := again.count(session.NodeID(home + 1)); n != 3000 {
				t.Errorf("it has %d sessions of director %d, want 3000", n, home+1)
			}
		}
		if last.Slots != session.Slots || last.SlotsOf != session.Slots || last.Members != 2 || last.Records != last.RecordsOf || calls < 3 {
			t.Errorf("%d calls of progress, the last %+v", calls, last)
		}
		if last.Records > 9500 {
			t.Errorf("%d records for 9000 sessions: some came twice", last.Records)
		}
		if err := again.Sync(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if s := again.Stats(); s.Pulled > last.Records+20000 {
			t.Errorf("pulled %d", s.Pulled)
		}
		time.Sleep(time.Second)
		if s := again.Stats(); s.Slots != s.SlotsOf {
			t.Errorf("%d of %d slots whole", s.Slots, s.SlotsOf)
		}
	})
}

// Slots that are equal already are not sent.
func TestPullSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := settled(t, 2)
		a, b := f.directors[0], f.directors[1]
		a.open(0, 3000)
		time.Sleep(time.Second)
		before := b.Stats().Pulled
		if err := b.Sync(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if n := b.Stats().Pulled - before; n != 0 {
			t.Errorf("%d records came, although nothing differed", n)
		}
		r := record(a.memory.self, 17)
		b.memory.mu.Lock()
		b.remove(&r)
		b.memory.mu.Unlock()
		if err := b.Sync(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if n := b.Stats().Pulled - before; n == 0 || n > 40 {
			t.Errorf("%d records came for one slot that differed", n)
		}
		if err := f.same(a, b, 1); err != nil {
			t.Error(err)
		}
	})
}

// What a keeper lost or kept too much of is found by the home's mark, the second
// time in a row or when none follows.
func TestMarks(t *testing.T) {
	for _, marks := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d marks", marks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := settled(t, 3)
				a, b, c := f.directors[0], f.directors[1], f.directors[2]
				a.open(0, 1000)
				time.Sleep(time.Second)
				lost, extra := record(a.memory.self, 17), record(a.memory.self, 5000)
				for n := 5001; extra.ClientSlot() != lost.ClientSlot(); n++ {
					extra = record(a.memory.self, n)
				}
				b.memory.mu.Lock()
				b.remove(&lost)
				b.put(&extra)
				b.memory.mu.Unlock()

				for range marks {
					a.mark(lost.ClientSlot())
					time.Sleep(time.Second)
				}
				if marks == 2 {
					if err := f.same(a, b, 1); err != nil {
						t.Error(err)
					}
				}
				eventually(t, 2*time.Second, func() error { return f.same(a, b, 1) })
				if s := b.Stats(); s.Erased != 1 || s.Differed != uint64(marks) {
					t.Errorf("%d erased, %d differed; want 1, %d", s.Erased, s.Differed, marks)
				}
				if n := c.Stats().Differed; n != 0 {
					t.Errorf("the other keeper differed %d times", n)
				}
			})
		})
	}
}

// Members come and go; whoever is there keeps what it should, and of those who
// are gone all that anybody had.
func TestComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 500
		f := populated(t, 5, each)
		kept := func() error {
			for _, d := range f.directors {
				for _, home := range []session.NodeID{1, 2, 3, 4, 5} {
					if home == d.memory.self.ID {
						continue
					}
					slots := d.roster.Load().kept(home)
					for n := range each {
						r := record(session.Owner{ID: home, Epoch: 1}, 10000*int(home-1)+n)
						if slots.has(r.ClientSlot()) && !d.has(&r) {
							return fmt.Errorf("director %d has no copy of session %d of %d", d.memory.self.ID, n, home)
						}
					}
				}
			}
			return nil
		}
		if err := kept(); err != nil {
			t.Fatal(err)
		}
		for range 3 { // with two copies, only one at a time may die
			f.kill(f.directors[0])
			eventually(t, 3*time.Second, kept)
		}
		f.start(session.Owner{ID: 9, Epoch: 1})
		f.meet()
		eventually(t, 5*time.Second, kept)
	})
}

// What the home ends while it is being pulled does not come back.
func TestEndedWhilePulled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := settled(t, 2)
		a, b := f.directors[0], f.directors[1]
		f.set(func() { f.cut = func(_, _ session.NodeID) bool { return true } })
		a.memory.mu.Lock()
		for n := range 20000 {
			r := record(a.memory.self, n)
			a.put(&r)
		}
		a.memory.mu.Unlock()
		f.reunite()
		var once sync.Once
		if err := b.Sync(t.Context(), func(p Progress) {
			if p.Records > 100 {
				once.Do(func() {
					a.end(0, 20000)
					time.Sleep(10 * time.Millisecond)
				})
			}
		}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 2*time.Second, func() error {
			if n := b.count(1); n != 0 {
				return fmt.Errorf("%d sessions came back", n)
			}
			return nil
		})
	})
}

// A partition ends and both sides hear what the other's sessions have come to.
func TestPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := populated(t, 3, 1000)
		lonely := f.directors[0]
		f.isolate(1)
		all := slices.Clone(f.directors)
		lonely.SetMembers(nil)
		f.directors = all[1:]
		f.meet()
		for i, d := range all {
			d.open(10000*i+1000, 500)
			d.end(10000*i, 300)
		}
		time.Sleep(time.Minute)
		f.reunite()
		f.directors = all
		f.meet()
		eventually(t, 5*time.Second, func() error {
			for home := range 3 {
				for _, d := range all {
					if err := f.same(all[home], d, session.NodeID(home+1)); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if n := lonely.count(1); n != 1200 {
			t.Errorf("it has %d sessions of its own, want 1200", n)
		}
	})
}

// A member that takes nothing for a while slows nobody down, and catches up.
func TestFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := settled(t, 3)
		a, b, c := f.directors[0], f.directors[1], f.directors[2]
		f.set(func() { f.frozen[2] = true })
		for n := range 5000 {
			a.open(n*40, 40)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		if err := f.same(a, c, 1); err != nil {
			t.Error(err)
		}
		if s := a.Stats(); s.AtRisk != 0 {
			t.Errorf("%d at risk, although one keeper has them", s.AtRisk)
		}
		f.set(func() { f.frozen[2] = false })
		for _, late := range f.late[2] {
			late()
		}
		eventually(t, 10*time.Second, func() error { return f.same(a, b, 1) })
	})
}

// A member that is frozen, and not known to be, holds up nobody who starts.
func TestSyncBesideFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := populated(t, 3, 100)
		f.kill(f.directors[2])
		again := f.start(session.Owner{ID: 3, Epoch: 2})
		f.meet()
		f.directors[0].memory.mu.Lock()
		f.directors[0].slow = 30 * time.Second // it takes streams and says nothing
		f.directors[0].memory.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go again.Sync(ctx, nil)
		eventually(t, 5*time.Second, func() error {
			if n := again.count(3); n != 100 {
				return fmt.Errorf("%d of its 100 sessions are back", n)
			}
			return nil
		})
		f.directors[0].memory.mu.Lock()
		f.directors[0].slow = 0
		f.directors[0].memory.mu.Unlock()
		time.Sleep(time.Minute) // nobody waits any more
	})
}

// A receiver that has forgotten a stream has it begun anew.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := settled(t, 3)
		a, b, c := f.directors[0], f.directors[1], f.directors[2]
		a.open(0, 100)
		time.Sleep(time.Second)
		b.SetMembers([]Member{member(c.memory.self)}) // a does not notice
		time.Sleep(absence)
		a.open(100, 100)
		b.SetMembers(nil) // and then b has forgotten it
		b.SetMembers(f.others(b))
		a.open(200, 100)
		eventually(t, 3*time.Second, func() error { return f.same(a, b, 1) })
		a.open(300, 100)
		eventually(t, 50*time.Millisecond, func() error { return f.same(a, b, 1) })
	})
}

// What a director has to say of another's sessions while the two cannot reach
// each other is told when they can.
func TestAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := settled(t, 3)
		a, b, c := f.directors[0], f.directors[1], f.directors[2]
		a.open(0, 10)
		time.Sleep(time.Second)
		f.isolate(1)
		a.SetMembers(nil)
		b.SetMembers([]Member{member(c.memory.self)})
		c.SetMembers([]Member{member(b.memory.self)})
		touch := record(a.memory.self, 5)
		touch.State, touch.Idle = session.CloseWait, 7
		b.Engine.Tell(0, []session.Record{touch})
		time.Sleep(time.Minute)
		f.reunite()
		f.meet()
		eventually(t, time.Second, func() error {
			a.memory.mu.Lock()
			defer a.memory.mu.Unlock()
			if r := a.all[identify(&touch)]; r.State != session.CloseWait {
				return fmt.Errorf("the home has it as %v", r.State)
			}
			return nil
		})
	})
}
