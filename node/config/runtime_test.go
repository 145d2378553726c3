package config

import (
	"net/netip"
	"testing"
)

// TestVerify: by command nothing gets in that a file could not say.
func TestVerify(t *testing.T) {
	addr := netip.MustParseAddrPort
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"nothing", func(*Config) {}, ""},
		{"a service with defaults", func(c *Config) {
			s := newService("new", addr("203.0.113.99:80"), "udp")
			s.Servers = append(s.Servers, NewServer(addr("10.3.0.99:80")))
			c.Services = append(c.Services, s)
		}, ""},
		{"a check of another type", func(c *Config) { c.Services[0].Check = defaultCheck("none") }, ""},
		{"a name that is taken", func(c *Config) {
			c.Services = append(c.Services, newService("web", addr("203.0.113.99:80"), "tcp"))
		}, `service "web": the name is taken`},
		{"a vip that is taken", func(c *Config) {
			c.Services = append(c.Services, newService("new", addr("203.0.113.10:80"), "tcp"))
		}, `service "new": vip 203.0.113.10:80/tcp belongs to service "web"`},
		{"no vip", func(c *Config) {
			c.Services = append(c.Services, newService("new", netip.AddrPort{}, "tcp"))
		}, `service "new": vip is missing`},
		{"an address of the host", func(c *Config) { c.Services[0].VIP = addr("192.0.2.5:80") },
			`service "web": vip 192.0.2.5 is an address of this host: its kernel would answer for it`},
		{"what cannot be said", func(c *Config) {
			c.Services[0].Scheduler = "best"
			c.Services[0].Mode = "snat"
			c.Services[0].Servers[0].Weight = 70000
			c.Services[0].Check.Interval = 1
		}, `service "web": mode "snat" is not fullnat, nat, dr or tun; did you mean "nat"?
service "web": scheduler "best" is not rr, wrr, lc, wlc, sed, nq, dh, sh, lblc, lblcr, mh, fo, ovf or twos
service "web": check: interval 1ns is not between 100ms and 1h
service "web": server 1: weight 70000 is not between 0 and 65535`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := must(t, lay(t, t.TempDir(), readGolden(t, "weights")))
			tt.change(c)
			got := ""
			if err := c.Verify(testHost); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// newService is a service that says no more than it must.
func newService(name string, vip netip.AddrPort, protocol string) Service {
	s := defaultService(protocol)
	s.Name, s.VIP = name, vip
	return s
}

// TestReadService: a service by command has the language of a file.
func TestReadService(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"with defaults", `name = "web"
vip = "203.0.113.10:80"
server = [{ address = "10.3.0.11:8080" }]`, ""},
		{"nothing", "", `service 1: name is missing
service 1: vip is missing`},
		{"what a file could not say", `name = "web"
vip = "[::ffff:203.0.113.10]:80"
protocol = "sctp"
check = { type = "tcp", path = "/", interval = "2 sec", port = 70000 }
server = [{ address = "10.3.0.11" }, { address = "10.3.0.12:80", weight = -1 }]`,
			`service "web": vip "[::ffff:203.0.113.10]:80" is an IPv4 address in disguise; did you mean "203.0.113.10:80"?
service "web": protocol "sctp" is not tcp or udp
service "web": check: interval "2 sec" is not a duration; did you mean "2s"?
service "web": check: port 70000 is not between 0 and 65535
service "web": check: path is for http and https, not for tcp
service "web": server 1: address "10.3.0.11" has no port; write "10.3.0.11:80"
service "web": server 2: weight -1 is not between 0 and 65535`},
		{"a mode that there is not", `name = "web"
vip = "203.0.113.10:80"
mode = "route"`, `service "web": mode "route" is not fullnat, nat, dr or tun`},
		{"no TOML", `name = `, `unexpected EOF; expected value`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ReadService(tt.text)
			got := ""
			if err != nil {
				got = err.Error()
			} else if s.Scheduler != "wrr" || s.Quorum != 1 || s.Servers[0].Weight != 1 {
				t.Errorf("without defaults: %+v", s)
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
