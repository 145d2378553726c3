package rig

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"fleetlb/e2e/lab"
)

// HAProxy in mode tcp ends each connection and begins another, from a local
// address. It carries no datagrams.
func HAProxy() Device { return haproxy{} }

type haproxy struct{}

func (haproxy) Name() string           { return "HAProxy" }
func (haproxy) Target() netip.AddrPort { return VIP }

func (haproxy) Setup(r *Rig) error {
	// A local address has 64,000 ports, each for a minute after its connection's
	// end: so there are as many addresses as the others have.
	var servers strings.Builder
	local := Locals.Addr()
	for i := range 64 {
		fmt.Fprintf(&servers, "\tserver server%d %v source %v\n", i, Server, local)
		local = local.Next()
	}
	config, err := r.Device.WriteFile("haproxy.cfg", fmt.Sprintf(`global
	nbthread 1
	maxconn 4000
defaults
	mode tcp
	timeout connect 5s
	timeout client 30s
	timeout server 30s
listen rig
	bind %v
%s`, VIP, servers.String()))
	if err != nil {
		return err
	}
	for _, command := range []string{
		"ip link set lo up",
		fmt.Sprintf("ip addr add %v/32 dev lo", VIP.Addr()),
		fmt.Sprintf("ip route add local %v dev lo", Locals),
		"sysctl -qw net.ipv4.ip_local_port_range=1024\t65535 net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096",
	} {
		if err := r.run(strings.Split(command, " ")...); err != nil {
			return err
		}
	}
	p, err := r.Start("haproxy", "haproxy", "-db", "-f", config)
	if err != nil {
		return err
	}
	return lab.Await(5*time.Second, "HAProxy to listen", func() error {
		if !p.Running() {
			return lab.Hopeless(fmt.Errorf("it ended: %s", p.Tail(1)))
		}
		out, err := r.Device.Run(context.Background(), "ss", "-Htln")
		if err == nil && !strings.Contains(out, VIP.String()) {
			err = fmt.Errorf("it does not")
		}
		return err
	})
}
