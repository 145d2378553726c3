package bgp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// childMark is the child's only argument.
const childMark = "bgp-speaker"

// A child that dies young is replaced more slowly each time, up to a second.
// The delays are uneven so that a message that kills the children of a whole
// fleet does not bring them all back in step.
const (
	firstDelay = 100 * time.Millisecond
	lastDelay  = 800 * time.Millisecond // and up to a quarter on top
	young      = 10 * time.Second
)

// supervise keeps a child running until ctx ends or Close asks it to end.
//
// The kernel kills the child when the thread that started it ends, not when the
// process does (prctl(2), PR_SET_PDEATHSIG), so this goroutine keeps its
// thread.
func (s *Speaker) supervise(ctx context.Context, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.done)

	delay := firstDelay
	for {
		c, err := spawn(ctx)
		if started != nil {
			started <- err
			if started = nil; err != nil {
				return
			}
		}
		if err == nil {
			born := time.Now()
			err = s.attend(ctx, c, born)
			if time.Since(born) > young {
				delay = firstDelay
			}
		}
		if s.ended(ctx, err) {
			return
		}
		pause := delay + rand.N(delay/4)
		s.log.Error("bgp: speaker: "+err.Error(), "restart_in", pause.Round(time.Millisecond))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		delay = min(2*delay, lastDelay)
	}
}

// ended notes that a child is gone and tells whether it was the last.
func (s *Speaker) ended(ctx context.Context, why error) bool {
	s.forget("speaker: " + why.Error())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.LastExit = why.Error()
	if s.closing || ctx.Err() != nil {
		return true
	}
	s.process.Restarts++
	return false
}

// child is a running speaker process and our ends of its pipes.
type child struct {
	cmd      *exec.Cmd
	orders   *os.File
	reports  *os.File
	complain *os.File // its standard error: a panic, if anything
}

// spawn starts the executable that is running now, by the link that names it
// even when the file has been replaced by a newer build. The child gets no
// environment; passwords reach it through the pipe.
func spawn(ctx context.Context) (*child, error) {
	var theirs, ours [3]*os.File
	for i := range theirs {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(theirs[:], ours[:])
			return nil, fmt.Errorf("bgp: speaker: %w", err)
		}
		if theirs[i], ours[i] = w, r; i == 0 {
			theirs[i], ours[i] = r, w
		}
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", childMark)
	cmd.Args[0] = filepath.Base(os.Args[0])
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs[0], theirs[1], theirs[2]
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Start()
	closeAll(theirs[:])
	if err != nil {
		closeAll(ours[:])
		return nil, fmt.Errorf("bgp: speaker: %w", err)
	}
	return &child{cmd: cmd, orders: ours[0], reports: ours[1], complain: ours[2]}, nil
}

func closeAll(sets ...[]*os.File) {
	for _, files := range sets {
		for _, f := range files {
			if f != nil {
				f.Close()
			}
		}
	}
}

// attend talks with c until it is gone, and returns why it went.
func (s *Speaker) attend(ctx context.Context, c *child, born time.Time) error {
	s.mu.Lock()
	s.process.PID, s.process.Started = c.cmd.Process.Pid, born
	s.mu.Unlock()

	var pumps sync.WaitGroup
	var lastWords string
	gone := make(chan struct{})
	pumps.Go(func() { s.give(c, gone) })
	pumps.Go(func() { lastWords = listen(c.complain) })

	why := s.hear(c)
	c.cmd.Process.Kill() // for one that is silent, or has closed its pipe and lives on
	close(gone)
	exit := c.cmd.Wait()
	pumps.Wait()
	closeAll([]*os.File{c.orders, c.reports, c.complain})
	first, _, _ := strings.Cut(lastWords, "\n")
	switch {
	case first != "":
		s.log.Debug("bgp: speaker: " + lastWords)
		return errors.New("died: " + first)
	case why != nil:
		return why
	case exit != nil:
		return fmt.Errorf("died: %w", exit)
	}
	return errors.New("ended")
}

// give writes the desired state whenever it changes and a heartbeat when it
// does not, until gone.
func (s *Speaker) give(c *child, gone <-chan struct{}) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	enc := json.NewEncoder(c.orders)
	var given uint64
	for {
		o := s.order(given)
		c.orders.SetWriteDeadline(time.Now().Add(parentPatient))
		if err := enc.Encode(o); err != nil {
			c.cmd.Process.Kill() // hear sees its pipe close
			return
		}
		given = o.Generation
		select {
		case <-s.wake:
		case <-beat.C:
		case <-gone:
			return
		}
	}
}

// order is the next line for a child that was last given a generation.
func (s *Speaker) order(given uint64) *order {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &order{Version: wireVersion, Generation: s.generation, Shutdown: s.closing}
	if given != s.generation {
		o.Desired = &desired{Config: s.config, Routes: s.routes, Resets: maps.Clone(s.resets)}
	}
	return o
}

// hear takes the child's reports until it closes its pipe, or is silent too
// long.
func (s *Speaker) hear(c *child) error {
	dec := json.NewDecoder(c.reports)
	for {
		var r report
		c.reports.SetReadDeadline(time.Now().Add(parentPatient))
		switch err := dec.Decode(&r); {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("killed: silent for %v", parentPatient)
		case err != nil:
			return fmt.Errorf("killed: report: %w", err)
		case r.Version != wireVersion:
			return fmt.Errorf("killed: report of version %d, not %d", r.Version, wireVersion)
		}
		s.heard(&r)
	}
}

// listen reads what the child says on its standard error, which is why it ends
// and, if that is a panic, the stack, and returns the beginning.
func listen(f *os.File) string {
	words, _ := io.ReadAll(io.LimitReader(f, maxWords))
	io.Copy(io.Discard, f)
	return strings.TrimSpace(string(words))
}

const maxWords = 8 << 10
