package node

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetlb/fullnat/service"
	"fleetlb/node/config"
	"fleetlb/node/health"
)

// one reads a service from a line: its name, its VIP, keys of its table, and
// behind an angle the servers, each by the last byte of its address, with "=W"
// for a weight, "!" for draining and "-" for disabled.
//
//	web 203.0.113.10:80 quorum=2 > 11 12=3 13! 14-
func one(t *testing.T, line string) config.Service {
	t.Helper()
	head, tail, _ := strings.Cut(line, ">")
	words := strings.Fields(head)
	text := fmt.Sprintf("name = %q\nvip = %q\n", words[0], words[1])
	for _, w := range words[2:] {
		text += strings.Replace(w, "=", " = ", 1) + "\n"
	}
	s, err := config.ReadService(text)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	for _, w := range strings.Fields(tail) {
		var last, weight int
		bare := strings.TrimRight(w, "!-")
		if n, _ := fmt.Sscanf(bare, "%d=%d", &last, &weight); n < 2 {
			weight = 1
		}
		r := config.NewServer(server(last))
		r.Weight, r.Drain, r.Enabled = weight, strings.HasSuffix(w, "!"), !strings.HasSuffix(w, "-")
		s.Servers = append(s.Servers, r)
	}
	return s
}

// several reads services from lines.
func several(t *testing.T, lines string) (all []config.Service) {
	t.Helper()
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, one(t, line))
		}
	}
	return all
}

// server is the address that a last byte stands for.
func server(last int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 3, 0, byte(last)}), 80)
}

// last is the opposite of server.
func last(a netip.AddrPort) string {
	b := a.Addr().As4()
	return fmt.Sprint(b[3])
}

// verdicts reads "11 up, 12 down, 13 flapping"; of servers that are not named
// nothing is known yet. They hold for all services.
func verdicts(services []config.Service, line string) map[string]health.Verdict {
	said := map[string]string{}
	for part := range strings.SplitSeq(line, ",") {
		if w := strings.Fields(part); len(w) == 2 {
			said[w[0]] = w[1]
		}
	}
	all := map[string]health.Verdict{}
	for i := range services {
		for _, r := range services[i].Servers {
			word := said[last(r.Address)]
			all[targetKey(&services[i], r.Address)] = health.Verdict{
				Up: word == "up", Checked: word != "", Flapping: word == "flapping",
				Reason: map[string]string{"down": "connect: connection refused", "": "not checked yet"}[word],
			}
		}
	}
	return all
}

// shown says what was planned: each service, its standing and servers, then the
// routes.
func shown(p *plan) string {
	var b strings.Builder
	for i, s := range p.services {
		fmt.Fprintf(&b, "%s %s %d up", s.config.Name, s.state(), s.up)
		if s.announced {
			b.WriteString(" announced")
		}
		b.WriteString(":")
		for _, v := range p.specs[i].Servers {
			fmt.Fprintf(&b, " %s", last(v.Address))
			switch {
			case !v.Up:
				b.WriteString(" down")
			case v.Drain:
				b.WriteString(" drains")
			case v.Weight != 1:
				fmt.Fprintf(&b, "=%d", v.Weight)
			}
		}
		b.WriteString("\n")
	}
	for _, r := range p.routes {
		fmt.Fprintf(&b, "%s for %s\n", r.Prefix, p.serves(r))
	}
	return b.String()
}

// carrier is the part of a file that services need.
const carrier = `
[node]
name = "lb1"
interfaces = ["eth0"]
[fullnat]
local_addresses = ["10.2.1.0/28"]
[admin]
socket = "/run/fleetlb/admin.sock"
`

// write puts a file into a directory.
func write(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "lb.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, path string) *config.Config {
	t.Helper()
	c, err := config.Load(path, config.Host{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// built is the table of services.
func built(t *testing.T, services []config.Service) *service.Table {
	t.Helper()
	table, err := service.Build(newPlan(sound(services, "")).specs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return table
}
