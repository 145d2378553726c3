package gossip_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlb/gossip"
	"fleetlb/session"
)

var newKey = bytes.Repeat([]byte{8}, 32)

func keyFile(t testing.TB, keys ...[]byte) string {
	t.Helper()
	text := ""
	for _, k := range keys {
		text += base64.StdEncoding.EncodeToString(k) + "\n"
	}
	path := filepath.Join(t.TempDir(), "gossip.key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A key is replaced on the whole fleet while everybody talks to everybody: no
// datagram is lost, nobody is thought dead, and the key files follow.
func TestRotation(t *testing.T) {
	bubble(t, func(s *site) {
		const n = 5
		var sent, heard atomic.Int64
		files := map[int]string{}
		for i := 1; i <= n; i++ {
			c := config(i)
			c.KeyFile = keyFile(t, key)
			files[i] = c.KeyFile
			s.all[i] = s.join(c, gossip.Options{OnDatagram: func(session.Owner, []byte) { heard.Add(1) }})
		}
		s.await("all know each other", s.whole)

		ctx, stop := context.WithCancel(s.t.Context())
		for i := 1; i <= n; i++ {
			go func() {
				for ctx.Err() == nil {
					for j := 1; j <= n; j++ {
						if j != i && s.all[i].Send(id(j), []byte("hello")) == nil {
							sent.Add(1)
						}
					}
					time.Sleep(time.Millisecond)
				}
			}()
		}
		well := func(what string, answers []gossip.KeyHolder, want ...string) {
			t.Helper()
			if len(answers) != n {
				t.Fatalf("%s: %+v", what, answers)
			}
			for _, a := range answers {
				if a.Err != nil || !slices.Equal(a.Keys, want) {
					t.Fatalf("%s: %s: %v, %v; want %v", what, a.Member, a.Keys, a.Err, want)
				}
			}
		}
		old := s.all[2].Keyring(ctx)[0].Keys[0]
		id, answers := s.all[1].AddKey(ctx, newKey)
		well("add", answers, old, id)
		_, answers = s.all[3].AddKey(ctx, newKey)
		well("add again", answers, old, id)
		well("use", s.all[2].UseKey(ctx, id), id, old)
		well("remove", s.all[3].RemoveKey(ctx, old), id)
		well("list", s.all[4].Keyring(ctx), id)

		time.Sleep(10 * time.Second)
		stop()
		time.Sleep(time.Second)
		if sent.Load() != heard.Load() || sent.Load() < 100_000 {
			t.Errorf("%d of %d datagrams came", heard.Load(), sent.Load())
		}
		for i, f := range s.all {
			if keys := held(t, files[i]); len(keys) != 1 || !bytes.Equal(keys[0], newKey) {
				t.Errorf("the key file of %d: %d keys", i, len(keys))
			}
			if alive(f) != n-1 {
				t.Errorf("%d sees %d alive", i, alive(f))
			}
			for _, r := range f.Refusals() {
				if r.Count > 0 {
					t.Errorf("%d refused %d: %s", i, r.Count, r.Reason)
				}
			}
		}

		// Who has only the old key stays outside.
		late := s.join(config(7), gossip.Options{})
		defer late.Close()
		time.Sleep(10 * time.Second)
		if alive(late) != 0 || alive(s.all[1]) != n-1 {
			t.Error("the old key still opens")
		}
	})
}

// Whoever writes key files himself has them read again, member by member.
func TestSetKeys(t *testing.T) {
	bubble(t, func(s *site) {
		var sent, heard atomic.Int64
		for i := 1; i <= 3; i++ {
			s.all[i] = s.join(config(i), gossip.Options{OnDatagram: func(session.Owner, []byte) { heard.Add(1) }})
		}
		s.await("all know each other", s.whole)
		for _, keys := range [][][]byte{{key, newKey}, {key, newKey}, {newKey, key}, {newKey}} {
			for i := 1; i <= 3; i++ {
				if err := s.all[i].SetKeys(keys); err != nil {
					t.Fatal(err)
				}
				for range 500 {
					for j := 1; j <= 3; j++ {
						if j != i && s.all[i].Send(id(j), []byte("hello")) == nil {
							sent.Add(1)
						}
					}
					time.Sleep(time.Millisecond)
				}
			}
		}
		time.Sleep(20 * time.Second)
		if sent.Load() != heard.Load() || sent.Load() != 12000 || !s.whole() {
			t.Errorf("%d of %d datagrams came", heard.Load(), sent.Load())
		}
		for _, keys := range [][][]byte{nil, {key[:5]}, make([][]byte, 9)} {
			if err := s.all[1].SetKeys(keys); err == nil {
				t.Errorf("%d keys make a ring", len(keys))
			}
		}
	})
}

// What must not be done to a ring is not done to any.
func TestRotationRefused(t *testing.T) {
	bubble(t, func(s *site) {
		s.grow(3)
		ctx := s.t.Context()
		old := s.all[1].Keyring(ctx)[0].Keys[0]
		refused := func(answers []gossip.KeyHolder, want string) {
			t.Helper()
			found := false
			for _, a := range answers {
				found = found || a.Err != nil && strings.Contains(a.Err.Error(), want)
			}
			if !found {
				t.Errorf("%+v; want %q", answers, want)
			}
			for _, h := range s.all[1].Keyring(ctx) {
				if h.Err == nil && !slices.Equal(h.Keys, []string{old}) {
					t.Errorf("%s has %v", h.Member, h.Keys)
				}
			}
		}
		refused(s.all[1].UseKey(ctx, "01234567"), "it has no key 01234567; add it first")
		refused(s.all[1].RemoveKey(ctx, old), "use another first")
		_, answers := s.all[1].AddKey(ctx, newKey[:5])
		refused(answers, "5 bytes, not 32")

		// A member that is away is named.
		s.all[3].Close()
		delete(s.all, 3)
		s.await("it is missed", s.whole)
		id, answers := s.all[1].AddKey(ctx, newKey)
		if len(answers) != 3 || answers[0].Err != nil || answers[1].Err != nil || answers[2].Member != "lb3" || answers[2].Err == nil ||
			!strings.Contains(answers[2].Err.Error(), "away") {
			t.Errorf("%+v", answers)
		}
		s.all[1].UseKey(ctx, id)

		// It may come back as long as the old key is there, and is told from.
		s.all[3] = s.join(config(3), gossip.Options{})
		s.await("it is back", s.whole)
		time.Sleep(30 * time.Second)
		if !s.whole() {
			t.Error("not for good")
		}
		refusedAgain := s.all[1].UseKey(ctx, id)
		if len(refusedAgain) != 3 || refusedAgain[2].Err == nil {
			t.Errorf("%+v", refusedAgain)
		}
		for id, want := range map[string]string{old: "use another first", "01234567": "members that have not the key in use"} {
			kept := s.all[1].RemoveKey(ctx, id)
			if len(kept) != 3 || !slices.ContainsFunc(kept, func(h gossip.KeyHolder) bool { return h.Err != nil && strings.Contains(h.Err.Error(), want) }) {
				t.Errorf("%+v; want %q", kept, want)
			}
		}
	})
}

// held is what a key file holds.
func held(t testing.TB, path string) (keys [][]byte) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%s: %v, %v", path, info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line[0] != '#' {
			key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
	}
	return keys
}

// A key that cannot be kept is not taken: after a restart the director would be
// without it.
func TestKeyFileUnwritable(t *testing.T) {
	bubble(t, func(s *site) {
		c := config(1)
		c.KeyFile = filepath.Join(t.TempDir(), "gone", "gossip.key")
		s.all[1] = s.join(c, gossip.Options{})
		_, answers := s.all[1].AddKey(s.t.Context(), newKey)
		if len(answers) != 1 || answers[0].Err == nil || !strings.Contains(answers[0].Err.Error(), "key file: ") {
			t.Errorf("%+v", answers)
		}
		if h := s.all[1].Keyring(s.t.Context()); len(h[0].Keys) != 1 {
			t.Errorf("%+v", h)
		}
	})
}
