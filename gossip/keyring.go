package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"fleetlb/gossip/seal"
)

// A key is replaced in three steps, each on the whole fleet: add it, use it,
// remove the old one. At no moment is anything lost: all members accept all keys
// of their rings, each tells the others which it has, and none sends a member
// what that cannot open.

// A KeyHolder is a member and the keys it has, or why it has not what it should.
type KeyHolder struct {
	Member string
	Keys   []string // ids; the first is sent with
	Err    error
}

const keysCall = "fleet.keys"

const (
	keysOp    = 1 + iota // one of the words below
	keysKey              // to add
	keysID               // to use or to remove
	keysIDs              // of an answer: those held
	keysReady            // of an answer: every live member is known to hold the first
)

const (
	opList   = "list"
	opAdd    = "add"
	opUse    = "use"
	opRemove = "remove"
)

var errAway = errors.New("it is away; give it the key file of another director before it comes back")

// Keyring asks every member, this one included, which keys it has.
func (f *Fleet) Keyring(ctx context.Context) []KeyHolder {
	holders, _ := f.everyone(ctx, keysRequest{op: opList})
	return holders
}

// AddKey gives every member a key, which they then accept, and returns its id.
func (f *Fleet) AddKey(ctx context.Context, key []byte) (id string, answers []KeyHolder) {
	ring := f.wire.endpoint.Ring()
	keyID, err := ring.ID(key)
	if err == nil && ring.Clear() {
		err = errors.New("this fleet speaks in the clear; give every director a key file and start it again")
	}
	if err != nil {
		return "", []KeyHolder{{Member: f.name, Err: fmt.Errorf("add a key: %w", err)}}
	}
	answers, _ = f.everyone(ctx, keysRequest{op: opAdd, key: key})
	return keyID.String(), answers
}

// UseKey makes every member send with the key of this id. Nothing is changed
// unless all that are there have it.
func (f *Fleet) UseKey(ctx context.Context, id string) []KeyHolder {
	holders, _ := f.everyone(ctx, keysRequest{op: opList})
	return f.unless(ctx, holders, keysRequest{op: opUse, id: id}, func(h KeyHolder) error {
		if !slices.Contains(h.Keys, id) {
			return fmt.Errorf("it has no key %s; add it first", id)
		}
		return nil
	})
}

// RemoveKey makes every member forget the key of this id. Nothing is changed
// while one sends with it.
func (f *Fleet) RemoveKey(ctx context.Context, id string) []KeyHolder {
	holders, unready := f.everyone(ctx, keysRequest{op: opList})
	for range 50 { // somebody may not know yet that somebody has the new one
		if unready == nil {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
		holders, unready = f.everyone(ctx, keysRequest{op: opList})
	}
	return f.unless(ctx, holders, keysRequest{op: opRemove, id: id}, func(h KeyHolder) error {
		switch {
		case len(h.Keys) > 0 && h.Keys[0] == id:
			return fmt.Errorf("it sends with key %s; use another first", id)
		case slices.Contains(unready, h.Member):
			return errors.New("it knows of members that have not the key in use; add that again")
		}
		return ctx.Err()
	})
}

// SetKeys makes the ring what somebody has written into our key file; of the
// other members only they who read theirs again follow.
func (f *Fleet) SetKeys(keys [][]byte) error {
	f.keying.Lock()
	defer f.keying.Unlock()
	ring := f.wire.endpoint.Ring()
	switch was := ring.Secrets(); {
	case slices.EqualFunc(keys, was, bytes.Equal):
		return nil
	case ring.Clear() != (len(keys) == 0):
		return errors.New("gossip: keyring: to begin or to end sealing with keys takes a restart")
	}
	if err := ring.Set(keys); err != nil {
		return fmt.Errorf("gossip: keyring: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renew()
	f.changed()
	return nil
}

// unless asks everyone, unless a member that is there objects.
func (f *Fleet) unless(ctx context.Context, holders []KeyHolder, r keysRequest, objection func(KeyHolder) error) []KeyHolder {
	objected := false
	for i := range holders {
		if holders[i].Err == nil {
			holders[i].Err = objection(holders[i])
		}
		objected = objected || holders[i].Err != nil && !errors.Is(holders[i].Err, errAway)
	}
	if objected {
		return holders
	}
	answers, _ := f.everyone(ctx, r)
	return answers
}

// everyone asks all members at once, this one included, and reports those that
// are away, and who does not know of all live members that they have the key it
// sends with.
func (f *Fleet) everyone(ctx context.Context, r keysRequest) (holders []KeyHolder, unready []string) {
	members := f.Members()
	holders = make([]KeyHolder, 1+len(members))
	unreadies := make([]bool, len(holders))
	var wait sync.WaitGroup
	holders[0].Member = f.name
	a, err := f.applyKeys(r)
	holders[0].Keys, unreadies[0], holders[0].Err = a.ids, !a.ready, err
	for i, m := range members {
		h, unready := &holders[1+i], &unreadies[1+i]
		h.Member = m.Name
		switch {
		case m.Alive:
			wait.Go(func() {
				a, err := f.askKeys(ctx, m, r)
				h.Keys, *unready, h.Err = a.ids, !a.ready, err
			})
		case !m.Left:
			h.Err = errAway
		default:
			h.Member = "" // it left: nothing is lost
		}
	}
	wait.Wait()
	for i, h := range holders {
		if unreadies[i] && h.Err == nil {
			unready = append(unready, h.Member)
		}
	}
	holders = slices.DeleteFunc(holders, func(h KeyHolder) bool { return h.Member == "" })
	slices.SortFunc(holders, func(a, b KeyHolder) int { return strings.Compare(a.Member, b.Member) })
	return holders, unready
}

func (f *Fleet) askKeys(ctx context.Context, m Member, r keysRequest) (keysAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := f.Call(ctx, m.ID, keysCall, r.append(newFields()))
	if err != nil {
		return keysAnswer{}, err
	}
	defer c.Close()
	b, err := io.ReadAll(io.LimitReader(c, 4096))
	if err != nil {
		return keysAnswer{}, err
	}
	return parseKeysAnswer(b)
}

// answerKeys does to our ring what another member asks.
func (f *Fleet) answerKeys(_ context.Context, from Member, request []byte, w io.Writer) error {
	r, err := parseKeysRequest(request)
	if err != nil {
		return err
	}
	if r.op != opList {
		f.log.Info("gossip: keyring: "+r.op, "key", r.id, "from", from.Name)
	}
	a, err := f.applyKeys(r)
	if err != nil {
		return err
	}
	_, err = w.Write(a.append(newFields()))
	return err
}

// applyKeys changes our ring, and our key file with it. What is so already is
// not an error: a command may be given again to those that missed it.
func (f *Fleet) applyKeys(r keysRequest) (keysAnswer, error) {
	f.keying.Lock()
	defer f.keying.Unlock()
	ring := f.wire.endpoint.Ring()
	was := ring.Secrets()
	if r.op != opList {
		if err := changeRing(ring, r); err != nil {
			return keysAnswer{}, err
		}
		if err := writeKeys(f.keyFile, ring.Secrets()); err != nil {
			return keysAnswer{}, errors.Join(fmt.Errorf("key file: %w", err), ring.Set(was))
		}
		f.mu.Lock()
		f.renew()
		f.changed() // the keys to dial with
		f.mu.Unlock()
	}
	a := keysAnswer{ready: f.keysReady()}
	for _, id := range ring.IDs() {
		a.ids = append(a.ids, id.String())
	}
	return a, nil
}

func changeRing(ring *seal.Ring, r keysRequest) error {
	if ring.Clear() {
		return errors.New("this director has no keys")
	}
	if r.op == opAdd {
		if _, err := ring.Add(r.key); !errors.Is(err, seal.ErrHeld) {
			return err
		}
		return nil
	}
	id, err := seal.ParseKeyID(r.id)
	if err != nil {
		return err
	}
	switch r.op {
	case opUse:
		return ring.Use(id)
	case opRemove:
		if !slices.Contains(ring.IDs(), id) {
			return nil
		}
		return ring.Remove(id)
	}
	return fmt.Errorf("this build cannot %q a key", r.op)
}

// keysReady says whether all live members are known to hold the key we send
// with, so that no other is used for any of them.
func (f *Fleet) keysReady() bool {
	first := f.wire.endpoint.Ring().IDs()[0]
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.peers {
		if p.live() && !slices.Contains(p.meta.keys, first) {
			return false
		}
	}
	return true
}

type keysRequest struct {
	op  string
	key []byte
	id  string
}

func (r keysRequest) append(b fields) fields {
	b.string(keysOp, r.op)
	b.bytes(keysKey, r.key)
	b.string(keysID, r.id)
	return b
}

func parseKeysRequest(b []byte) (r keysRequest, err error) {
	for f, err := range parseFields(b) {
		if err != nil {
			return keysRequest{}, err
		}
		switch f.tag {
		case keysOp:
			r.op = printable(f.value, 16)
		case keysKey:
			r.key = f.value
		case keysID:
			r.id = printable(f.value, 8)
		}
	}
	return r, nil
}

type keysAnswer struct {
	ids   []string
	ready bool
}

func (a keysAnswer) append(b fields) fields {
	b.string(keysIDs, strings.Join(a.ids, " "))
	if a.ready {
		b.number(keysReady, 1)
	}
	return b
}

func parseKeysAnswer(b []byte) (a keysAnswer, err error) {
	for f, err := range parseFields(b) {
		if err != nil {
			return keysAnswer{}, err
		}
		switch f.tag {
		case keysIDs:
			a.ids = strings.Fields(printable(f.value, 9*seal.MaxKeys))
		case keysReady:
			a.ready = f.number() != 0
		}
	}
	return a, nil
}
