package rig

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// roomForConnections has the kernel's table of connections hold all sessions. Its
// size is the machine's, not the namespace's, and is put back at the end.
func (r *Rig) roomForConnections() error {
	buckets := 1 << 16
	for buckets < r.Sessions {
		buckets *= 2
	}
	for path, least := range map[string]int{
		"/proc/sys/net/netfilter/nf_conntrack_max":     2*r.Sessions + 500_000,
		"/sys/module/nf_conntrack/parameters/hashsize": 2 * buckets, // each session is in it twice
	} {
		if err := r.raise(path, least); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// raise has a file hold at least a number until the rig closes.
func (r *Rig) raise(path string, least int) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n >= least {
		return err
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(least)), 0); err != nil {
		return err
	}
	return r.atClose(func() { os.WriteFile(path, b, 0) })
}
