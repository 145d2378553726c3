// Package node is a director's life: the control plane's straight line.
//
//	plan(configuration, health, membership, next hops, heartbeat) → (services, routes)
//
// One goroutine owns all of it (control.go). Whatever happens (a verdict, a
// route, a command, a worker that stops) ends in the same step: apply plans
// anew, stops attracting what will not be served, publishes a snapshot to the
// workers, and attracts what is served now. Nothing is a delta, so nothing can
// be missed.
//
// Read node.go for how a director starts and ends, claim.go for what it has to
// itself, control.go for what it does in between, plan.go for what it decides,
// reload.go for how it changes its mind, leave.go for how it goes. fleet.go joins
// it to the other directors: sync.go is what it must learn of them before it
// serves, backup.go and lan.go what of theirs it stands in for, elect.go what
// it holds in turn with routers that are no directors, dead.go, loads.go,
// templates.go and spread.go what they tell each other. The rest is what the
// operator sees and does.
//
// # What is changed by command
//
// A command edits the services that the file describes, under the rules of the
// file. Edits are kept in the order they were made and applied again on top of
// every reloaded file; one that a new file has made meaningless or impossible is
// dropped and said so, and one that the file says itself by then is forgotten. A
// restart forgets them all: the file is what lasts.
//
// # What does not end a director
//
// Packets flow for as long as the workers run, whatever becomes of this package:
// a step of the control plane that panics is logged and leaves in force what was
// applied before, a file that cannot be read changes nothing, a speaker that
// dies is started again, and a log that nobody reads is written in vain.
package node
