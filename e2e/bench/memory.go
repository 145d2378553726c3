package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"fleetlb/e2e/bench/rig"
)

// weigh is what a device's sessions may be part of, in bytes: of nftables all
// that the kernel has allocated in small pieces, of fleetlb the director's own
// memory. What it grows by as sessions are opened is theirs.
func weigh(device string, r *rig.Rig) (int64, error) {
	if device == nftables {
		return field("/proc/meminfo", "Slab:")
	}
	return field(fmt.Sprintf("/proc/%d/status", r.Director.Process.Pid), "VmRSS:")
}

// reserved is the kernel memory of a director's BPF maps, taken at its start for
// all the sessions that there may be.
func reserved(r *rig.Rig) (all int64, err error) {
	infos, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", r.Director.Process.Pid))
	if err != nil {
		return 0, err
	}
	seen := map[int64]bool{} // one map may have two descriptors
	for _, info := range infos {
		id, err := field(info, "map_id:")
		if err != nil || seen[id] {
			continue
		}
		seen[id] = true
		bytes, err := field(info, "memlock:")
		if err != nil {
			return 0, err
		}
		all += bytes
	}
	return all, nil
}

// field reads a number from a file of the kernel's, "Slab:   1234 kB".
func field(path, name string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 2 || f[0] != name {
			continue
		}
		var n int64
		if _, err := fmt.Sscan(f[1], &n); err != nil {
			return 0, fmt.Errorf("%s: %s %w", path, name, err)
		}
		if len(f) > 2 && f[2] == "kB" {
			n <<= 10
		}
		return n, nil
	}
	return 0, fmt.Errorf("%s: there is no %s", path, name)
}
