// Package gossip is a director's membership of its fleet.
package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"fleetlb/session"
)

// MaxDatagram is how many bytes [Fleet.Send] takes: what fits into a packet of
// 1,500 bytes over IPv6, sealed, with room for a tunnel's header.
const MaxDatagram = 1360

// MaxShared is the largest value of [Fleet.Share], in bytes.
const MaxShared = 64 << 10

// MaxBlocks is how many local-address blocks a director can tell of.
const MaxBlocks = 16

// Config is what a director must know to join its fleet.
type Config struct {
	Name      string           // unique in the fleet
	Bind      netip.AddrPort   // UDP and TCP; port 0 lets the kernel choose
	Advertise netip.AddrPort   // where the others reach Bind; invalid: Bind itself
	Seeds     []netip.AddrPort // other members, asked for the rest; its own address may be among them
	Keys      [][]byte         // 32 bytes each, the first is sent with; none: every address must be loopback
	KeyFile   string           // where changes of the ring are kept; "": nowhere
	Label     string           // of the fleet: fleets of different labels never meet, even with the same keys
	Self      Info
}

// Options are what a director may set besides.
type Options struct {
	Log *slog.Logger // nil: slog.Default()

	// OnDatagram gets what others sent by [Fleet.Send], from one goroutine, in
	// the order it came. The payload is valid until it returns.
	OnDatagram func(from session.Owner, payload []byte)

	// OnStream gets what others opened by [Fleet.Open], each in a goroutine of
	// its own, and closes c when it returns.
	OnStream func(from session.Owner, c net.Conn)

	Network Network // nil: the kernel's
}

// A Network is where a fleet's datagrams and streams travel. The kernel's is
// used unless a test has another.
type Network interface {
	// Listen takes one port for both.
	Listen(bind netip.AddrPort) (Packets, net.Listener, error)
	// Dial opens a stream from the host of bind.
	Dial(ctx context.Context, bind, to netip.AddrPort) (net.Conn, error)
}

// Packets sends and receives datagrams.
type Packets interface {
	// ReadFrom waits for a datagram; what does not fit into b is cut off.
	ReadFrom(b []byte) (n int, from netip.AddrPort, err error)
	// WriteTo sends one or drops it. It does not wait, and keeps nothing of b.
	WriteTo(b []byte, to netip.AddrPort) error
	Close() error
}

// A Member is another director, as far as is known here.
type Member struct {
	ID      session.NodeID
	Name    string
	Address netip.AddrPort
	Info
	Alive bool
	Left  bool      // not alive, by its own will
	Since time.Time // it is so
}

// Owner is the member in its present life.
func (m Member) Owner() session.Owner { return session.Owner{ID: m.ID, Epoch: m.Epoch} }

// A ConflictKind says in what two directors do not fit together.
type ConflictKind string

const (
	ConflictName   ConflictKind = "name"   // both have the same
	ConflictBlocks ConflictKind = "blocks" // local addresses of both overlap
	ConflictConfig ConflictKind = "config" // different services
	ConflictClock  ConflictKind = "clock"  // their clocks differ; nobody offends
)

// A Conflict is two live directors that must not both announce.
type Conflict struct {
	Kind ConflictKind
	With Member
	// Ours says that this director is the offender: the one of the two whose life
	// began later. Both sides come to the same verdict.
	Ours  bool
	Since time.Time
	Text  string // for the operator: what is wrong, with the cure
}

// Fleet is a director's membership. Join makes one.
type Fleet struct {
	self    session.Owner
	changes chan struct{}
	shared  chan struct{}
	once    sync.Once
}

// Join makes this director a member of the fleet. It returns once the director
// can be reached, whether or not any seed answers: seeds are asked until one
// does, and again whenever members are missing.
func Join(ctx context.Context, c Config, o Options) (*Fleet, error) {
	if c.Name == "" {
		return nil, errors.New("gossip: no name")
	}
	return &Fleet{
		self:    session.Owner{ID: session.NodeIDOf(c.Name), Epoch: c.Self.Epoch},
		changes: make(chan struct{}, 1), shared: make(chan struct{}, 1),
	}, nil
}

// Self is this director in its present life.
func (f *Fleet) Self() session.Owner { return f.self }

// Address is where the others reach this director.
func (f *Fleet) Address() netip.AddrPort { return netip.AddrPort{} }

// Members are the other directors, sorted by name: the live ones, and for a day
// those that died or left.
func (f *Fleet) Members() []Member { return nil }

// Changes gets something whenever Members or Conflicts have changed.
func (f *Fleet) Changes() <-chan struct{} { return f.changes }

// Conflicts are sorted by kind, then by member.
func (f *Fleet) Conflicts() []Conflict { return nil }

// Announce tells the others what is new of this director. All but the numbers
// reaches every live member at once.
func (f *Fleet) Announce(i Info) error { return nil }

// Share lets every member know a value of ours under a key, and those that join
// later too; nil takes it back.
func (f *Fleet) Share(key string, value []byte) error { return nil }

// Shared is what the members share under a key, ours included. The values are not
// to be changed.
func (f *Fleet) Shared(key string) map[session.NodeID][]byte { return nil }

// SharedChanges gets something whenever a value that others share has changed.
func (f *Fleet) SharedChanges() <-chan struct{} { return f.shared }

// A Handler answers a call. What it writes goes to the caller as it is written;
// its error, if any, is the caller's, too.
type Handler func(ctx context.Context, from Member, request []byte, w io.Writer) error

// Handle answers calls of a kind. It must be set before others may call.
func (f *Fleet) Handle(kind string, h Handler) {}

// Call asks a member. The answer is to be read to its end, where the member's
// own error comes, if it has one, and closed.
func (f *Fleet) Call(ctx context.Context, to session.NodeID, kind string, request []byte) (io.ReadCloser, error) {
	return nil, fmt.Errorf("gossip: member %s: not known", to)
}

// Send seals one datagram and sends it, best effort. It copies the payload and
// never waits.
func (f *Fleet) Send(to session.NodeID, payload []byte) error {
	return fmt.Errorf("gossip: member %s: not known", to)
}

// Open opens a sealed stream to a member's OnStream.
func (f *Fleet) Open(ctx context.Context, to session.NodeID) (net.Conn, error) {
	return nil, fmt.Errorf("gossip: member %s: not known", to)
}

// Refusals counts what was refused since the start, by reason.
func (f *Fleet) Refusals() []Refusal { return nil }

// A Refusal is a reason for which messages are refused.
type Refusal struct {
	Reason string // a word, for metrics
	Text   string // for the operator
	Count  uint64
}

// A KeyHolder is a member and the keys it has.
type KeyHolder struct {
	Member string
	Keys   []string // ids; the first is sent with
	Err    error    // why it could not be asked, or why it refused
}

// Keyring asks every member, this one included, which keys it has.
func (f *Fleet) Keyring(ctx context.Context) []KeyHolder { return nil }

// AddKey gives every member a key, which they then accept, and returns its id.
func (f *Fleet) AddKey(ctx context.Context, key []byte) (id string, answers []KeyHolder) {
	return "", nil
}

// UseKey makes every member send with the key of this id, which all must have.
func (f *Fleet) UseKey(ctx context.Context, id string) []KeyHolder { return nil }

// RemoveKey makes every member forget the key of this id, which none may send
// with.
func (f *Fleet) RemoveKey(ctx context.Context, id string) []KeyHolder { return nil }

// Leave tells the others that this director goes by its own will.
func (f *Fleet) Leave(ctx context.Context) error { return nil }

// Close ends all. Without Leave before, the others find this director dead.
func (f *Fleet) Close() error { f.once.Do(func() {}); return nil }
