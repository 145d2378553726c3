//go:build !race

package gossip_test

const racing = false
