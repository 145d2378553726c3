package service

import "fmt"

// A Fate is what becomes of the sessions of a server that went down.
type Fate uint8

const (
	Reset Fate = iota // told to both ends at once, so that clients connect anew
	Keep              // left alone, until they end or expire
)

func (f Fate) String() string {
	switch f {
	case Reset:
		return "reset"
	case Keep:
		return "keep"
	}
	return fmt.Sprintf("fate %d", uint8(f))
}

// ParseFate is the inverse of String.
func ParseFate(s string) (Fate, error) {
	for _, f := range []Fate{Reset, Keep} {
		if f.String() == s {
			return f, nil
		}
	}
	return 0, fmt.Errorf("%q: unknown; there are reset and keep", s)
}
