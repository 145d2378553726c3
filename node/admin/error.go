package admin

import (
	"errors"
	"fmt"
	"net/http"
)

// Kind says whose fault an error is.
type Kind string

const (
	Invalid     Kind = "invalid"     // the request makes no sense: usage
	NotFound    Kind = "not_found"   // it names something that is not there
	Refused     Kind = "refused"     // it makes sense, but not now or not here
	Forbidden   Kind = "forbidden"   // the peer may not
	Unavailable Kind = "unavailable" // no director, or not ready
	Internal    Kind = "internal"    // the director is at fault
)

var statuses = map[Kind]int{
	Invalid:     http.StatusBadRequest,
	NotFound:    http.StatusNotFound,
	Refused:     http.StatusConflict,
	Forbidden:   http.StatusForbidden,
	Unavailable: http.StatusServiceUnavailable,
	Internal:    http.StatusInternalServerError,
}

// An Error is why something was not done. A cause of several lines is several
// causes.
type Error struct {
	Kind  Kind   `json:"kind"`
	Noun  string `json:"noun"` // what was asked: "server drain"
	Cause string `json:"cause"`
}

func (e *Error) Error() string {
	if e.Noun == "" {
		return e.Cause
	}
	return e.Noun + ": " + e.Cause
}

// Errorf returns an error of a kind, for a [Backend] to refuse with. The noun is
// the socket's to add.
func Errorf(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Cause: fmt.Sprintf(format, args...)}
}

// explained is err as the operator shall see it, as answer to noun.
func explained(noun string, err error, otherwise Kind) *Error {
	e := &Error{Kind: otherwise, Noun: noun, Cause: err.Error()}
	if known := (*Error)(nil); errors.As(err, &known) && statuses[known.Kind] != 0 {
		e.Kind = known.Kind
	}
	return e
}
