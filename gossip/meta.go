package gossip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"fleetlb/gossip/seal"
)

// MaxBlocks is how many local-address blocks a director can tell of: what fits
// beside the rest into the 512 bytes that memberlist spreads of a member.
const MaxBlocks = 16

const (
	longestVersion = 40
	longestState   = 16
)

// meta is what memberlist spreads of a member. seq grows with each change, so
// that of two the later can be told.
type meta struct {
	seq  uint64
	info Info
	keys []seal.KeyID
}

// The tags of a meta, and of the numbers within.
const (
	metaSeq = 1 + iota
	metaEpoch
	metaVersion
	metaState
	metaBlock
	metaConfig
	metaKeys
	metaNumbers
)

const (
	numberSessions = 1 + iota
	numberSlots
	numberSlotsOf
	numberLag
	numberAtRisk
	numberSuppressed
)

// valid says whether an Info can be told at all.
func (i Info) valid() error {
	switch {
	case len(i.Blocks) > MaxBlocks:
		return fmt.Errorf("%d local-address blocks: a director can tell of %d at most; join neighbouring ones", len(i.Blocks), MaxBlocks)
	case len(i.Version) > longestVersion:
		return fmt.Errorf("version %q is longer than %d bytes", i.Version, longestVersion)
	case len(i.State) > longestState:
		return fmt.Errorf("state %q is longer than %d bytes", i.State, longestState)
	}
	for _, b := range i.Blocks {
		if !b.IsValid() {
			return fmt.Errorf("an invalid local-address block")
		}
	}
	return nil
}

func (m meta) append(b fields) fields {
	b.number(metaSeq, m.seq)
	b.number(metaEpoch, m.info.Epoch)
	b.string(metaVersion, m.info.Version)
	b.string(metaState, string(m.info.State))
	for _, p := range m.info.Blocks {
		b.bytes(metaBlock, append(p.Addr().AsSlice(), byte(p.Bits())))
	}
	b.number(metaConfig, m.info.Config)
	var keys []byte
	for _, id := range m.keys {
		keys = binary.BigEndian.AppendUint32(keys, uint32(id))
	}
	b.bytes(metaKeys, keys)
	b.bytes(metaNumbers, m.info.Numbers.append(newFields()))
	return b
}

func parseMeta(b []byte) (m meta, err error) {
	if len(b) > memberlist.MetaMaxSize {
		return m, fmt.Errorf("%d bytes are more than %d", len(b), memberlist.MetaMaxSize)
	}
	for f, err := range parseFields(b) {
		if err == nil {
			err = m.set(f)
		}
		if err != nil {
			return meta{}, err
		}
	}
	return m, nil
}

func (m *meta) set(f field) error {
	switch f.tag {
	case metaSeq:
		m.seq = f.number()
	case metaEpoch:
		m.info.Epoch = f.number()
	case metaVersion:
		m.info.Version = printable(f.value, longestVersion)
	case metaState:
		m.info.State = State(printable(f.value, longestState))
	case metaBlock:
		p, err := parseBlock(f.value)
		if err != nil {
			return err
		}
		if len(m.info.Blocks) < MaxBlocks {
			m.info.Blocks = append(m.info.Blocks, p)
		}
	case metaConfig:
		m.info.Config = f.number()
	case metaKeys:
		m.keys = nil
		for id := range slices.Chunk(f.value, 4) {
			if len(id) == 4 && len(m.keys) < seal.MaxKeys {
				m.keys = append(m.keys, seal.KeyID(binary.BigEndian.Uint32(id)))
			}
		}
	case metaNumbers:
		n, err := parseNumbers(f.value)
		if err != nil {
			return err
		}
		m.info.Numbers = n
	}
	return nil
}

func parseBlock(b []byte) (netip.Prefix, error) {
	if len(b) != 5 && len(b) != 17 {
		return netip.Prefix{}, fmt.Errorf("a block of %d bytes", len(b))
	}
	a, _ := netip.AddrFromSlice(b[:len(b)-1])
	p, err := a.Prefix(int(b[len(b)-1]))
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("a block: %w", err)
	}
	return p, nil
}

// printable is a text from outside that does no harm to a terminal.
func printable(b []byte, most int) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, string(b))
	return s[:min(len(s), most)]
}

func (n Numbers) append(b fields) fields {
	b.number(numberSessions, n.Sessions)
	b.number(numberSlots, uint64(n.Slots))
	b.number(numberSlotsOf, uint64(n.SlotsOf))
	b.number(numberLag, uint64(max(0, n.Lag)/time.Microsecond))
	b.number(numberAtRisk, n.AtRisk)
	if n.Suppressed {
		b.number(numberSuppressed, 1)
	}
	return b
}

func parseNumbers(b []byte) (n Numbers, err error) {
	for f, err := range parseFields(b) {
		if err != nil {
			return Numbers{}, err
		}
		switch f.tag {
		case numberSessions:
			n.Sessions = f.number()
		case numberSlots:
			n.Slots = int(min(f.number(), 256))
		case numberSlotsOf:
			n.SlotsOf = int(min(f.number(), 256))
		case numberLag:
			n.Lag = time.Duration(min(f.number(), uint64(time.Hour/time.Microsecond))) * time.Microsecond
		case numberAtRisk:
			n.AtRisk = f.number()
		case numberSuppressed:
			n.Suppressed = f.number() != 0
		}
	}
	return n, nil
}
