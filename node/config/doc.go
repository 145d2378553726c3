// Package config turns a director's TOML into a valid Config, or says where
// and why it is not one.
//
// # A straight line
//
//	files    read the file and what it includes          files.go
//	locate   remember on which line each key stands      locate.go
//	decode   keys and values into the types, strictly    decode.go
//	verify   what no single value can tell               verify.go, verify_*.go
//
// Every step notes its faults and goes on, so that one run reports all that is
// wrong with all files, each at its line. A [Config] is handed out only when
// there is no fault; after that nothing checks again.
//
// # One language, written once
//
// The tags of the types in config.go are the language. Reading ([Load]),
// printing ([Marshal]), comparing ([Diff], [Reloadable]) and guessing what the
// operator meant all walk the same tags, so they cannot disagree.
//
// What the language has and this build has not stands in one table, beyond.go.
package config
