// Package health finds out which servers can be given connections.
//
// A [Monitor] is told the whole desired set of [Target]s and answers with one
// [Verdict] each. Every target is watched by one goroutine, which runs one
// check at a time: a server that hangs holds up its own goroutine until the
// timeout and nothing else, however long it hangs.
//
// # When checks run
//
// A new target is checked within a quarter of a second and its first result
// counts at once, so that a director starts to serve as soon as it can know.
// From then on its checks keep to a grid of Interval whose phase is a hash of
// the target's key: a thousand targets of one interval spread over all of it,
// the same way in every run, and keep their distance whatever the servers do.
//
// # Up, down and flapping
//
// Rise good results in a row bring a server up, Fall bad ones take it down. One
// that falls FlapCount times within FlapWindow is held down, although its checks
// pass, until it has not fallen for FlapHold. Three numbers that can be read off
// a clock, rather than a penalty that decays (RFC 2439): an operator at night has
// to predict when the server will be back. keepalived only has a longer rise,
// which makes every honest restart slower.
//
// # What a check leaves behind
//
// A connection belongs to one check and is never used again; none goes through
// a proxy. It is closed in order, FIN both ways, after what the server still
// wanted to say was read: a reset would be quicker and would leave no TIME_WAIT
// here, but servers log resets as failures of their clients, and the director
// has no shortage of ports towards one server (30 in TIME_WAIT at one check
// every two seconds).
package health

import (
	"cmp"
	"net/netip"
	"reflect"
	"time"
)

// A Target is one server of one service, and how to check it.
type Target struct {
	Key     string         // unique in the set, and what makes a target the same
	Name    string         // for people: "service/server"; "": Key
	Address netip.AddrPort // of the server
	Check   Check
}

// A Check says how a server is tried. Fields that its Type does not use are
// ignored; zero numbers and empty texts stand for the defaults given here.
type Check struct {
	Type     string        // tcp http https udp dns ping exec none
	Interval time.Duration // from the start of one check to the next; 2 s
	Timeout  time.Duration // for the whole check; 1 s
	Rise     int           // good results in a row that bring a server up; 1
	Fall     int           // bad results in a row that take it down; 1

	FlapCount  int           // falls within FlapWindow after which the server is held down; 0: never
	FlapWindow time.Duration // 10 min
	FlapHold   time.Duration // without a fall, until it is let up again; 5 min

	Port   uint16     // the server's own when 0
	Source netip.Addr // address to check from; the kernel's choice when zero

	Method string        // http: GET
	Path   string        // http: "/", may carry a query
	Host   string        // http: the server's address
	Status []StatusRange // http: 200 to 299
	TLS    TLS           // https

	Payload []byte // tcp, udp: sent first
	Expect  string // http: part of the body; tcp, udp: of the answer; dns: one answer's data

	Query     string // dns: the name asked for; "."
	QueryType string // dns: A AAAA CNAME MX NS PTR SOA SRV TXT; SOA

	Command []string // exec: program and arguments; no shell
	Env     []string // exec: "NAME=value", added to PATH and the FLEETLB_ variables
}

// A StatusRange is the HTTP statuses from Min to Max, both included.
type StatusRange struct{ Min, Max int }

// TLS says how far an https check trusts the server. The zero value encrypts
// and believes anyone, which is right for the usual server whose certificate
// names the site and not its own address.
type TLS struct {
	Verify     bool
	ServerName string // sent as SNI and verified; Host when empty
	CAFile     string // PEM, read at each check so that it can be replaced; the system's when empty
}

// A Verdict is what is known of a target.
type Verdict struct {
	Up       bool      // may be given new connections
	Checked  bool      // has had its first result; until then it is not Up
	Flapping bool      // passes its checks, and is not Up only because it flaps: better than no server at all
	Since    time.Time // when Up last changed, or the first result came
	Reason   string    // why it is down, or what is wrong although it is up; may be empty when up

	Checks   uint64        // results so far
	Failures uint64        // bad ones among them
	Duration time.Duration // of the last check
}

func (c Check) withDefaults() Check {
	orDuration := func(d *time.Duration, otherwise time.Duration) {
		if *d == 0 {
			*d = otherwise
		}
	}
	orDuration(&c.Interval, 2*time.Second)
	orDuration(&c.Timeout, time.Second)
	orDuration(&c.FlapWindow, 10*time.Minute)
	orDuration(&c.FlapHold, 5*time.Minute)
	c.Rise = max(c.Rise, 1)
	c.Fall = max(c.Fall, 1)
	if len(c.Status) == 0 {
		c.Status = []StatusRange{{200, 299}}
	}
	return c
}

func (t *Target) equal(o *Target) bool { return reflect.DeepEqual(t, o) }

// name is what people know t by.
func (t *Target) name() string { return cmp.Or(t.Name, t.Key) }

// endpoint is where the check goes: the server, perhaps on another port.
func (t *Target) endpoint() netip.AddrPort {
	if t.Check.Port != 0 {
		return netip.AddrPortFrom(t.Address.Addr(), t.Check.Port)
	}
	return t.Address
}
