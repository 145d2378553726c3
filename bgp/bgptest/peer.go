package bgptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// Peer is a peer that runs in a process of its own.
type Peer struct {
	cmd      *exec.Cmd
	commands io.WriteCloser
	gone     chan struct{} // closed when the process has ended

	mu     sync.Mutex
	state  State
	sent   int           // commands
	change chan struct{} // closed and replaced at each change
	words  strings.Builder
}

// Start starts a peer: this executable, which has to call Child. Prepare, if
// not nil, may change how it is started, for instance inside a network
// namespace.
func Start(c Config, prepare func(*exec.Cmd)) (*Peer, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("bgptest: %w", err)
	}
	p := &Peer{gone: make(chan struct{}), change: make(chan struct{})}
	p.cmd = exec.Command("/proc/self/exe")
	p.cmd.Env = append(os.Environ(), childMark+"=1")
	p.cmd.Stderr = &p.words
	if prepare != nil {
		prepare(p.cmd)
	}
	if p.commands, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("bgptest: %w", err)
	}
	reports, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("bgptest: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("bgptest: %w", err)
	}
	go p.read(reports)
	if _, err := fmt.Fprintf(p.commands, "%s\n", text); err != nil {
		p.Kill()
		return nil, fmt.Errorf("bgptest: %w", err)
	}
	if err := p.Wait(context.Background(), "a listening peer", func(s *State) bool { return s.Listening }); err != nil {
		return nil, err
	}
	return p, nil
}

// read takes reports until the process ends.
func (p *Peer) read(reports io.Reader) {
	defer close(p.gone)
	for dec := json.NewDecoder(reports); ; {
		var s State
		if dec.Decode(&s) != nil {
			break
		}
		p.update(s)
	}
	p.cmd.Wait()
	p.update(State{})
}

func (p *Peer) update(s State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	close(p.change)
	p.change = make(chan struct{})
}

// Close ends the peer, its sessions with a notification.
func (p *Peer) Close() error {
	p.commands.Close()
	<-p.gone
	return nil
}

// Kill kills the peer as kill -9 does.
func (p *Peer) Kill() {
	p.cmd.Process.Kill()
	<-p.gone
}

// PID is the peer's process.
func (p *Peer) PID() int { return p.cmd.Process.Pid }

// Reset ends the session with a by a notification; a may come back at once.
func (p *Peer) Reset(ctx context.Context, a netip.Addr) error {
	return p.command(ctx, "reset "+a.String())
}

// Stop ends all sessions by notifications and listens no more, until Listen.
func (p *Peer) Stop(ctx context.Context) error { return p.command(ctx, "stop") }

// Listen listens again.
func (p *Peer) Listen(ctx context.Context) error { return p.command(ctx, "start") }

// command gives a command and waits until it is carried out.
func (p *Peer) command(ctx context.Context, line string) error {
	p.mu.Lock()
	p.sent++
	mine := p.sent
	_, err := fmt.Fprintln(p.commands, line)
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("bgptest: %s: %w", line, err)
	}
	var fault string
	err = p.Wait(ctx, line, func(s *State) bool {
		fault = s.Fault
		return s.Done >= mine
	})
	if err == nil && fault != "" {
		err = fmt.Errorf("bgptest: %s: %s", line, fault)
	}
	return err
}

// State returns all that the peer knows.
func (p *Peer) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// WaitRoute waits until exactly n neighbours announce prefix, and returns their
// routes. With n of 0 it waits for the withdrawal.
func (p *Peer) WaitRoute(ctx context.Context, prefix netip.Prefix, n int) (routes []Route, err error) {
	err = p.Wait(ctx, fmt.Sprintf("%v from %d neighbours", prefix, n), func(s *State) bool {
		routes = slices.DeleteFunc(slices.Clone(s.Routes), func(r Route) bool { return r.Prefix != prefix })
		return len(routes) == n
	})
	return routes, err
}

// WaitSession waits until the session with a is up, or down.
func (p *Peer) WaitSession(ctx context.Context, a netip.Addr, up bool) error {
	return p.Wait(ctx, fmt.Sprintf("session with %v, up %v", a, up), func(s *State) bool { return s.Session(a).Up == up })
}

// Session is what became of the sessions with a.
func (s State) Session(a netip.Addr) Session {
	for _, session := range s.Sessions {
		if session.Neighbor == a {
			return session
		}
	}
	return Session{Neighbor: a}
}

// Wait waits until ready. What describes the wait in the error.
func (p *Peer) Wait(ctx context.Context, what string, ready func(*State) bool) error {
	for {
		p.mu.Lock()
		ok, change := ready(&p.state), p.change
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-change:
		case <-p.gone:
			return errors.New("bgptest: peer has ended: " + strings.TrimSpace(p.words.String()))
		case <-ctx.Done():
			return fmt.Errorf("bgptest: waiting for %s: %w", what, context.Cause(ctx))
		}
	}
}
