package lab

import (
	"errors"
	"fmt"
	"time"
)

// Hopeless marks an answer that will not change: [Await] stops asking.
func Hopeless(err error) error { return hopeless{err} }

type hopeless struct{ error }

func (h hopeless) Unwrap() error { return h.error }

// Await asks until the answer is nil and returns nil, or the last answer when
// the time is up.
func Await(timeout time.Duration, what string, ask func() error) error {
	deadline := time.Now().Add(timeout)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := ask()
		if err == nil {
			return nil
		}
		if errors.As(err, new(hopeless)) {
			return fmt.Errorf("no use to wait for %s: %w", what, err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v for %s: %w", timeout, what, err)
		}
		time.Sleep(pause)
	}
}
