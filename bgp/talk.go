package bgp

import (
	"net/netip"
	"strings"
	"time"

	"github.com/osrg/gobgp/v3/pkg/log"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

// talk is what is known of one neighbour.
type talk struct {
	passive bool
	carries func(netip.Addr) bool // families we offer
	agreed  map[bool]bool         // by Is4: families the neighbour takes; nil: not asked yet
	status  NeighborStatus
	detail  string                // what GoBGP found wrong, if it said so before it gave up
	lapsed  bool                  // just now, after a steady session
	wire    map[netip.Prefix]bool // written and not withdrawn since
	due     map[netip.Prefix]bool // handed to GoBGP and not written yet
}

// steady is how long a session lasts that is worth having back at once.
const steady = 3 * time.Second

// moved follows the session's state. GoBGP has one state for trying to connect
// and waiting to be connected to.
func (t *talk) moved(now, reason string) {
	was, since := t.status.State, t.status.Since
	t.status.State = State(strings.ToLower(strings.TrimPrefix(now, "BGP_FSM_")))
	if t.status.State == Active && !t.passive {
		t.status.State = Connect
	}
	t.status.Since = time.Now()
	if was == Established || t.status.State == Established {
		clear(t.wire)
		clear(t.due)
		t.agreed = nil
	}
	t.lapsed = was == Established && time.Since(since) > steady
	if t.status.State == Idle {
		if t.detail != "" && (reason == "invalid-msg" || strings.HasPrefix(reason, "notification-sent")) {
			reason = "sent notification: " + t.detail
		}
		t.fault(reword(reason))
	}
	t.detail = ""
}

// sent follows what is written to the session: an UPDATE with IPv4 prefixes in
// its own fields, and others in its attributes (RFC 4760).
func (t *talk) sent(f log.Fields) {
	note := func(list any, on bool) {
		switch list := list.(type) {
		case []*bgp.IPAddrPrefix:
			for _, p := range list {
				t.wrote(p.String(), on)
			}
		case []bgp.AddrPrefixInterface:
			for _, p := range list {
				t.wrote(p.String(), on)
			}
		}
	}
	note(f["withdrawals"], false)
	note(f["nlri"], true)
	attrs, _ := f["attributes"].([]bgp.PathAttributeInterface)
	for _, a := range attrs {
		switch a := a.(type) {
		case *bgp.PathAttributeMpReachNLRI:
			note(a.Value, true)
		case *bgp.PathAttributeMpUnreachNLRI:
			note(a.Value, false)
		}
	}
}

func (t *talk) wrote(prefix string, on bool) {
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		return
	}
	delete(t.due, p)
	if delete(t.wire, p); on {
		t.wire[p] = true
	}
}

func (t *talk) fault(text string) {
	t.status.LastError, t.status.LastErrorAt = text, time.Now()
}

// settled tells whether the neighbour has been sent just the desired set.
func (t *talk) settled(desired map[netip.Prefix]bool) bool {
	if t.status.State != Established {
		return true
	}
	if t.agreed == nil {
		return false
	}
	for p := range t.due {
		if t.takes(p) {
			return false
		}
	}
	count := 0
	for p := range desired {
		if t.takes(p) {
			if count++; !t.wire[p] {
				return false
			}
		}
	}
	return count == len(t.wire)
}

// takes tells whether the neighbour is to be sent p.
func (t *talk) takes(p netip.Prefix) bool {
	return t.carries(p.Addr()) && t.agreed[p.Addr().Is4()]
}
