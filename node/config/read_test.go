package config

import "testing"

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
		{"a mode this build has not", `name = "web"
vip = "203.0.113.10:80"
mode = "dr"`, `service "web": mode "dr": this build carries only fullnat`},
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
