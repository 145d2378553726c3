package gossip

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"fleetlb/gossip/seal"
)

func fullMeta() meta {
	m := meta{seq: 1 << 40, info: Info{
		Epoch: 1 << 60, Version: strings.Repeat("v", longestVersion), State: State(strings.Repeat("s", longestState)), Config: 1<<64 - 1,
		Numbers: Numbers{Sessions: 1 << 40, Slots: 256, SlotsOf: 256, Lag: time.Hour, AtRisk: 1 << 40, Suppressed: true},
	}}
	for i := range MaxBlocks {
		m.info.Blocks = append(m.info.Blocks, netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}), 128))
	}
	for i := range seal.MaxKeys {
		m.keys = append(m.keys, seal.KeyID(1<<31+i))
	}
	return m
}

// The largest Info fits into what memberlist spreads of a member.
func TestMetaFits(t *testing.T) {
	m := fullMeta()
	if err := m.info.valid(); err != nil {
		t.Fatal(err)
	}
	b := m.append(newFields())
	t.Logf("the largest takes %d bytes, one of a single block %d", len(b), len(meta{1, Info{Epoch: 1 << 60, Version: "1.0", State: Serving, Config: 1 << 63, Blocks: m.info.Blocks[:1]}, m.keys[:1]}.append(newFields())))
	if len(b) > memberlist.MetaMaxSize {
		t.Errorf("%d bytes are more than %d", len(b), memberlist.MetaMaxSize)
	}
	got, err := parseMeta(b)
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%+v\nbecame %+v, %v", m, got, err)
	}
}

// What a later build adds is skipped; another version is refused.
func TestLaterBuild(t *testing.T) {
	m := fullMeta()
	m.info.Blocks = m.info.Blocks[:1]
	b := newFields()
	b.string(200, "of a later build")
	b = append(b, m.append(newFields())[1:]...)
	b.bytes(99, nil)
	if got, err := parseMeta(b); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%+v, %v", got, err)
	}
	b[0] = 2
	if _, err := parseMeta(b); err == nil || !strings.Contains(err.Error(), "version 2; this build understands 1") {
		t.Error(err)
	}
}

func TestLifeName(t *testing.T) {
	for _, name := range []string{"lb1", "a#b", "größe", strings.Repeat("x", longestName)} {
		got, boot, err := parseLifeName(lifeName(name, 1<<63+7))
		if got != name || boot != 1<<63+7 || err != nil {
			t.Errorf("%q, %d, %v", got, boot, err)
		}
	}
	for _, s := range []string{"", "lb1", "#0000000000000001", "lb1#1", "lb1#00000000000000zz", "lb1#000000000000000A", strings.Repeat("x", longestName+1) + "#0000000000000001"} {
		if _, _, err := parseLifeName(s); err == nil {
			t.Errorf("%q is a name", s)
		}
	}
	four, mapped := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("[::ffff:10.0.0.1]:1")
	if nodeOf("a", four) != nodeOf("a", mapped) || nodeOf("a", four) == nodeOf("b", four) {
		t.Error("a node is not its name and address")
	}
}

// FuzzMessages holds for each parser of what members say that it never panics,
// and that what it understood it would say and understand again.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(fullMeta().append(newFields())))
	beat := newFields()
	beat.number(beatTime, 1)
	beat.bytes(beatMeta, meta{seq: 3}.append(newFields()))
	beat.number(beatBye, 1)
	f.Add([]byte(beat))
	share := newFields()
	share.number(shareRevision, 7)
	share.bytes(shareEntry, entry{"key", 7, []byte("value"), false}.append(newFields()))
	f.Add([]byte(share))
	f.Add([]byte(keysRequest{opAdd, make([]byte, 32), "01234567"}.append(newFields())))
	f.Add([]byte{fieldsVersion, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{fieldsVersion, metaBlock, 5, 1, 2, 3, 4, 33})
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := parseMeta(b); err == nil {
			if m.info.valid() != nil {
				t.Errorf("%+v is understood, and not valid", m)
			}
			again, err := parseMeta(m.append(newFields()))
			if err != nil || !reflect.DeepEqual(m, again) {
				t.Errorf("%+v becomes %+v, %v", m, again, err)
			}
		}
		if n, err := parseShares(b); err == nil {
			for _, e := range n.entries {
				again, err := parseEntry(e.append(newFields()))
				if err != nil || again.key != e.key || again.same != e.same || !bytes.Equal(again.value, e.value) {
					t.Errorf("%+v becomes %+v, %v", e, again, err)
				}
			}
			var s shares
			if s.take(n); len(s.values) > mostShared || s.size > mostBytes {
				t.Errorf("%d values of %d bytes are taken", len(s.values), s.size)
			}
		}
		if r, err := parseKeysRequest(b); err == nil {
			if again, err := parseKeysRequest(r.append(newFields())); err != nil || again.op != r.op || again.id != r.id || !bytes.Equal(again.key, r.key) {
				t.Errorf("%+v becomes %+v, %v", r, again, err)
			}
		}
		if a, err := parseKeysAnswer(b); err == nil && len(a.ids) > 9*seal.MaxKeys {
			t.Errorf("%d keys", len(a.ids))
		}
		_, _ = parseBeat(b)
	})
}

// FuzzServe holds that whatever a member sends as a call is answered, with at
// most as much memory as was sent.
func FuzzServe(f *testing.F) {
	f.Add([]byte("\x04echo\x00\x00\x00\x02hi"))
	f.Add([]byte("\x04echo\xff\xff\xff\xff"))
	f.Add([]byte("\x04echo\x00\x30\x00\x00short"))
	f.Add([]byte("\xff"))
	f.Add([]byte{})
	fleet := &Fleet{log: slog.New(slog.DiscardHandler), ctx: context.Background()}
	fleet.Handle("echo", func(_ context.Context, _ Member, request []byte, w io.Writer) error {
		_, err := w.Write(request)
		return err
	})
	f.Fuzz(func(t *testing.T, said []byte) {
		var out bytes.Buffer
		fleet.answerCall(&told{in: bytes.NewReader(said), out: &out}, Member{})
		b := out.Bytes()
		if len(b) < 5 || b[0] == chunkDone && len(b) != 5 {
			t.Errorf("%q is answered %q", said, b)
		}
		if b[0] == chunkData && !bytes.HasPrefix(said[9:], b[5:len(b)-5]) {
			t.Errorf("%q is echoed as %q", said, b)
		}
	})
}

// told is a stream on which everything was said in advance.
type told struct {
	net.Conn
	in  *bytes.Reader
	out *bytes.Buffer
}

func (s *told) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *told) Write(b []byte) (int, error) { return s.out.Write(b) }
