package main

import (
	"bytes"
	"strings"
	"testing"

	"fleetlb/node/admin"
)

// What is here for other directors takes nothing of the room for our own, and is
// not said to.
func TestStatusOfFleet(t *testing.T) {
	for _, tt := range []struct {
		status admin.Status
		want   string
	}{
		{admin.Status{Sessions: 1100, SessionsHome: 1100, MaxSessions: 1152, Opened: 7}, "sessions   1,100 of at most 1,152, 7 opened\n"},
		{admin.Status{Sessions: 3300, SessionsHome: 1100, MaxSessions: 1152, Opened: 7},
			"sessions   1,100 of at most 1,152, and 2,200 of other directors, 7 opened\n"},
	} {
		var out bytes.Buffer
		printStatus(&out, &tt.status)
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("got\n%swant\n%s", &out, tt.want)
		}
	}
}
