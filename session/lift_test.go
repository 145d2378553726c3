package session

import (
	"testing"

	"fleetlb/fullnat/packet"
)

// A hoist is a carrier that remembers what it was told.
type hoist struct {
	t             *Table
	landed, heard int
	hearsay       Hearsay // of inbound packets, to be told once
}

func (h *hoist) Land(s *Session) { h.Hear(s); h.landed++; s.Offload = 0 }

func (h *hoist) Hear(s *Session) {
	h.heard++
	h.t.Credit(s, Inbound, h.hearsay)
	h.hearsay = Hearsay{}
}

// newHoisted opens a session and has it carried.
func newHoisted(t *testing.T) (*Table, *hoist, *Session) {
	t.Helper()
	table := NewTable(Config{Sessions: 4, Slots: [2]int{0, Slots}})
	h := &hoist{t: table}
	table.SetCarrier(h)
	path := table.Bind(PathKey{VIP: packet.Addr{1}, Server: packet.Addr{2}, VIPPort: 53, ServerPort: 53, Protocol: packet.UDP, Mode: DR})
	table.Path(path).Live = true
	s, outcome := table.Open(packet.Addr{3}, 4711, path, 100)
	if outcome != Opened {
		t.Fatal(outcome)
	}
	s.Offload = 1
	return table, h, s
}

// Whatever happens to a lifted session, its carrier is told before.
func TestCarrierIsTold(t *testing.T) {
	for name, change := range map[string]func(*Table, *Session){
		"it closes":            func(t *Table, s *Session) { t.Close(s) },
		"it is aborted":        func(t *Table, s *Session) { t.Abort(s, 200) },
		"its state changes":    func(t *Table, s *Session) { t.enter(s, TwoWay, 200) },
		"it becomes a replica": func(t *Table, s *Session) { t.setRole(s, Replica) },
	} {
		table, h, s := newHoisted(t)
		change(table, s)
		if h.landed != 1 || s.Offload != 0 {
			t.Errorf("%s: landed %d times, offload %d", name, h.landed, s.Offload)
		}
	}
}

// A lifted session does not expire on what the table alone knows.
func TestCarrierIsAsked(t *testing.T) {
	table, h, s := newHoisted(t)
	patience := table.Expires(s) - s.LastUsed
	expired := make([]*Session, 4)
	h.hearsay = Hearsay{Counters{1, 100}, 100 + patience/2, 0, 0}
	for now := Tick(100); now < 100+patience+20; now++ {
		if e, _ := table.Expire(now, expired, nil); e != 0 {
			t.Fatalf("expired at %d though used at %d", now, 100+patience/2)
		}
	}
	for now := 100 + patience + 20; now < 100+2*patience; now++ {
		if e, _ := table.Expire(now, expired, nil); e != 0 {
			if want := 100 + patience/2 + patience; now != want {
				t.Errorf("expired at %d, want %d", now, want)
			}
			return
		}
	}
	t.Error("does not expire")
}

// What is credited adds up, however much it is.
func TestCredit(t *testing.T) {
	table, _, s := newHoisted(t)
	var want Counters
	for _, c := range []Counters{{1, 40}, {65_534, 1 << 31}, {1, 1 << 31}, {1 << 20, 1 << 40}, {3, 5}, {1<<40 + 65_535, 1<<50 - 1}} {
		table.Credit(s, Outbound, Hearsay{c, 90, 0, 0})
		want.Packets += c.Packets
		want.Bytes += c.Bytes
		if got := table.Counters(s)[Outbound]; got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	if s.LastUsed != 100 {
		t.Errorf("last used at %d: hearsay of the past makes it no older", s.LastUsed)
	}
}
