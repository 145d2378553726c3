package schedule

import (
	"maps"
	"slices"
)

// A law is one way to choose: the flags it takes and how to build it from
// members and flags that New has checked.
type law struct {
	flags []string
	build func(members []Member, flags []string, state *State) Scheduler
}

var laws = map[string]law{
	"rr":    {build: newRR},
	"wrr":   {build: newWRR},
	"lc":    {build: newLC},
	"wlc":   {build: newWLC},
	"sed":   {build: newSED},
	"nq":    {build: newNQ},
	"dh":    {build: newDH},
	"sh":    {build: newSH, flags: []string{shFallback, shPort}},
	"mh":    {build: newMH, flags: []string{mhFallback, mhPort}},
	"lblc":  {build: newLBLC},
	"lblcr": {build: newLBLCR},
	"fo":    {build: newFO},
	"ovf":   {build: newOVF},
	"twos":  {build: newTwos},
}

// Names lists the schedulers there are, sorted.
func Names() []string { return slices.Sorted(maps.Keys(laws)) }

// Flags lists the flags that the scheduler called name takes, sorted.
func Flags(name string) []string { return slices.Clone(laws[name].flags) }
