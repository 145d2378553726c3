package config

import (
	"strconv"
)

// A Secret is kept out of every print: it shows as "(secret)" wherever fmt,
// encoding/json or log/slog meets it.
type Secret string

func (s Secret) String() string               { return "(secret)" }
func (s Secret) GoString() string             { return "(secret)" }
func (s Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// PortRange is First to Last, both included.
type PortRange struct{ First, Last uint16 }

// IsValid is false for the zero PortRange.
func (r PortRange) IsValid() bool { return r.First != 0 }

func (r PortRange) String() string {
	return strconv.Itoa(int(r.First)) + "-" + strconv.Itoa(int(r.Last))
}

// StatusRange is the HTTP statuses First to Last, both included.
type StatusRange struct{ First, Last int }

func (r StatusRange) String() string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return strconv.Itoa(r.First) + "-" + strconv.Itoa(r.Last)
}

// Contains reports whether the status lies in the range.
func (r StatusRange) Contains(status int) bool { return r.First <= status && status <= r.Last }
