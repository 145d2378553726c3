package node

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"fleetlb/fullnat"
	"fleetlb/fullnat/service"
)

// Directors tell each other every second how many sessions each server has with
// them, so that their schedulers do not all send the next client to the same
// empty one. It is told by the server's key, its active and its inactive
// sessions: the key a hash, the numbers of variable length.

// loadsKey is what the counts are shared under.
const loadsKey = "loads"

// loadKey is the same for a server of a service on every director.
func loadKey(s *service.Server) uint64 {
	id := fullnat.IDOf(s)
	return xxhash.Sum64String(fmt.Sprintf("%s %s-%d %s", protocolName(id.Protocol), id.VIP, id.Last, id.Server))
}

// appendLoads appends what the sessions with the servers of a table are.
func appendLoads(b []byte, table *service.Table) []byte {
	for _, s := range table.Servers {
		active, inactive := s.Load.Active(), s.Load.Inactive()
		if active == 0 && inactive == 0 {
			continue
		}
		b = binary.BigEndian.AppendUint64(b, loadKey(s))
		b = binary.AppendUvarint(b, uint64(active))
		b = binary.AppendUvarint(b, uint64(inactive))
	}
	return b
}

// A burden is how many sessions a server has elsewhere.
type burden struct{ active, inactive uint64 }

// addLoads adds up what another director has told. What ends in the middle is as
// good as it goes.
func addLoads(sums map[uint64]burden, b []byte) {
	for len(b) > 8 {
		key := binary.BigEndian.Uint64(b)
		active, n := binary.Uvarint(b[8:])
		if n <= 0 {
			return
		}
		inactive, m := binary.Uvarint(b[8+n:])
		if m <= 0 {
			return
		}
		b = b[8+n+m:]
		t := sums[key]
		sums[key] = burden{t.active + active, t.inactive + inactive}
	}
}

// most is how many sessions a scheduler may be told of: more than there can be,
// and far from what its arithmetic cannot hold.
const most = 1 << 24

// exchangeLoads tells the others of our sessions, and the schedulers of theirs.
func (d *director) exchangeLoads() {
	c := d.company
	if err := c.members.Share(loadsKey, appendLoads(nil, d.table)); err != nil && !c.mute {
		d.log.Warn("fleet: counts of sessions: " + err.Error())
		c.mute = true
	}
	shared := c.members.Shared(loadsKey)
	sums, others := map[uint64]burden{}, 0
	for i := range c.others {
		m := &c.others[i]
		if loads, told := shared[m.ID]; told && m.Alive {
			addLoads(sums, loads)
			others++
		}
	}
	for _, s := range d.table.Servers {
		t := sums[loadKey(s)]
		s.Load.SetElsewhere(uint32(min(t.active, most)), uint32(min(t.inactive, most)), others)
	}
}

// reportPeriod is how often a director tells how it is, and how many sessions it
// has with whom.
const reportPeriod = time.Second
