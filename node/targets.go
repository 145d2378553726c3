package node

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"fleetlb/node/config"
	"fleetlb/node/health"
)

// identity is what makes a service the same, whatever it is called: what clients
// connect to.
func identity(s *config.Service) string { return s.Listener().String() }

// targetKey tells one server of one service from all others.
func targetKey(s *config.Service, server netip.AddrPort) string {
	return identity(s) + "/" + server.String()
}

// targets lists what is to be checked: every server, each as its service or it
// itself says. One that drains is checked on: it serves what it has.
func targets(services []config.Service) []health.Target {
	var all []health.Target
	for i := range services {
		s := &services[i]
		for j := range s.Servers {
			if r := &s.Servers[j]; r.Enabled {
				all = append(all, health.Target{
					Key: targetKey(s, r.Address), Name: s.Name + "/" + r.Address.String(),
					Address: r.Address, Check: healthCheck(checkOf(s, r)),
				})
			}
		}
	}
	return all
}

// checkOf is how a server is checked.
func checkOf(s *config.Service, r *config.Server) *config.Check {
	if r.Check != nil {
		return r.Check
	}
	return &s.Check
}

// healthCheck says a check of the configuration in the words of package health.
func healthCheck(c *config.Check) health.Check {
	check := health.Check{
		Type: c.Type, Interval: c.Interval, Timeout: c.Timeout, Rise: c.Rise, Fall: c.Fall,
		FlapCount: c.FlapCount, FlapWindow: c.FlapWindow, FlapHold: c.FlapHold,
		Port: c.Port, Method: c.Method, Path: c.Path, Host: c.Host,
		TLS:     health.TLS{Verify: c.TLSVerify, ServerName: c.TLSServerName, CAFile: c.TLSCAFile},
		Payload: c.PayloadBytes(), Expect: string(c.ExpectBytes()),
		Query: c.DNSName, QueryType: c.DNSType,
		Command: c.Command,
	}
	for _, r := range c.Status {
		check.Status = append(check.Status, health.StatusRange{Min: r.First, Max: r.Last})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		check.Env = append(check.Env, fmt.Sprintf("%s=%s", name, c.Env[name]))
	}
	return check
}
