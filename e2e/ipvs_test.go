package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// What LVS users type, by the name they know: a service and its servers by
// ipvsadm, by each forwarding method, TCP and UDP, IPv4 and IPv6, then what the
// listings say of it, and all of it saved, cleared and restored.
func TestIPVSAdm(t *testing.T) {
	for _, tt := range []struct {
		name, letters, forward string
		prepare                func(*testing.T, *site)
	}{
		{"nat", "-m", "Masq", func(t *testing.T, s *site) {
			for _, server := range s.Servers {
				if err := server.Gateway([]string{"10.3.0.1", "2001:db8:3::1"}, []string{"10.3.0.201", "2001:db8:3::201"}); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"dr", "-g", "Route", holdVIPs},
		{"tun", "-i", "Tunnel", func(t *testing.T, s *site) {
			holdVIPs(t, s)
			for _, server := range s.Servers {
				if _, err := server.Decapsulate(); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"fullnat", "-b", "FullNat", func(*testing.T, *site) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openMode(t, lab.TwoArm)
			tt.prepare(t, s)
			a := ipvsadm(t, s)
			a.run("-C")
			if out := a.run("-L -n"); strings.Contains(out, "TCP") {
				t.Fatalf("left after -C:\n%s", out)
			}
			for family, vip := range s.families() {
				a.run("-A -t %s -s rr", at(vip, lab.NginxPort))
				a.run("-A -u %s -s rr", at(vip, lab.EchoPort))
				for i := range s.Servers {
					v6 := family == "IPv6"
					a.run("-a -t %s -r %s %s", at(vip, lab.NginxPort), lab.ServerAddress(i+1, lab.NginxPort, v6), tt.letters)
					a.run("-a -u %s -r %s %s -w 2", at(vip, lab.EchoPort), lab.ServerAddress(i+1, lab.EchoPort, v6), tt.letters)
				}
			}
			carries(t, s, a, tt.forward)
			for family, vip := range s.families() {
				selftest(t, s, a, vip, family == "IPv6", tt.letters)
			}

			// Restored, it carries on.
			before := a.run("-S -n")
			a.shell("ipvsadm -S -n >rules && ipvsadm -C && ipvsadm -R <rules")
			if after := a.run("-S -n"); after != before {
				t.Errorf("restored:\n%s\nsaved:\n%s", after, before)
			}
			answered(t, s)
		})
	}
}

// answered has every family answered by either server in turn.
func answered(t *testing.T, s *site) {
	t.Helper()
	for family, vip := range s.families() {
		answers, err := s.client.AskMany(t.Context(), url(vip, lab.NginxPort), 20)
		if err != nil || answers["server1"] != 10 || answers["server2"] != 10 {
			t.Errorf("%s, asked 20 times: %v: %v", family, answers, err)
		}
	}
}

// carries sends a file and datagrams through the VIPs, and looks at the listings.
func carries(t *testing.T, s *site, a *admTool, forward string) {
	answered(t, s)
	want := hashFile(t, filepath.Join(s.Servers[0].File("files"), "noise"))
	for _, vip := range s.families() {
		s.download(t, vip, want)
		for _, size := range []int64{1, 1200} {
			datagram(t, s, vip, size)
		}
	}
	list := a.run("-L -n")
	for _, line := range []string{
		fmt.Sprintf("TCP  %s rr\n", at(s.VIP4, lab.NginxPort)),
		fmt.Sprintf("UDP  %s rr\n", at(s.VIP6, lab.EchoPort)),
		fmt.Sprintf("  -> %-28s %-7s 1      ", lab.ServerAddress(1, lab.NginxPort, false), forward),
		fmt.Sprintf("  -> %-28s %-7s 2      ", lab.ServerAddress(2, lab.EchoPort, true), forward),
	} {
		if !strings.Contains(list, line) {
			t.Errorf("no %q in\n%s", line, list)
		}
	}
	held, err := s.client.Dial(t.Context(), "udp", at(s.VIP4, lab.EchoPort))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := held.Write([]byte("here")); err != nil {
		t.Fatal(err)
	}
	within := fmt.Sprintf(" %-18s ", held.LocalAddr())
	if err := lab.Await(5*time.Second, "the session to be listed", func() error {
		out := a.run("-L -n -c")
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "UDP ") && strings.Contains(line, within) && strings.Contains(line, " "+at(s.VIP4, lab.EchoPort)) {
				return nil
			}
		}
		return fmt.Errorf("not in\n%s", out)
	}); err != nil {
		t.Error(err)
	}

	// What was carried is counted, and carried a second; zeroed, it begins anew.
	service := "-t " + at(s.VIP4, lab.NginxPort)
	if err := lab.Await(10*time.Second, "a rate", func() error {
		if _, err := s.client.AskMany(t.Context(), url(s.VIP4, lab.NginxPort), 5); err != nil {
			return err
		}
		if f := cells(a.run("-L -n --rate %s", service), "TCP"); f[0] == "0" || f[1] == "0" {
			return fmt.Errorf("%q", f)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if f := cells(a.run("-L -n --stats --exact %s", service), "TCP"); f[0] == "0" || len(f[3]) < 4 {
		t.Errorf("counted %q", f)
	}
	a.run("-Z %s", service)
	if f := cells(a.run("-L -n --stats %s", service), "TCP"); f[0] != "0" || f[4] != "0" {
		t.Errorf("zeroed, %q are counted", f)
	}
}

// selftest is the flow of the kernel's own test of IPVS: socat sends a file
// through a VIP, and what a server has taken is compared with it.
func selftest(t *testing.T, s *site, a *admTool, vip string, v6 bool, letters string) {
	t.Helper()
	const port, size = 7070, 8 << 20
	a.run("-A -t %s -s rr", at(vip, port))
	sent := s.client.File("sent")
	want := writeNoise(t, sent, 3, size)
	protocol := "TCP4"
	if v6 {
		protocol = "TCP6"
	}
	for i, server := range s.Servers {
		listener, err := server.Start("socat", "socat", "-u", fmt.Sprintf("%s-LISTEN:%d,reuseaddr", protocol, port), "OPEN:"+server.File("received")+",creat,trunc")
		if err != nil {
			t.Fatal(err)
		}
		a.run("-a -t %s -r %s %s", at(vip, port), lab.ServerAddress(i+1, port, v6), letters)
		if _, err := s.client.Run(t.Context(), "socat", "-u", "OPEN:"+sent, fmt.Sprintf("%s:%s,retry=50,interval=0.1", protocol, at(vip, port))); err != nil {
			t.Error(err)
		}
		if err := listener.Wait(10 * time.Second); err != nil {
			t.Errorf("%s: %v", server.Name, err)
		} else if got := hashFile(t, server.File("received")); got != want {
			t.Errorf("%s: the file comes with hash %s, want %s", server.Name, got, want)
		}
		a.run("-d -t %s -r %s", at(vip, port), lab.ServerAddress(i+1, port, v6))
	}
	a.run("-D -t %s", at(vip, port))
}

// cells are the numbers of the first line of a listing that begins with a word.
func cells(listing, word string) []string {
	for line := range strings.Lines(listing) {
		if f := strings.Fields(line); len(f) == 7 && f[0] == word {
			return f[2:]
		}
	}
	return make([]string, 5)
}

// An admTool is a link named ipvsadm, used on the director's host.
type admTool struct {
	t *testing.T
	s *site
}

func ipvsadm(t *testing.T, s *site) *admTool {
	t.Helper()
	program, err := lab.Binary("fleetlb")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, s.lb.Host.File("ipvsadm")); err != nil {
		t.Fatal(err)
	}
	return &admTool{t, s}
}

func (a *admTool) run(format string, args ...any) string {
	a.t.Helper()
	return a.shell("ipvsadm " + fmt.Sprintf(format, args...))
}

// shell runs a line with ipvsadm at hand.
func (a *admTool) shell(line string) string {
	a.t.Helper()
	out, err := a.s.lb.Host.Run(a.t.Context(), "env", "FLEETLB_SOCKET="+a.s.lb.Socket(), "PATH="+a.s.lb.Host.File("")+":"+os.Getenv("PATH"),
		"sh", "-c", "cd "+a.s.lb.Host.File("")+" && "+line)
	if err != nil {
		a.t.Fatalf("%s: %v", line, err)
	}
	return out
}
