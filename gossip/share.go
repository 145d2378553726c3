package gossip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"fleetlb/gossip/seal"
	"fleetlb/session"
)

// What members share does not go through memberlist, whose queue moves some 5 kB
// a second. Each member numbers its changes: its revision. A small value goes to
// every other member by one datagram that says which revision it follows. Every
// beat tells the latest. Who misses one, or has just joined, asks for all that
// changed since the revision it has.
const (
	// MaxShared is the largest value of [Fleet.Share], in bytes.
	MaxShared = 64 << 10

	mostShared  = 256 // keys of one member
	longestKey  = 200
	mostBytes   = 4 << 20 // of one member's values
	shareCall   = "fleet.share"
	askingPause = 500 * time.Millisecond // after a question that was not answered
)

// shares is what one member shares, as far as is known.
type shares struct {
	revision uint64
	values   map[string]shared
	size     int
	told     uint64 // the revision that there is
	asking   bool
}

type shared struct {
	revision uint64
	value    []byte
}

const (
	shareRevision = 1 + iota
	shareFollows
	shareEntry
	entryKey
	entryRevision
	entryValue // if left out, the value has not changed
)

// Share lets every member know a value of ours under a key, and those that join
// later too; nil takes it back. The value must not be changed afterwards.
func (f *Fleet) Share(key string, value []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	was, held := f.own.values[key]
	switch {
	case len(key) > longestKey || len(value) > MaxShared:
		return fmt.Errorf("gossip: share %.200q: %d bytes, and a key of %d: %d and %d is the most", key, len(value), len(key), MaxShared, longestKey)
	case held == (value != nil) && bytes.Equal(was.value, value):
		return nil
	case !held && len(f.own.values) == mostShared:
		return fmt.Errorf("gossip: share %q: %d keys are shared already", key, mostShared)
	case f.own.size-len(was.value)+len(value) > mostBytes:
		return fmt.Errorf("gossip: share %q: more than %d bytes in all", key, mostBytes)
	}
	follows := f.own.revision
	f.own.revision++
	e := entry{key, f.own.revision, value, value == nil}
	f.own.set(e)
	message := newFields()
	message.number(shareRevision, f.own.revision)
	message.number(shareFollows, follows)
	message.bytes(shareEntry, e.append(newFields()))
	if len(message) > MaxDatagram {
		signal(f.news) // the beat makes them ask
		return nil
	}
	for _, t := range f.view.Load().byNode {
		_ = f.wire.send(t.life, t.address, forShare, message)
	}
	return nil
}

// Shared is what live members share under a key, and this director. The values
// are not to be changed.
func (f *Fleet) Shared(key string) map[session.NodeID][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[session.NodeID][]byte{}
	for _, p := range f.chosen() {
		if s, ok := p.shares.values[key]; ok && p.live() {
			all[p.id] = s.value
		}
	}
	if s, ok := f.own.values[key]; ok {
		all[f.id] = s.value
	}
	return all
}

// SharedChanges gets something whenever what the others share has changed.
func (f *Fleet) SharedChanges() <-chan struct{} { return f.sharedChanges }

// entry is one key's news.
type entry struct {
	key      string
	revision uint64
	value    []byte
	same     bool // in an answer: the value is the one that is known; in a datagram: the key is gone
}

func (e entry) append(b fields) fields {
	b.string(entryKey, e.key)
	b.number(entryRevision, e.revision)
	if !e.same {
		b.bytes(entryValue, e.value)
	}
	return b
}

func (s *shares) set(e entry) {
	if s.values == nil {
		s.values = map[string]shared{}
	}
	s.size += len(e.value) - len(s.values[e.key].value)
	if e.same {
		delete(s.values, e.key)
		return
	}
	s.values[e.key] = shared{e.revision, e.value}
}

// heardShare takes a datagram with one change.
func (f *Fleet) heardShare(from seal.Life, message []byte) {
	news, err := parseShares(message)
	if err != nil || len(news.entries) != 1 {
		f.dropped.malformed.Add(1)
		return
	}
	e := news.entries[0]
	e.value = slices.Clone(e.value)
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[from.Node]
	switch {
	case p == nil || !p.live():
		f.dropped.stranger.Add(1)
	case news.revision <= p.shares.revision: // known
	case news.follows != p.shares.revision || !p.shares.room(e):
		f.follow(p, news.revision)
	default:
		p.shares.set(e)
		p.shares.revision = news.revision
		p.shares.told = max(p.shares.told, news.revision)
		signal(f.sharedChanges)
	}
}

func (s *shares) room(e entry) bool {
	_, held := s.values[e.key]
	return (held || len(s.values) < mostShared) && s.size+len(e.value) <= mostBytes
}

// follow asks a peer for what it shares, if there is more than is known.
func (f *Fleet) follow(p *peer, revision uint64) {
	p.shares.told = max(p.shares.told, revision)
	if p.shares.told > p.shares.revision && !p.shares.asking && p.live() && f.ctx.Err() == nil {
		p.shares.asking = true
		f.wait.Go(func() { f.ask(p) })
	}
}

// ask fetches all that a peer has shared since.
func (f *Fleet) ask(p *peer) {
	f.mu.Lock()
	since, t := p.shares.revision, &target{p.life, p.id, p.address, f.keysFor(p), p.member()}
	f.mu.Unlock()
	news, err := f.fetch(t, since)
	if err != nil {
		f.log.Debug("gossip: member " + p.name + ": ask for what it shares: " + err.Error())
		select {
		case <-time.After(jitter(askingPause)):
		case <-f.ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p.shares.asking = false
	if err == nil && p.shares.take(news) {
		signal(f.sharedChanges)
		f.follow(p, p.shares.told)
	} else if err == nil {
		f.dropped.shares.Add(1)
		p.shares.revision = news.revision // or we would ask for ever
	}
}

func (f *Fleet) fetch(t *target, since uint64) (news, error) {
	ctx, cancel := context.WithTimeout(f.ctx, 10*time.Second)
	defer cancel()
	answer, err := f.call(ctx, t, shareCall, binary.AppendUvarint(nil, since))
	if err != nil {
		return news{}, err
	}
	defer answer.Close()
	b, err := io.ReadAll(io.LimitReader(answer, 2*mostBytes))
	if err != nil {
		return news{}, err
	}
	return parseShares(b)
}

// take makes the shares what an answer says; false if that is more than is
// allowed.
func (s *shares) take(n news) bool {
	if n.revision < s.revision {
		return true // a datagram was faster
	}
	now := shares{revision: n.revision, told: max(s.told, n.revision), asking: s.asking}
	for _, e := range n.entries {
		if was, ok := s.values[e.key]; e.same {
			if !ok {
				continue // a datagram took it back meanwhile
			}
			e.value, e.revision, e.same = was.value, was.revision, false
		}
		if !now.room(e) {
			return false
		}
		now.set(e)
	}
	*s = now
	return true
}

// answerShares answers who asks for what we share.
func (f *Fleet) answerShares(_ context.Context, _ Member, request []byte, w io.Writer) error {
	since, n := binary.Uvarint(request)
	if n <= 0 {
		return errors.New("it says not since when")
	}
	f.mu.Lock()
	message := newFields()
	message.number(shareRevision, f.own.revision)
	for _, key := range slices.Sorted(maps.Keys(f.own.values)) {
		v := f.own.values[key]
		message.bytes(shareEntry, entry{key, v.revision, v.value, v.revision <= since}.append(newFields()))
	}
	f.mu.Unlock()
	_, err := w.Write(message)
	return err
}

// news is an answer, or the one change of a datagram.
type news struct {
	revision, follows uint64
	entries           []entry
}

func parseShares(b []byte) (n news, err error) {
	for f, err := range parseFields(b) {
		if err != nil {
			return news{}, err
		}
		switch f.tag {
		case shareRevision:
			n.revision = f.number()
		case shareFollows:
			n.follows = f.number()
		case shareEntry:
			e, err := parseEntry(f.value)
			if err != nil {
				return news{}, err
			}
			n.entries = append(n.entries, e)
		}
	}
	return n, nil
}

func parseEntry(b []byte) (e entry, err error) {
	e.same = true
	for f, err := range parseFields(b) {
		if err != nil {
			return entry{}, err
		}
		switch f.tag {
		case entryKey:
			e.key = string(f.value)
		case entryRevision:
			e.revision = f.number()
		case entryValue:
			e.value, e.same = f.value, false
		}
	}
	if len(e.key) > longestKey || len(e.value) > MaxShared {
		return entry{}, fmt.Errorf("%d bytes under a key of %d", len(e.value), len(e.key))
	}
	return e, nil
}
