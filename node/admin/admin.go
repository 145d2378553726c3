// Package admin is the director's door for its operator: an HTTP API of JSON on
// a unix socket, and the client that speaks it.
//
// A [Backend] is everything the operator can see and do. The director implements
// it, a [Socket] serves it, and [Client] is a Backend again, on the
// other side: what goes in at one end comes out at the other, errors included.
//
// # Nouns and verbs
//
//	GET    /v1/status /v1/services /v1/servers /v1/health /v1/sessions /v1/nodes
//	       /v1/bgp/neighbors /v1/bgp/routes /v1/pool /v1/drops /v1/config /v1/settings /v1/traffic
//	       /v1/keyring
//	GET    /v1/explain?protocol=tcp&src=IP:PORT&dst=IP:PORT      /v1/doctor
//	POST   /v1/reload /v1/node/drain /v1/node/undrain
//	POST   /v1/edit (an array of [Edit])         /v1/config/save
//	POST   /v1/traffic/zero[?service=NAME]
//	POST   /v1/keyring                          PUT, DELETE /v1/keyring/ID
//
// Every answer to a GET is an array of objects, sorted, also where there is only
// one; reload answers with the array of what it changed, changes of the keyring
// with the array of what every director said; the other verbs answer 204. An
// error is an [Error] with the HTTP status of its [Kind].
//
// Keys are snake_case and never change their meaning; their order is that of
// the fields here. Times are seconds, sizes bytes, addresses "ip:port" with IPv6
// in brackets.
//
// # Who may
//
// The socket is 0660, and its peers are asked who they are besides: root, the
// director's own user and the members of the socket's group are served.
package admin

import (
	"context"
	"iter"
)

// A Backend is what the operator can see and do. It is called concurrently.
// Lists need no order. A verb refuses with an [Error] or with any other error,
// whose text then says what is wrong; the socket puts the verb before it.
type Backend interface {
	Status(context.Context) (Status, error)
	Services(ctx context.Context, service string) ([]Service, error) // all when ""
	Servers(ctx context.Context, service string) ([]Server, error)   // of all services when ""
	Health(ctx context.Context, service string) ([]Health, error)    // of all services when ""
	Sessions(context.Context, SessionFilter) iter.Seq2[Session, error]
	Persistence(ctx context.Context, service string) ([]Persistence, error) // of all services when ""
	Nodes(context.Context) ([]Node, error)
	VRRP(context.Context) ([]VRRP, error)
	Neighbors(context.Context) ([]Neighbor, error)
	Routes(context.Context) ([]Route, error)
	Pool(context.Context) ([]Pool, error)
	Drops(context.Context) ([]Drop, error)
	Config(context.Context) (Config, error)
	Settings(ctx context.Context, service string) ([]Setting, error) // of all services when ""
	Traffic(ctx context.Context, service string) ([]Traffic, error)  // of all services when ""
	Keyring(context.Context) ([]KeyHolder, error)

	Explain(context.Context, Tuple) (Explanation, error)
	Doctor(context.Context) ([]Finding, error)

	Edit(context.Context, []Edit) error             // all of them or none
	Zero(ctx context.Context, service string) error // what Traffic counts; of all services when ""
	Save(context.Context) (string, error)           // what was changed so, into a file, which it names

	DrainNode(context.Context) error
	UndrainNode(context.Context) error
	Reload(context.Context) ([]Change, error) // what it changed; none if nothing

	// Changes of the fleet's keyring, and what every member has or says then.
	AddKey(ctx context.Context, key string) ([]KeyHolder, error) // in base64; "": a new one
	UseKey(ctx context.Context, id string) ([]KeyHolder, error)  // to send with
	RemoveKey(ctx context.Context, id string) ([]KeyHolder, error)
}
