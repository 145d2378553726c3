package lab

import (
	"fmt"
	"time"
)

// Await asks until the answer is nil and returns nil, or the last answer when
// the time is up.
func Await(timeout time.Duration, what string, ask func() error) error {
	deadline := time.Now().Add(timeout)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := ask()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v for %s: %w", timeout, what, err)
		}
		time.Sleep(pause)
	}
}
