package fullnat

import (
	"context"
	"errors"
	"fmt"
)

// ErrStopped is what asking a plane gets whose workers have ended.
var ErrStopped = errors.New("dataplane: stopped")

// An answer is what a worker found out, or why it could not.
type answer[T any] struct {
	value T
	err   error
}

// inquire has a worker run f between two batches and returns what f does. It is
// how everything a worker owns is read from outside: the answer is f's alone to
// make, and nobody's to share until it is given.
func inquire[T any](ctx context.Context, p *Plane, w *Worker, f func() T) (T, error) {
	given := make(chan answer[T], 1)
	question := func() {
		var a answer[T]
		defer func() {
			if panicked := recover(); panicked != nil {
				a.err = fmt.Errorf("dataplane: worker %d: panic: %v", w.id, panicked)
			}
			given <- a
		}()
		a.value = f()
	}
	var none T
	if !p.ask(w, question) {
		select {
		case w.asks <- question:
			w.queue.Wake()
		case <-p.ended:
			return none, ErrStopped
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
	}
	select {
	case a := <-given:
		return a.value, a.err
	case <-p.ended:
		return none, ErrStopped
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// ask puts a question to a worker that does not run yet, in whose place the
// caller answers it, and reports whether it could.
func (p *Plane) ask(w *Worker, question func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running {
		return false
	}
	w.pin(w.clock())
	question()
	return true
}
