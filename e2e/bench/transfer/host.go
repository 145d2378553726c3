package transfer

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// serial tells the sites of one process apart.
var serial atomic.Uint32

// wire makes the namespaces and the cables between them.
func (s *Site) wire(ctx context.Context) error {
	prefix := fmt.Sprintf("fleetlb-%d-transfer%d-", os.Getpid(), serial.Add(1))
	for _, host := range []string{"client", "device", "server"} {
		s.networks = append(s.networks, prefix+host)
		if _, err := run(ctx, "ip", "netns", "add", prefix+host); err != nil {
			return err
		}
	}
	client, device, server := s.network("client"), s.network("device"), s.network("server")
	for _, command := range []string{
		"ip link add eth0 netns " + client + " type veth peer name eth0 netns " + device,
		"ip link add eth1 netns " + device + " type veth peer name eth0 netns " + server,
		"ip -n " + client + " addr add 10.0.1.2/24 dev eth0",
		"ip -n " + device + " addr add 10.0.1.1/24 dev eth0",
		"ip -n " + device + " addr add 10.0.2.1/24 dev eth1",
		"ip -n " + server + " addr add 10.0.2.2/24 dev eth0",
		"ip -n " + client + " link set lo up",
		"ip -n " + device + " link set lo up",
		"ip -n " + server + " link set lo up",
		"ip -n " + client + " link set eth0 up",
		"ip -n " + device + " link set eth0 up",
		"ip -n " + device + " link set eth1 up",
		"ip -n " + server + " link set eth0 up",
		"ip -n " + client + " route add default via 10.0.1.1",
		"ip -n " + server + " route add default via 10.0.2.1",
	} {
		if _, err := run(ctx, strings.Fields(command)...); err != nil {
			return err
		}
	}
	return nil
}

// network is the name of a host's namespace.
func (s *Site) network(host string) string {
	for _, name := range s.networks {
		if strings.HasSuffix(name, "-"+host) {
			return name
		}
	}
	return ""
}

// steer has each host's frames received on the core that is its own.
func (s *Site) steer(ctx context.Context) error {
	threads, err := napiThreads()
	if err != nil {
		return err
	}
	for _, port := range []struct {
		host, name string
		core       int
	}{{"client", "eth0", hostCore}, {"server", "eth0", hostCore}, {"device", "eth0", deviceCore}, {"device", "eth1", deviceCore}} {
		set := fmt.Sprintf("echo %x >/sys/class/net/%s/queues/rx-0/rps_cpus", 1<<port.core, port.name)
		if s.device == Offload {
			set = "echo 1 >/sys/class/net/" + port.name + "/threaded"
		}
		if _, err := s.in(ctx, port.host, "sh", "-c", set); err != nil {
			return err
		}
		all, err := napiThreads()
		if err != nil {
			return err
		}
		for pid := range all {
			if threads[pid] {
				continue
			}
			if _, err := run(ctx, "taskset", "-pc", strconv.Itoa(port.core), strconv.Itoa(pid)); err != nil {
				return err
			}
		}
		maps.Copy(threads, all)
	}
	return nil
}

// napiThreads are the kernel's threads that receive frames.
func napiThreads() (map[int]bool, error) {
	threads := map[int]bool{}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if b, _ := os.ReadFile(name); bytes.HasPrefix(b, []byte("napi/")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			threads[pid] = true
		}
	}
	return threads, err
}

// in runs a program on a host to its end.
func (s *Site) in(ctx context.Context, host string, argv ...string) (string, error) {
	return run(ctx, append([]string{"ip", "netns", "exec", s.network(host)}, argv...)...)
}
