package admin

import (
	"net/netip"
)

// An Edit is one change to the services at run time, in the words of the
// configuration file, whose defaults and rules apply.
type Edit struct {
	// Verb is add, edit or delete; of a server also drain, ready and weight, which
	// are edits of one key. Without a service, forget takes back all that was
	// changed before.
	Verb    string         `json:"verb"`
	Service string         `json:"service"`         // "": the timeouts of all services that have the default ones
	Server  netip.AddrPort `json:"server,omitzero"` // absent: of the service itself

	// Set is the keys of the table and what they shall be: "check.path": "/".
	// Lists are said with commas. "" takes a key back to its default.
	Set map[string]string `json:"set,omitempty"`

	Fleet bool `json:"fleet,omitempty"` // on all directors, not on this one alone
}

// noun is the command that makes such an edit: "server drain".
func (e *Edit) noun() string {
	switch {
	case e.Verb == "forget":
		return "config revert"
	case e.Server.IsValid():
		return "server " + e.Verb
	}
	return "service " + e.Verb
}

// keySpec is the body of a key to add; "" asks for a new one.
type keySpec struct {
	Key string `json:"key,omitempty"`
}
