package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"fleetlb/gossip"
	"fleetlb/node/admin"
	"fleetlb/session"
)

// What the operator asks of the whole fleet, the directors ask each other.
const (
	askSessions = "sessions" // an admin.SessionFilter; answered with one admin.Session a line
	askExplain  = "explain"  // an admin.Tuple; answered with an admin.Explanation
)

// peerPatience bounds how long one question to another director may take.
const peerPatience = 10 * time.Second

// answerPeers has the other directors' questions answered.
func (d *director) answerPeers() {
	b := backend{d}
	d.company.members.Handle(askSessions, func(ctx context.Context, _ gossip.Member, request []byte, w io.Writer) error {
		var f admin.SessionFilter
		if err := json.Unmarshal(request, &f); err != nil {
			return fmt.Errorf("%s: request: %w", askSessions, err)
		}
		f.All = false
		out := bufio.NewWriter(w)
		lines := json.NewEncoder(out)
		for s, err := range b.Sessions(ctx, f) {
			if err == nil {
				err = lines.Encode(&s)
			}
			if err != nil {
				return err
			}
		}
		return out.Flush()
	})
	d.company.members.Handle(tellTemplates, d.learnTemplates)
	d.company.members.Handle(askExplain, func(ctx context.Context, _ gossip.Member, request []byte, w io.Writer) error {
		var t admin.Tuple
		if err := json.Unmarshal(request, &t); err != nil {
			return fmt.Errorf("%s: request: %w", askExplain, err)
		}
		x, err := b.explainHere(ctx, t)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(&x)
	})
}

// ask asks another director. The answers are JSON values one after the other.
func (c *company) ask(ctx context.Context, m *gossip.Member, kind string, question any) (*json.Decoder, io.Closer, error) {
	request, err := json.Marshal(question)
	if err != nil {
		return nil, nil, err
	}
	r, err := c.members.Call(ctx, m.ID, kind, request)
	if err != nil {
		return nil, nil, fmt.Errorf("director %s: %w", m.Name, err)
	}
	return json.NewDecoder(bufio.NewReader(r)), r, nil
}

// sessionsOf lists the sessions of another director.
func (c *company) sessionsOf(ctx context.Context, m *gossip.Member, f admin.SessionFilter) iter.Seq2[admin.Session, error] {
	return func(yield func(admin.Session, error) bool) {
		lines, answer, err := c.ask(ctx, m, askSessions, &f)
		if err != nil {
			yield(admin.Session{}, err)
			return
		}
		defer answer.Close()
		for {
			var s admin.Session
			err := lines.Decode(&s)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = fmt.Errorf("director %s: %w", m.Name, err)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// explainElsewhere says what the other directors know of a packet of whose
// session this one knows nothing.
func (b backend) explainElsewhere(ctx context.Context, v *view, t admin.Tuple) (why []string) {
	ctx, cancel := context.WithTimeout(ctx, peerPatience)
	defer cancel()
	for i := range v.others {
		m := &v.others[i]
		if !m.Alive {
			continue
		}
		var x admin.Explanation
		lines, answer, err := b.company.ask(ctx, m, askExplain, &t)
		if err == nil {
			err = lines.Decode(&x)
			answer.Close()
		}
		switch {
		case err != nil:
			why = append(why, err.Error())
		case x.Session != "":
			why = append(why, fmt.Sprintf("director %s has a session: %s; sent on to %s", m.Name, x.Session, x.Server))
		default:
			why = append(why, fmt.Sprintf("director %s knows none either", m.Name))
		}
	}
	return why
}

// nameOf is a director's name, or as much as is known of it.
func (v *view) nameOf(id session.NodeID) string {
	if id == 0 || id == session.NodeIDOf(v.config.Node.Name) {
		return v.config.Node.Name
	}
	for i := range v.others {
		if v.others[i].ID == id {
			return v.others[i].Name
		}
	}
	return fmt.Sprintf("%016x", uint64(id))
}
