//go:build race

package gossip_test

// racing says that the race detector makes everything ten times slower: fleets of
// 64 are then left to the plain run.
const racing = true
