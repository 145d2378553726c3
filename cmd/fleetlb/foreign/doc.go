// Package foreign reads the configuration of other load balancers and writes
// fleetlb's: keepalived.conf, and what ipvsadm-save prints.
//
//	keepalived.conf → syntax.go (blocks of words) → virtual.go, check.go, instance.go ─┐
//	ipvsadm-save    → rules.go (package ipvs)     ─────────────────────────────────────┤
//	                                                                    TOML ← toml.go ┘
//
// What has no place in fleetlb, or another one, becomes a [Note] with the line it
// stands in: nothing is left out in silence.
package foreign

import (
	"fmt"
	"slices"
)

// A Note is something that was not carried over, or not as it stood.
type Note struct {
	Line int
	Text string
}

func (n Note) String() string { return fmt.Sprintf("line %d: %s", n.Line, n.Text) }

// A Site is what was understood.
type Site struct {
	Node       string   // "": not said
	Interfaces []string // not said when there is none
	Groups     []Group  // of VIPs that are held in turn
	Services   []Service
	Notes      []Note
}

// A Service is one, in the words of an edit: "check.path" = "/".
type Service struct {
	Name    string
	Set     map[string]string
	Servers []Server
}

// A Server is one of a service's.
type Server struct {
	Address string
	Set     map[string]string
}

func (s *Site) note(line int, format string, args ...any) {
	s.Notes = append(s.Notes, Note{line, fmt.Sprintf(format, args...)})
}

// sort puts the notes in the order of their lines.
func (s *Site) sort() {
	slices.SortStableFunc(s.Notes, func(a, b Note) int { return a.Line - b.Line })
}
