package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// KeySize is the length of a ring's keys, in bytes.
const KeySize = 32

// MaxKeys is how many keys a ring holds: a rotation needs two.
const MaxKeys = 8

// A KeyID names a key without telling it.
type KeyID uint32

func (id KeyID) String() string { return fmt.Sprintf("%08x", uint32(id)) }

// ParseKeyID reads what String writes.
func ParseKeyID(s string) (KeyID, error) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || len(s) != 8 {
		return 0, fmt.Errorf("key id %q is not eight hexadecimal digits", s)
	}
	return KeyID(n), nil
}

// key is one of a ring's, with what is derived from it.
type key struct {
	id     KeyID
	secret []byte // as in the key file
	prk    []byte // what all else is expanded from
}

// A Ring is a fleet's keys, the one to send with first.
type Ring struct {
	label string
	open  bool // its only key is known to everybody
	mu    sync.Mutex
	keys  atomic.Pointer[[]key] // replaced as a whole
}

// NewRing makes a ring of keys of KeySize bytes. Without any the ring protects
// nothing.
func NewRing(label string, keys [][]byte) (*Ring, error) {
	r := &Ring{label: label, open: len(keys) == 0}
	if r.open {
		keys = [][]byte{make([]byte, KeySize)}
	}
	r.keys.Store(new([]key))
	for i, k := range keys {
		if _, err := r.Add(k); err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
	}
	return r, nil
}

// Clear says that the ring has no key but the one everybody knows.
func (r *Ring) Clear() bool { return r.open }

// ErrHeld is that a key is there already.
var ErrHeld = errors.New("it is in the ring already")

// ID returns the id a key would have in this ring.
func (r *Ring) ID(secret []byte) (KeyID, error) {
	k, err := r.derive(secret)
	return k.id, err
}

func (r *Ring) derive(secret []byte) (key, error) {
	if len(secret) != KeySize {
		return key{}, fmt.Errorf("it has %d bytes, not %d", len(secret), KeySize)
	}
	prk, err := hkdf.Extract(sha256.New, secret, []byte("fleetlb gossip 1\x00"+r.label))
	if err != nil {
		return key{}, err
	}
	id, err := hkdf.Expand(sha256.New, prk, "id", 4)
	if err != nil {
		return key{}, err
	}
	return key{KeyID(binary.BigEndian.Uint32(id)), slices.Clone(secret), prk}, nil
}

// Add accepts one more key.
func (r *Ring) Add(secret []byte) (KeyID, error) {
	k, err := r.derive(secret)
	if err != nil {
		return 0, err
	}
	return k.id, r.change(func(keys []key) ([]key, error) {
		switch {
		case find(keys, k.id) >= 0:
			return nil, ErrHeld
		case len(keys) == MaxKeys:
			return nil, fmt.Errorf("the ring holds %d keys; remove one first", MaxKeys)
		}
		return append(keys, k), nil
	})
}

// Use sends with the key of this id from now on.
func (r *Ring) Use(id KeyID) error {
	return r.change(func(keys []key) ([]key, error) {
		i := find(keys, id)
		if i < 0 {
			return nil, fmt.Errorf("key %s is not in the ring", id)
		}
		k := keys[i]
		return slices.Insert(slices.Delete(keys, i, i+1), 0, k), nil
	})
}

// Remove accepts the key of this id no longer. It must not be the one in use.
func (r *Ring) Remove(id KeyID) error {
	return r.change(func(keys []key) ([]key, error) {
		switch i := find(keys, id); i {
		case -1:
			return nil, fmt.Errorf("key %s is not in the ring", id)
		case 0:
			return nil, fmt.Errorf("key %s is sent with; use another first", id)
		default:
			return slices.Delete(keys, i, i+1), nil
		}
	})
}

// Set makes these the keys, the one to send with first. There must be one.
func (r *Ring) Set(secrets [][]byte) error {
	if len(secrets) == 0 || len(secrets) > MaxKeys {
		return fmt.Errorf("%d keys: a ring holds 1 to %d", len(secrets), MaxKeys)
	}
	keys := make([]key, len(secrets))
	for i, s := range secrets {
		var err error
		if keys[i], err = r.derive(s); err != nil {
			return err
		}
	}
	return r.change(func([]key) ([]key, error) { return keys, nil })
}

func (r *Ring) change(edit func([]key) ([]key, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, err := edit(slices.Clone(*r.keys.Load()))
	if err == nil {
		r.keys.Store(&keys)
	}
	return err
}

// IDs are the ids of the keys, the one in use first.
func (r *Ring) IDs() []KeyID {
	var ids []KeyID
	for _, k := range *r.keys.Load() {
		ids = append(ids, k.id)
	}
	return ids
}

// Secrets are the keys as in a key file, the one in use first; none when Clear.
func (r *Ring) Secrets() [][]byte {
	var secrets [][]byte
	for _, k := range *r.keys.Load() {
		if !r.open {
			secrets = append(secrets, slices.Clone(k.secret))
		}
	}
	return secrets
}

func find(keys []key, id KeyID) int {
	return slices.IndexFunc(keys, func(k key) bool { return k.id == id })
}

// choose returns the key to send with to somebody who holds these; nil: who is
// not known to hold any in particular.
func choose(keys []key, held []KeyID) *key {
	for i := range keys {
		if slices.Contains(held, keys[i].id) {
			return &keys[i]
		}
	}
	return &keys[0]
}

// expand derives what messages are sealed with. GCM and HKDF take any input of
// these lengths, so that an error is a mistake in this package.
func (k *key) expand(info string) cipher.AEAD {
	secret, err := hkdf.Expand(sha256.New, k.prk, info, 32)
	if err != nil {
		panic("seal: " + err.Error())
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		panic("seal: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("seal: " + err.Error())
	}
	return aead
}
