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
			s := NewService("new", addr("203.0.113.99:80"), "udp")
			s.Servers = append(s.Servers, NewServer(addr("10.3.0.99:80")))
			c.Services = append(c.Services, s)
		}, ""},
		{"a check of another type", func(c *Config) { c.Services[0].Check = NewCheck("none") }, ""},
		{"a name that is taken", func(c *Config) {
			c.Services = append(c.Services, NewService("web", addr("203.0.113.99:80"), "tcp"))
		}, `service "web": the name is taken`},
		{"a vip that is taken", func(c *Config) {
			c.Services = append(c.Services, NewService("new", addr("203.0.113.10:80"), "tcp"))
		}, `service "new": vip 203.0.113.10:80/tcp belongs to service "web"`},
		{"no vip", func(c *Config) {
			c.Services = append(c.Services, NewService("new", netip.AddrPort{}, "tcp"))
		}, `service "new": vip is missing`},
		{"an address of the host", func(c *Config) { c.Services[0].VIP = addr("192.0.2.5:80") },
			`service "web": vip 192.0.2.5 is an address of this host: its kernel would answer for it`},
		{"what cannot be said", func(c *Config) {
			c.Services[0].Scheduler = "best"
			c.Services[0].Mode = "nat"
			c.Services[0].Servers[0].Weight = 70000
			c.Services[0].Check.Interval = 1
		}, `service "web": mode "nat": this build carries only fullnat
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
