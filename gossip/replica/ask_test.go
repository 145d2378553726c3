package replica

import (
	"testing"
	"testing/synctest"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// settled is a fleet that has done with its first pulls.
func settled(t testing.TB, n int) *fleet {
	f := newFleet(t, n)
	time.Sleep(time.Second)
	return f
}

// answer waits for the answer to a question, and how long it took.
func (d *director) answer(t testing.TB, tu packet.Tuple) (*session.Record, time.Duration) {
	t.Helper()
	start := time.Now()
	for time.Since(start) < time.Second {
		d.memory.mu.Lock()
		r, done := d.found[tu]
		d.memory.mu.Unlock()
		if done {
			return r, time.Since(start)
		}
		time.Sleep(100 * time.Microsecond)
	}
	t.Fatalf("no answer to %v", tu)
	return nil, 0
}

func TestAsk(t *testing.T) {
	inbound := func(r session.Record) packet.Tuple { return r.Face(session.Inbound) }
	outbound := func(r session.Record) packet.Tuple { return r.Face(session.Outbound) }
	for _, tt := range []struct {
		name    string
		fleet   int
		kill    bool // the home
		loss    float64
		deaf    bool // nobody answers
		session int  // of director 1, which has 0 to 99
		face    func(session.Record) packet.Tuple
		found   bool
		within  time.Duration
	}{
		{name: "the home or a keeper knows", fleet: 9, face: inbound, found: true, within: 5 * time.Millisecond},
		{name: "by a server's packet", fleet: 9, face: outbound, found: true, within: 5 * time.Millisecond},
		{name: "keepers know when the home is gone", fleet: 9, kill: true, face: inbound, found: true, within: 5 * time.Millisecond},
		{name: "also by a server's packet", fleet: 9, kill: true, face: outbound, found: true, within: 5 * time.Millisecond},
		{name: "datagrams are lost", fleet: 5, loss: 0.2, face: inbound, found: true, within: 200 * time.Millisecond},
		{name: "nobody knows", fleet: 9, session: 1000, face: inbound, within: 10 * time.Millisecond},
		{name: "nobody of many knows", fleet: 40, session: 1000, face: outbound, within: 10 * time.Millisecond},
		{name: "nobody is there", fleet: 1, session: 1000, face: inbound, within: 10 * time.Millisecond},
		{name: "nobody answers", fleet: 3, deaf: true, face: inbound, within: 210 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := settled(t, tt.fleet)
				home := f.directors[0]
				home.open(0, 100)
				time.Sleep(100 * time.Millisecond)
				// One that does not keep it, if there is any.
				r := record(home.memory.self, tt.session)
				who := f.directors[len(f.directors)-1]
				for _, d := range f.directors[1:] {
					if d.memory.count(1) == 0 || !d.has(&r) {
						who = d
					}
				}
				if tt.kill {
					f.kill(home)
				}
				f.set(func() { f.loss = tt.loss })
				for _, d := range f.directors {
					d.memory.mu.Lock()
					d.deaf = tt.deaf
					d.memory.mu.Unlock()
				}
				who.Ask(0, []packet.Tuple{tt.face(r)})
				got, took := who.answer(t, tt.face(r))
				if (got != nil) != tt.found || got != nil && identify(got) != identify(&r) {
					t.Errorf("answered %v, want found %v", got, tt.found)
				}
				if took > tt.within {
					t.Errorf("it took %v, want at most %v", took, tt.within)
				}
			})
		})
	}
}

func (m *memory) has(r *session.Record) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.all[identify(r)]
	return ok
}

// Many questions go in few datagrams, and each gets its own answer.
func TestAskMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := settled(t, 2)
		a, b := f.directors[0], f.directors[1]
		b.memory.mu.Lock()
		for n := range 500 {
			r := record(b.memory.self, 2*n)
			b.put(&r)
		}
		b.memory.mu.Unlock()
		before, _ := f.traffic()
		var tuples []packet.Tuple
		for n := range 1000 {
			r := record(b.memory.self, n)
			tuples = append(tuples, r.Face(session.Inbound))
		}
		a.Ask(0, tuples)
		for n, tu := range tuples {
			if r, _ := a.answer(t, tu); (r != nil) != (n%2 == 0) {
				t.Fatalf("question %d: %v", n, r)
			}
		}
		if n, _ := f.traffic(); n-before > 150 {
			t.Errorf("%d datagrams for 1000 questions and answers", n-before)
		}
		a.Engine.mu.Lock()
		defer a.Engine.mu.Unlock()
		if len(a.questions) > 0 {
			t.Errorf("%d questions are still open", len(a.questions))
		}
	})
}

// However many questions there are, only so many are open.
func TestAskTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := settled(t, 2)
		a, b := f.directors[0], f.directors[1]
		b.memory.deaf = true
		for n := range 3 * maxQuestions {
			r := record(b.memory.self, n)
			a.Ask(0, []packet.Tuple{r.Face(session.Inbound)})
		}
		if s := a.Stats(); s.Unaskable != 2*maxQuestions {
			t.Errorf("%d were not asked, want %d", s.Unaskable, 2*maxQuestions)
		}
		time.Sleep(time.Second)
		a.memory.mu.Lock()
		if len(a.found) != maxQuestions {
			t.Errorf("%d were answered, want %d", len(a.found), maxQuestions)
		}
		a.memory.mu.Unlock()
		if n := b.asked; n > maxLookups*maxTuples*10 {
			t.Errorf("a director that does not answer was asked %d times", n)
		}
		for _, r := range b.Refusals() {
			if r.Reason == "questions" && r.Count == 0 {
				t.Error("none was refused")
			}
		}
		for _, p := range a.roster.Load().peers {
			a.Engine.mu.Lock()
			if len(p.asked) > 0 {
				t.Errorf("%d blocks of questions are still remembered", len(p.asked))
			}
			a.Engine.mu.Unlock()
		}
	})
}
