package ipvs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"fleetlb/node/admin"
)

// A told director notes what it is told, and knows one service.
type told struct {
	settings []admin.Setting
	edits    []admin.Edit
	zeroed   []string
	refuse   func(admin.Edit) error
}

func (d *told) Settings(context.Context, string) ([]admin.Setting, error) { return d.settings, nil }
func (d *told) Traffic(context.Context, string) ([]admin.Traffic, error)  { return nil, nil }
func (d *told) Sessions(context.Context, admin.SessionFilter) iter.Seq2[admin.Session, error] {
	return func(func(admin.Session, error) bool) {}
}

func (d *told) Persistence(context.Context, string) ([]admin.Persistence, error) { return nil, nil }

func (d *told) Edit(_ context.Context, edits []admin.Edit) error {
	for _, e := range edits {
		if d.refuse != nil && d.refuse(e) != nil {
			return d.refuse(e)
		}
	}
	d.edits = append(d.edits, edits...)
	return nil
}

func (d *told) Zero(_ context.Context, service string) error {
	d.zeroed = append(d.zeroed, service)
	return nil
}

func one() *told {
	return &told{settings: []admin.Setting{
		{Set: map[string]string{"timeouts.established": "15m"}},
		{Service: "web", Set: map[string]string{"vip": "203.0.113.10:80", "protocol": "tcp", "mode": "fullnat", "scheduler": "wrr"}},
		{Service: "web", Server: netip.MustParseAddrPort("10.3.0.11:8080"), Set: map[string]string{"weight": "2"}},
		{Service: "dns", Set: map[string]string{"vip": "[2001:db8::53]:53", "protocol": "udp", "one_packet": "true", "tag": "53"}},
	}}
}

// names are those of no host but this test's.
type names map[string]string

func (n names) Host(_ context.Context, name string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(n[name])
	return a, err == nil
}

func (n names) HostOf(_ context.Context, a netip.Addr) (string, bool) {
	name, ok := n[a.String()]
	return name, ok
}

func (n names) Port(name, protocol string) (uint16, bool) {
	port, ok := map[string]uint16{"http/tcp": 80, "domain/udp": 53}[name+"/"+protocol]
	return port, ok
}

func (n names) PortName(port uint16, protocol string) (string, bool) {
	name, ok := map[string]string{"80/tcp": "http"}[fmt.Sprint(port)+"/"+protocol]
	return name, ok
}

var known = names{"www.example.com": "203.0.113.80", "203.0.113.10": "a-name-that-is-far-too-long.example.com"}

func run(d Director, stdin, words string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	r := Runner{Program: "ipvsadm", Director: d, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Names: known}
	code = r.Run(context.Background(), strings.Fields(words))
	return code, out.String(), errs.String()
}

// written is an edit in one line.
func written(e admin.Edit) string {
	words := []string{e.Verb, e.Service}
	if e.Server.IsValid() {
		words = append(words, e.Server.String())
	}
	for _, key := range slices.Sorted(maps.Keys(e.Set)) {
		words = append(words, key+"="+e.Set[key])
	}
	if e.Fleet {
		words = append(words, "(fleet)")
	}
	return strings.Join(words, " ")
}

// TestGrammar: what is said, and what the director is told. Behind "!" is the exit
// code and what is said of it.
func TestGrammar(t *testing.T) {
	const plain = " check.type=none mode=dr protocol=tcp scheduler=wlc vip=203.0.113.20:80"
	for _, tt := range []struct{ words, want string }{
		{"-A -t 203.0.113.20:80", "add tcp-203.0.113.20-80" + plain},
		{"--add-service --tcp-service 203.0.113.20:80", "add tcp-203.0.113.20-80" + plain},
		{"--add-service --tcp-service=203.0.113.20:http", "add tcp-203.0.113.20-80" + plain},
		{"-At 203.0.113.20:80 -swlc", "add tcp-203.0.113.20-80" + plain},
		{"-A -t www.example.com:http -s rr", "add tcp-203.0.113.80-80 check.type=none mode=dr protocol=tcp scheduler=rr vip=203.0.113.80:80"},
		{"-A -u [2001:db8::10]:domain -o --fleet", "add udp-2001_db8__10-53 check.type=none mode=dr one_packet=true protocol=udp scheduler=wlc vip=[2001:db8::10]:53 (fleet)"},
		{"-A -u [2001:db8::10]:53 -O", "add udp-2001_db8__10-53 check.type=none mode=dr one_packet=true protocol=udp scheduler=wlc vip=[2001:db8::10]:53"},
		{"-A --sctp-service 203.0.113.20:80", "! 255 SCTP is not carried here"},
		{"-A -t 203.0.113.20:80 -p", "add tcp-203.0.113.20-80 check.type=none mode=dr persistence=300s protocol=tcp scheduler=wlc vip=203.0.113.20:80"},
		{"-A -t 203.0.113.20:80 -p -s wlc", "add tcp-203.0.113.20-80 check.type=none mode=dr persistence=300s protocol=tcp scheduler=wlc vip=203.0.113.20:80"},
		{"-A -t 203.0.113.20 -p60 -M 255.255.255.0", "add tcp-203.0.113.20-0 check.type=none mode=dr persistence=60s persistence_prefix4=24 protocol=tcp scheduler=wlc vip=203.0.113.20:0"},
		{"-A -t [2001:db8::10]:80 --persistent=60 --netmask 64", "add tcp-2001_db8__10-80 check.type=none mode=dr persistence=60s persistence_prefix6=64 protocol=tcp scheduler=wlc vip=[2001:db8::10]:80"},
		{"-A -t 203.0.113.20:0 --ports 8000-8999", "add tcp-203.0.113.20-0 check.type=none mode=dr ports=8000-8999 protocol=tcp scheduler=wlc vip=203.0.113.20:0"},
		{"-A -f 7 --vip 203.0.113.20:80 --vips 203.0.113.20:443,:5000/udp", "add fwm-7 check.type=none mode=dr protocol=tcp scheduler=wlc tag=7 vip=203.0.113.20:80 vips=203.0.113.20:443,:5000/udp"},
		{"-A -t 203.0.113.20:80 -s mh -b mh-port,mh-fallback", "add tcp-203.0.113.20-80 check.type=none mode=dr protocol=tcp scheduler=mh scheduler_flags=mh-fallback,mh-port vip=203.0.113.20:80"},
		{"-A -t 203.0.113.20:80 -b flag-2,flag-1 -s sh", "add tcp-203.0.113.20-80 check.type=none mode=dr protocol=tcp scheduler=sh scheduler_flags=sh-fallback,sh-port vip=203.0.113.20:80"},
		{"-E -t 203.0.113.10:80 -s rr", "edit web persistence=0s persistence_prefix4= scheduler=rr scheduler_flags="},
		{"-E -f 53 -s rr -p 9", "edit dns one_packet=false persistence=9s persistence_prefix6= scheduler=rr scheduler_flags="},
		{"-D -t 203.0.113.10:80", "delete web"},
		{"-D -f 53 -6", "delete dns"},
		{"-C", "delete web; delete dns"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12", "add web 10.3.0.12:80 mode=dr weight=1"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12:8080", "add web 10.3.0.12:80 mode=dr weight=1"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12:8080 -i", "add web 10.3.0.12:80 mode=tun weight=1"},
		{"-a -t 203.0.113.10:80 -r [2001:db8:3::1]:80 -i", "add web [2001:db8:3::1]:80 mode=tun weight=1"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12:8080 -m -w 3", "add web 10.3.0.12:8080 mode=nat weight=3"},
		{"-mat 203.0.113.10:80 -r 10.3.0.12:8080", "! 255 Try `ipvsadm -h' or 'ipvsadm --help' for more information."},
		{"-at 203.0.113.10:80 -r 10.3.0.12:8080 -mw3", "add web 10.3.0.12:8080 mode=nat weight=3"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12:8080 -b -w 0 -x 10 -y 5", "add web 10.3.0.12:8080 lower_threshold=5 mode=fullnat upper_threshold=10 weight=0"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -i --tun-type gue --tun-port 6080 --tun-nocsum", "add web 10.3.0.12:80 mode=tun tunnel=gue tunnel_port=6080 weight=1"},
		{"-e -t 203.0.113.10:80 -r 10.3.0.11:8080 -m", "edit web 10.3.0.11:8080 lower_threshold= mode=nat tunnel= tunnel_port= tunnel_variant= upper_threshold= weight=1"},
		{"-d -t 203.0.113.10:80 -r 10.3.0.11:8080", "delete web 10.3.0.11:8080"},
		{"--set 600 0 60", "edit  timeouts.established=600s timeouts.udp=60s"},
		{"--set 0 0 0", ""},
		{"-Z -t 203.0.113.10:80", "zeroed web"},
		{"-Z", "zeroed "},

		{"-A", "! 2 You need to supply the 'service-address' option for the 'add-service' command"},
		{"-A -t 203.0.113.20:80 -n", "! 2 Illegal 'numeric' option with the 'add-service' command"},
		{"-A -t 203.0.113.20:80 -t 203.0.113.20:80", "! 2 multiple 'service-address' options specified"},
		{"-A -D -t 203.0.113.20:80", "! 2 invalid option `-D'"},
		{"-A -t 203.0.113.20:80 extra", "! 2 unexpected argument extra"},
		{"-A -t 203.0.113.20:80 -- extra", "! 2 unexpected argument extra"},
		{"-A -t 203.0.113.20:80 -s", "! 255 -s: missing argument"},
		{"-A -t 203.0.113.20:80 --color", "! 255 --color: unknown option"},
		{"-A -t 203.0.113.20:80 --ops=1", "! 255 --ops=1: option does not take an argument"},
		{"-A -t 203.0.113.20:80 -ö", "! 255 -\xc3: unknown option"},
		{"-A -t 80", "! 2 illegal virtual server address[:port] specified"},
		{"-A -t 203.0.113.20:65536", "! 2 illegal virtual server address[:port] specified"},
		{"-A -t 203.0.113.20:gopher", "! 2 illegal virtual server address[:port] specified"},
		{"-A -t nowhere.example.com:80", "! 2 illegal virtual server address[:port] specified"},
		{"-A -t [2001:db8::10:80", "! 2 illegal virtual server address[:port] specified"},
		{"-A -t [203.0.113.20]:80", "! 2 illegal virtual server address[:port] specified"},
		{"-A -t 203.0.113.20:0", "! 2 Zero port specified for non-persistent service"},
		{"-A -t 203.0.113.20:80 -o", "! 2 One-Packet Scheduling is only for UDP virtual services"},
		{"-A -t 203.0.113.20:80 -p 0", "! 2 invalid timeout value `0' specified"},
		{"-A -t 203.0.113.20:80 -p 60 -M 255.0.255.0", "! 2 illegal virtual server persistent mask specified: 255.0.255.0 is not a prefix"},
		{"-A -t 203.0.113.20:80 -p 60 -M 24", "! 2 illegal virtual server persistent mask specified"},
		{"-A -t [2001:db8::10]:80 -p 60 -M 129", "! 2 illegal ipv6 netmask specified"},
		{"-A -t 203.0.113.20:80 -s rr -b mh-port", "! 2 incompatible scheduler flag `mh-port'"},
		{"-A -t 203.0.113.20:80 -s mh -b fast", "! 2 invalid scheduler flag `fast'"},
		{"-A -f 0", "! 2 invalid fwmark value `0' specified"},
		{"-A -6 -f 1", "! 2 -6 used before -f\n"},
		{"-A -t 203.0.113.20:80 --vip 203.0.113.20:80", "! 2 Illegal 'vip' option: the service has its address"},
		{"-a -t 203.0.113.10:80", "! 2 You need to supply the 'real-server' option for the 'add-server' command"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -m -g", "! 2 multiple 'forwarding-method' options specified"},
		{"-a -t 203.0.113.10:80 -r [2001:db8:3::1]:80 -m", "! 2 Different address family is allowed only for tunneling servers"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -w heavy", "! 2 illegal weight specified"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -w -1", "! 2 illegal weight specified"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -x -1", "! 2 illegal u_threshold specified"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -y x", "! 2 illegal l_threshold specified"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 --tun-type gue", "! 2 Tunnel options conflict with forward method"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -i --tun-type vxlan", "! 2 illegal tunnel type specified"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -i --tun-type gue", "! 2 You need to supply the 'tun-port' option for the 'gue' tunnel type"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -i --tun-port 6080", "! 2 Illegal 'tun-port' option with the 'ipip' tunnel type"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -i --tun-type gue --tun-port 6080 --tun-csum --tun-nocsum",
			"! 2 The option 'tun-csum' conflicts with the 'tun-nocsum' option in the 'gue' tunnel type"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.12 -i --tun-type gue --tun-port 0", "! 2 illegal tunnel port specified"},
		{"-d -t 203.0.113.10:80 -r 10.3.0.11:8080 -w 1", "! 2 Illegal 'weight' option with the 'delete-server' command"},
		{"--set 1 2", "! 2 --set option requires 3 timeout values"},
		{"--set 1 2 3 4", "! 2 unexpected argument 4"},
		{"--set 1 2 x", "! 2 invalid timeout value `x' specified"},
		{"-L -c --timeout", "! 2 The option 'timeout' conflicts with the 'connection' option in the 'list' command"},
		{"-L -c --stats", "! 2 options conflicts in the list command"},
		{"-L --daemon --persistent-conn", "! 2 options conflicts in the list command"},
		{"--start-daemon both", "! 2 illegal start-daemon parameter specified"},
		{"--stop-daemon both", "! 2 illegal start_daemon specified"},
		{"-S -c", "! 2 Illegal 'connection' option with the 'save' command"},
	} {
		d := one()
		code, _, stderr := run(d, "", tt.words)
		var all []string
		for _, e := range d.edits {
			all = append(all, written(e))
		}
		for _, name := range d.zeroed {
			all = append(all, "zeroed "+name)
		}
		got := strings.Join(all, "; ")
		if code != 0 {
			got = fmt.Sprintf("! %d %s", code, strings.TrimSuffix(stderr, "\n"))
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.words, got, tt.want)
		}
	}
}

// TestNames: names stand for numbers unless -n asks for those, and no name breaks
// a column.
func TestNames(t *testing.T) {
	_, got, _ := run(one(), "", "-L")
	const want = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  a-name-that-is-far-too-long. wrr
  -> 10.3.0.11:8080               FullNat 2      0          0         
FWM  53 IPv6  ops
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s := &systemNames{hosts: map[netip.Addr]string{}, ports: map[string]uint16{}, names: map[string]string{}}
	s.read(bufio.NewScanner(strings.NewReader("# services\nhttp 80/tcp www # web\nhttp 80/udp\nwww-http 80/tcp\nbad x/tcp\nshort\nbig 70000/tcp\n")))
	if p, ok := s.Port("www", "tcp"); p != 80 || !ok {
		t.Errorf("www/tcp is %d, %v", p, ok)
	}
	if name, _ := s.PortName(80, "tcp"); name != "http" {
		t.Errorf("80/tcp is %q", name)
	}
	if _, ok := s.Port("big", "tcp"); ok {
		t.Error("a port beyond 65535")
	}
}

func TestLarge(t *testing.T) {
	l := &listing{q: &request{words: map[option]string{}}}
	exact := &listing{q: &request{words: map[option]string{optExact: ""}}}
	for _, tt := range []struct {
		n           uint64
		short, full string
	}{
		{0, "        0", "        0"},
		{99_999_999, " 99999999", " 99999999"},
		{100_000_000, "  100000K", " 100000000"},
		{999_999_999, "  999999K", " 999999999"},
		{1_000_000_000, "    1000M", " 1000000000"},
		{99_999_999_999, "   99999M", " 99999999999"},
		{100_000_000_000, "     100G", " 100000000000"},
		{100_000_000_000_000, "     100T", " 100000000000000"},
	} {
		if got := l.large(tt.n); got != tt.short {
			t.Errorf("%d: %q, want %q", tt.n, got, tt.short)
		}
		if got := exact.large(tt.n); got != tt.full {
			t.Errorf("%d exactly: %q, want %q", tt.n, got, tt.full)
		}
	}
}

// TestRestoreTogether: lines go together, and what is refused among them is found
// and said once for each line that has it.
func TestRestoreTogether(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("-A -t 203.0.113.20:80 -s rr\n")
	for i := range 200 {
		fmt.Fprintf(&rules, "-a -t 203.0.113.20:80 -r 10.3.1.%d:80 -m\n", i)
	}
	requests := 0
	d := one()
	d.refuse = func(e admin.Edit) error {
		if e.Server.IsValid() && e.Server.Addr().As4()[3]%100 == 77 {
			return admin.Errorf(admin.Invalid, "%v is not to be had", e.Server)
		}
		return nil
	}
	code, _, stderr := run(counting{d, &requests}, rules.String(), "-R")
	if code != 255 || stderr != "10.3.1.77:80 is not to be had\n10.3.1.177:80 is not to be had\n" {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if len(d.edits) != 199 {
		t.Errorf("%d edits got through, want 199", len(d.edits))
	}
	if requests > 40 {
		t.Errorf("%d requests for 201 lines", requests)
	}
}

type counting struct {
	*told
	n *int
}

func (c counting) Edit(ctx context.Context, edits []admin.Edit) error {
	*c.n++
	return c.told.Edit(ctx, edits)
}

// FuzzArguments: whatever is said, there is an exit code, and a complaint where
// it is not 0; what is understood could have been said to the director.
func FuzzArguments(f *testing.F) {
	for _, words := range []string{"-A -t 203.0.113.20:80 -s rr -p 60 -M 255.255.255.0", "-Lnc --persistent-conn", "-at [::1]:80 -r [::2]:80 -mw3",
		"--set 1 2 3", "-E -f 53 -6 -b flag-1", "-S -n", "-p", "-", "--", "-A -u 1:53 -o --pe sip", "-R"} {
		f.Add(words)
	}
	f.Fuzz(func(t *testing.T, words string) {
		d := one()
		code, _, stderr := run(d, "-A -t 203.0.113.30:80\n-R\n", words)
		if (code == 0) != (stderr == "") && !strings.Contains(words, "R") && !strings.Contains(words, "restore") {
			t.Errorf("%q: exit %d, %q", words, code, stderr)
		}
		if code != 0 && (len(d.edits) > 0 && !strings.Contains(words, "R") && !strings.Contains(words, "restore")) {
			t.Errorf("%q: exit %d and still %v", words, code, d.edits)
		}
		for _, e := range d.edits {
			for key, word := range e.Set {
				if strings.ContainsAny(word, "\x00\n") && !strings.ContainsAny(words, "\x00\n") {
					t.Errorf("%q: %s is %q", words, key, word)
				}
			}
		}
	})
}

// FuzzRestore: what a restore takes, a save gives back, and restoring that again
// changes nothing.
func FuzzRestore(f *testing.F) {
	f.Add("-A -t 203.0.113.20:80 -s rr\n-a -t 203.0.113.20:80 -r 10.3.0.11:80 -m -w 3 -x 4 -y 2\n")
	f.Add("ipvsadm -A -u [2001:db8::1]:53 -s sh -b sh-port -o -p 5 -M 64\n# words\n-a -u [2001:db8::1]:53 -r [2001:db8::2] -i --tun-type gue --tun-port 1\n")
	f.Add("-A -f 3 -6 --vip [2001:db8::3]:80 --vips :443,:53/udp\n-C\n-A -t 203.0.113.20:0 -p\n-D -t 203.0.113.20:0\n")
	f.Fuzz(func(t *testing.T, rules string) {
		saved := restored(rules)
		again := restored(saved)
		if saved != again {
			t.Errorf("%q\nsaves\n%s\nwhich restores to\n%s", rules, saved, again)
		}
	})
}

// restored is what a save prints after a restore, on a director that takes all.
func restored(rules string) string {
	d := &told{}
	run(d, rules, "-R")
	t := &table{}
	for i := range d.edits {
		t.follow(&d.edits[i])
	}
	var out bytes.Buffer
	r := Runner{Program: "ipvsadm", Director: d, Stdout: &out, Stderr: &out, Names: known, table: t}
	r.Run(context.Background(), []string{"-S", "-n"})
	return out.String()
}
