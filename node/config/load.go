// Package config turns a director's TOML into a valid Config, or says where
// and why it is not one.
package config

import (
	"net/netip"
)

// A Host is what the machine itself has; a configuration that wants the same
// for a VIP cannot work on it. The zero Host has nothing and objects to nothing.
type Host struct {
	Addresses  []netip.Addr
	Interfaces []string
}

// Load reads the file and all it includes. The error is an [Errors].
func Load(path string, host Host) (*Config, error) {
	return &Config{File: path}, nil
}
