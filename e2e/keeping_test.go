package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// What LVS users rely on beside schedulers: clients that keep their server over
// connections, ports and services; servers that are given no more than they can
// take; servers that are let go without a word.
func TestKeeping(t *testing.T) {
	s := prepare(t, lab.Options{Clients: 2})
	s.pin(t)
	s.start(t, service{name: "web", vip: s.VIP4, port: lab.HTTPPort})
	t.Run("persistence over ports and connections", func(t *testing.T) { persistence(t, s) })
	t.Run("persistence ends", func(t *testing.T) { persistenceEnds(t, s) })
	t.Run("quiesce", func(t *testing.T) { quiesce(t, s) })
	t.Run("a range of ports", func(t *testing.T) { portRange(t, s) })
	t.Run("thresholds under load", func(t *testing.T) { thresholds(t, s) })
	t.Run("a removed server is forgotten", func(t *testing.T) { removed(t, s) })
}

// shop is a service at a port of a VIP, or at several, which its servers keep.
func shop(vip string, first int, more string, servers ...string) string {
	port := first
	if strings.Contains(more, "vips") || strings.Contains(more, "ports") {
		port = 0
	}
	text := fmt.Sprintf(`
[[service]]
name = "shop"
vip = %q
scheduler = "rr"
%s
  [service.timeouts]
  established = "10m"
  fin_wait = "1s"
  time_wait = "1s"
  close = "1s"
  close_wait = "1s"
  last_ack = "1s"
  [service.check]
  type = "http"
  path = "/healthz"
  port = %d
  interval = "200ms"
  rise = 1
`, at(vip, first), more, lab.HTTPPort)
	for i := range 3 {
		address := lab.ServerAddress(i+1, port, strings.Contains(vip, ":"))
		own := ""
		if i < len(servers) {
			own = servers[i]
		}
		if own != "-" {
			text += fmt.Sprintf("  [[service.server]]\n  address = %q\n%s\n", address, own)
		}
	}
	return text
}

// sell gives the director the services of the texts.
func (s *site) sell(t *testing.T, texts ...string) {
	t.Helper()
	s.lb.Services = strings.Join(texts, "")
	if err := s.lb.Reload(); err != nil {
		t.Fatal(err)
	}
}

func (s *site) sellAll(t *testing.T, texts ...string) {
	t.Helper()
	s.sell(t, texts...)
	if err := s.lb.AwaitAllUp(10 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// kept is what `fleetlb persistence -o json` says, spelled out again on purpose.
type kept struct {
	Service  string `json:"service"`
	Client   string `json:"client"`
	Server   string `json:"server"`
	ExpiresS int    `json:"expires_s"`
	Sessions int    `json:"sessions"`
}

func (s *site) kept(t *testing.T) (all []kept) {
	t.Helper()
	out, err := s.lb.CLI("-o", "json", "persistence")
	if err == nil {
		err = json.Unmarshal([]byte(out), &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// same is the one server that answered a client n times.
func same(t *testing.T, client *lab.Host, url string, n int) string {
	t.Helper()
	answers, err := client.AskMany(t.Context(), url, n)
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != 1 {
		t.Errorf("%s: %d requests of one client were answered by %v", url, n, answers)
	}
	for name := range answers {
		return name
	}
	return ""
}

func persistence(t *testing.T, s *site) {
	for family, vip := range s.families() {
		t.Run(family, func(t *testing.T) {
			echo := at(vip, lab.EchoPort)
			s.sellAll(t, shop(vip, lab.HTTPPort, fmt.Sprintf("vips = [%q, %q]\npersistence = \"1m\"", echo, echo+"/udp")))
			mine, theirs := same(t, s.Clients[0], url(vip, lab.HTTPPort), 12), same(t, s.Clients[1], url(vip, lab.HTTPPort), 12)
			if mine == theirs {
				t.Errorf("both clients were given %s", mine)
			}
			crowd := s.crowd(t, echo, 9)
			addresses := map[string]int{}
			sessions, err := s.lb.Sessions("--state", "established")
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range sessions {
				if v.VIP == echo {
					addresses[v.Server]++
				}
			}
			number := strings.TrimPrefix(mine, "server")
			want := map[string]int{lab.ServerAddress(int(number[0]-'0'), lab.EchoPort, strings.Contains(vip, ":")): 9}
			if fmt.Sprint(addresses) != fmt.Sprint(want) {
				t.Errorf("at another port of the service the client was given %v, want %v", addresses, want)
			}
			templates := s.kept(t)
			if len(templates) != 2 || !slices.ContainsFunc(templates, func(k kept) bool { return k.Sessions >= 9 && k.Service == "shop" && k.ExpiresS == 60 }) {
				t.Errorf("remembered %+v", templates)
			}
			unbroken(t, crowd)
		})
	}
}

func persistenceEnds(t *testing.T, s *site) {
	s.sellAll(t, shop(s.VIP4, lab.HTTPPort, `persistence = "2s"`))
	first := same(t, s.client, url(s.VIP4, lab.HTTPPort), 3)
	if err := lab.Await(15*time.Second, "the client to be forgotten", func() error {
		if all := s.kept(t); len(all) > 0 {
			return fmt.Errorf("%+v", all)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if second := same(t, s.client, url(s.VIP4, lab.HTTPPort), 3); second == first {
		t.Errorf("forgotten, and given %s again, whose turn it is not", first)
	}
}

// quiesce: a server of weight 0 keeps its clients and gets no new ones.
func quiesce(t *testing.T, s *site) {
	const more = `persistence = "1m"`
	s.sellAll(t, shop(s.VIP4, lab.HTTPPort, more))
	mine := same(t, s.Clients[0], url(s.VIP4, lab.HTTPPort), 3)
	quiet := make([]string, 3)
	quiet[mine[len(mine)-1]-'1'] = "weight = 0"
	s.sell(t, shop(s.VIP4, lab.HTTPPort, more, quiet...))
	if again := same(t, s.Clients[0], url(s.VIP4, lab.HTTPPort), 6); again != mine {
		t.Errorf("quiesced, and the client went from %s to %s", mine, again)
	}
	if theirs := same(t, s.Clients[1], url(s.VIP4, lab.HTTPPort), 6); theirs == mine {
		t.Errorf("a new client was given %s, which is quiesced", theirs)
	}
	s.sell(t, shop(s.VIP4, lab.HTTPPort, more+"\nexpire_quiescent_template = true", quiet...))
	if again := same(t, s.Clients[0], url(s.VIP4, lab.HTTPPort), 6); again == mine {
		t.Errorf("the client should have left %s", mine)
	}
}

// portRange: every port of a range is served, by the same port of a server.
func portRange(t *testing.T, s *site) {
	for family, vip := range s.families() {
		s.sellAll(t, shop(vip, 0, `ports = "7000-8999"`))
		answers, err := s.client.AskMany(t.Context(), url(vip, lab.HTTPPort), 9)
		if err != nil || answers["server1"] != 3 || answers["server2"] != 3 || answers["server3"] != 3 {
			t.Errorf("%s: asked 9 times: %v: %v", family, answers, err)
		}
		unbroken(t, s.crowd(t, at(vip, lab.EchoPort), 20))
		if _, err := s.client.Dial(t.Context(), "tcp", at(vip, 7100)); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: a port of the range that no server has: %v, want the server's refusal", family, err)
		}
	}
	out, err := s.lb.CLI("services")
	if err != nil || !strings.Contains(out, ":7000-8999 ") {
		t.Errorf("services: %s: %v", out, err)
	}
}

// thresholds: as many connections as the servers take, whoever else tries.
func thresholds(t *testing.T, s *site) {
	const upper, workers = 5, 4
	s.sellAll(t, shop(s.VIP4, lab.EchoPort, "", "upper_threshold = 5", "upper_threshold = 5", "upper_threshold = 5\nlower_threshold = 2"))
	var mu sync.Mutex
	var in []net.Conn
	refused := 0
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			c, err := s.Clients[i%2].Dial(t.Context(), "tcp", at(s.VIP4, lab.EchoPort))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused++
				return
			}
			in = append(in, c)
		})
	}
	all.Wait()
	t.Logf("%d of 60 got in, %d were refused", len(in), refused)
	if len(in) < 3*upper || len(in) > 3*(upper+workers-1) || refused != 60-len(in) {
		t.Errorf("%d got in, and the servers take %d each", len(in), upper)
	}
	for _, c := range in {
		if err := greets(c); err != nil {
			t.Errorf("who got in: %v", err)
		}
	}
	servers, err := s.lb.ServerList("shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range servers {
		if v.State != "overloaded" || v.Active < upper || v.Active > upper+workers-1 {
			t.Errorf("%+v, want overloaded at %d", v, upper)
		}
	}
	if drops, err := s.lb.Drops(); err != nil || drops["overloaded"] < uint64(refused) {
		t.Errorf("drops %v: %v", drops, err)
	}
	for _, c := range in {
		c.Close()
	}
	if err := lab.Await(10*time.Second, "new connections to get in again", func() error {
		c, err := s.client.Dial(t.Context(), "tcp", at(s.VIP4, lab.EchoPort))
		if err == nil {
			c.Close()
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// removed: sessions of a server that is no longer listed are forgotten without a
// word, and the others go on.
func removed(t *testing.T, s *site) {
	const more = `removed_server = "expire"`
	s.sellAll(t, shop(s.VIP4, lab.EchoPort, more))
	before, err := s.lb.Drops()
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	for range 6 {
		c, err := s.client.Dial(t.Context(), "tcp", at(s.VIP4, lab.EchoPort))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := greets(c); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	s.sell(t, shop(s.VIP4, lab.EchoPort, more, "", "-"))
	alive := 0
	for _, c := range conns {
		c.SetDeadline(time.Now().Add(2 * time.Second))
		switch _, err := c.Write([]byte("hello")); {
		case err != nil:
			t.Errorf("was told: %v", err)
		default:
			if _, err := c.Read(make([]byte, 5)); err == nil {
				alive++
			} else if e, ok := err.(net.Error); !ok || !e.Timeout() {
				t.Errorf("was told: %v", err)
			}
		}
	}
	if alive != 4 {
		t.Errorf("%d of 6 connections live, want those of the two servers that are left", alive)
	}
	if err := counted(s, before, "forgotten", 2); err != nil {
		t.Error(err)
	}
	if n := established(t, s, lab.ServerAddress(2, lab.EchoPort, false)); n != 0 {
		t.Errorf("%d sessions of the removed server are left", n)
	}
}

// TestOnePacket: the datagrams of one socket go to one server after the other,
// and are answered from the VIP, though nobody keeps a session.
func TestOnePacket(t *testing.T) {
	s := prepare(t, lab.Options{})
	s.pin(t)
	for _, server := range s.Servers {
		if err := server.Gateway([]string{"10.3.0.1", "2001:db8:3::1"}, []string{"10.3.0.201", "2001:db8:3::201"}); err != nil {
			t.Fatal(err)
		}
	}
	const more = "mode = \"nat\"\none_packet = true"
	s.start(t, service{name: "once4", vip: s.VIP4, port: lab.EchoPort, protocol: "udp", scheduler: "rr", more: more},
		service{name: "once6", vip: s.VIP6, port: lab.EchoPort, protocol: "udp", scheduler: "rr", more: more})
	for name, vip := range map[string]string{"once4": s.VIP4, "once6": s.VIP6} {
		c, err := s.client.Dial(t.Context(), "udp", at(vip, lab.EchoPort))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 9 {
			if err := greets(c); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for i := range s.Servers {
			server := lab.ServerAddress(i+1, lab.EchoPort, vip == s.VIP6)
			for _, direction := range []string{"inbound", "outbound"} {
				series := fmt.Sprintf("fleetlb_server_packets_total{direction=%q,server=%q,service=%q}", direction, server, name)
				if n := s.metric(t, series); n != 3 {
					t.Errorf("%s: %v of nine datagrams, want three", series, n)
				}
			}
		}
	}
	if sessions, err := s.lb.Sessions("--limit", "9"); err != nil || len(sessions) > 0 {
		t.Errorf("sessions %+v: %v", sessions, err)
	}
}
