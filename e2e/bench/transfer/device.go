package transfer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Device stands between the hosts.
type Device string

const (
	Forwarding Device = "kernel forwarding"    // routes and nothing else
	NFTables   Device = "nftables"             // both addresses rewritten, as in FULLNAT
	HAProxy    Device = "HAProxy"              // a connection to each side, spliced
	Offload    Device = "fleetlb, offload"     // XDP programs carry what is established
	Userspace  Device = "fleetlb, offload off" // the worker carries everything
)

// devices sets each up.
var devices = map[Device]func(*Site, context.Context) error{
	Forwarding: (*Site).forward,
	NFTables:   (*Site).nft,
	HAProxy:    (*Site).haproxy,
	Offload: func(s *Site, ctx context.Context) error {
		// A veth takes what an XDP program at its peer sends while it has GRO.
		for _, host := range []string{"client", "server"} {
			if _, err := s.in(ctx, host, "ethtool", "-K", "eth0", "gro", "on"); err != nil {
				return err
			}
		}
		return s.fleetlb(ctx, "required")
	},
	Userspace: func(s *Site, ctx context.Context) error { return s.fleetlb(ctx, "off") },
}

func (s *Site) forward(ctx context.Context) error {
	_, err := s.in(ctx, "device", "sysctl", "-qw", "net.ipv4.ip_forward=1")
	return err
}

func (s *Site) nft(ctx context.Context) error {
	rules := s.file("nft", fmt.Sprintf(`table ip nat {
	chain inbound { type nat hook prerouting priority dstnat; ip daddr %s tcp dport %s dnat to %s; }
	chain outbound { type nat hook postrouting priority srcnat; ip daddr %s snat to 10.0.2.1; }
}
`, virtual, port, serverAddress, serverAddress))
	if _, err := s.in(ctx, "device", "nft", "-f", rules); err != nil {
		return err
	}
	return s.forward(ctx)
}

func (s *Site) haproxy(ctx context.Context) error {
	if _, err := run(ctx, "ip", "-n", s.network("device"), "addr", "add", virtual+"/32", "dev", "lo"); err != nil {
		return err
	}
	config := s.file("haproxy.cfg", fmt.Sprintf(`global
	nbthread 1
defaults
	mode tcp
	option splice-auto
	timeout connect 2s
	timeout client 60s
	timeout server 60s
listen iperf
	bind %s:%s
	server server %s:%s
`, virtual, port, serverAddress, port))
	_, err := s.start("device", deviceCore, "haproxy", "-db", "-f", config)
	return err
}

func (s *Site) fleetlb(ctx context.Context, offload string) error {
	program, err := director()
	if err != nil {
		return err
	}
	socket := filepath.Join(s.dir, "admin.sock")
	config := s.file("fleetlb.toml", fmt.Sprintf(`[node]
name = "lb1"
interfaces = ["eth0", "eth1"]
workers = 1
max_sessions = 1024

[fullnat]
local_addresses = ["10.2.1.0/28"]

[dataplane]
offload = %q

[admin]
socket = %q

[[service]]
name = "iperf"
vip = "%s:%s"

  [service.check]
  type = "none"

  [[service.server]]
  address = "%s:%s"
`, offload, socket, virtual, port, serverAddress, port))
	d, err := s.start("device", deviceCore, program, "-config", config)
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat(socket); err == nil && (offload == "off" || s.attached(ctx)) {
			return nil
		}
		select {
		case <-d.ended:
			return fmt.Errorf("fleetlbd ended: %s", d.lastWords())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// director is the program under test: in FLEETLB_BIN, or in bin.
func director() (string, error) {
	dir := os.Getenv("FLEETLB_BIN")
	if dir == "" {
		dir = "bin"
	}
	path, err := filepath.Abs(filepath.Join(dir, "fleetlbd"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: `make build` makes it", err)
	}
	return path, nil
}

// attached reports whether XDP programs have come to both of the device's ports.
func (s *Site) attached(ctx context.Context) bool {
	out, err := s.in(ctx, "device", "ip", "link", "show")
	return err == nil && strings.Count(out, "prog/xdp") == 2
}

// file writes one of the device's files and returns its path.
func (s *Site) file(name, content string) string {
	path := filepath.Join(s.dir, name)
	os.WriteFile(path, []byte(content), 0o644)
	return path
}
