package service

import "fmt"

// A Fate is what becomes of the sessions of a server that went down, or that is
// not listed any more.
type Fate uint8

const (
	Default Fate = iota // Reset of a server that went down, Keep of one that was removed
	Reset               // told to both ends at once, so that clients connect anew
	Keep                // left alone, until they end or expire
	Expire              // forgotten when the client's next packet comes, without a word to anybody
)

var fates = [...]string{Default: "default", Reset: "reset", Keep: "keep", Expire: "expire"}

func (f Fate) String() string {
	if int(f) < len(fates) {
		return fates[f]
	}
	return fmt.Sprintf("fate %d", uint8(f))
}

// ParseFate is the inverse of String, but for Default.
func ParseFate(s string) (Fate, error) {
	for f := Reset; f <= Expire; f++ {
		if fates[f] == s {
			return f, nil
		}
	}
	return 0, fmt.Errorf("%q: unknown; there are reset, keep and expire", s)
}
