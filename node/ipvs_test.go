package node

import (
	"bytes"
	"strings"
	"testing"

	"fleetlb/cmd/fleetlb/ipvs"
	"fleetlb/node/config"
)

// ipvsadm runs a command line of ipvsadm's against a director.
func ipvsadm(t *testing.T, d *director, stdin, words string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	r := ipvs.Runner{Program: "ipvsadm", Director: backend{d}, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs}
	code = r.Run(t.Context(), strings.Fields(words))
	return out.String(), errs.String(), code
}

// everything is all that ipvsadm can say of services and servers, and a save puts
// in this order.
const everything = `-A -t 203.0.113.10:80 -s wrr
-a -t 203.0.113.10:80 -r 10.3.0.11:8080 -m -w 3 -x 100 -y 50
-a -t 203.0.113.10:80 -r 10.3.0.12:80 -g -w 0
-a -t 203.0.113.10:80 -r 10.3.0.13:80 -i -w 1 --tun-type ipip
-a -t 203.0.113.10:80 -r 10.3.0.14:80 -i -w 2 --tun-type gue --tun-port 6081 --tun-nocsum
-a -t 203.0.113.10:80 -r 10.3.0.15:8080 -b -w 7
-A -t 203.0.113.20:0 -s rr -p 300 -M 255.255.255.0
-a -t 203.0.113.20:0 -r 10.3.0.21:0 -g -w 1
-A -t 203.0.113.21:0 --ports 8000-8999 -s lblcr
-A -u 203.0.113.53:53 -s sh -o -b sh-fallback,sh-port
-a -u 203.0.113.53:53 -r 10.3.0.53:53 -m -w 1
-A -t [2001:db8:f::10]:443 -s mh -p 600 -M 64 -b mh-fallback,mh-port
-a -t [2001:db8:f::10]:443 -r [2001:db8:3::11]:8443 -m -w 1
-A -f 7 --vip 203.0.113.77:80/tcp --vips 203.0.113.78:443,203.0.113.77:5000-5999/udp -s wlc
-a -f 7 -r 10.3.0.77:80 -b -w 1
-a -f 7 -r 10.3.0.78:0 -g -w 1
`

// TestIPVSRoundTrip: what a director saves, one that is cleared restores, under
// the rules of the file, with every option there is.
func TestIPVSRoundTrip(t *testing.T) {
	_, d := newWorld(t, write(t, t.TempDir(), carrier))
	d.settle()
	serving(t, d)
	for _, rules := range []string{everything, "# twice\n-C\n" + everything} {
		if out, errs, code := ipvsadm(t, d, rules, "-R"); code != 0 || out != "" || errs != "" {
			t.Fatalf("-R exits %d:\n%s%s", code, out, errs)
		}
		saved, errs, code := ipvsadm(t, d, "", "-S -n")
		if code != 0 || saved != everything {
			t.Errorf("-S exits %d, %s:\n%s\nwant\n%s", code, errs, saved, everything)
		}
	}
	_, v := running(t, d)
	if got := v.running.Services[0].Name; got != "tcp-203.0.113.10-80" {
		t.Errorf("the first service is called %q", got)
	}
	again := *v.running
	if err := again.Verify(config.Host{}); err != nil {
		t.Errorf("what runs could not stand in a file: %v", err)
	}

	// Timeouts are those of services that have no others.
	if _, errs, code := ipvsadm(t, d, "", "--set 600 0 100"); code != 0 {
		t.Errorf("--set: %s", errs)
	}
	if out, _, _ := ipvsadm(t, d, "", "-L --timeout"); out != "Timeout (tcp tcpfin udp): 600 120 100\n" {
		t.Errorf("timeouts: %s", out)
	}
	_, v = running(t, d)
	if got := v.running.Services[0].Timeouts.Established.String(); got != "10m0s" {
		t.Errorf("established sessions are kept for %s", got)
	}

	// What the file would refuse is refused in its words.
	for _, tt := range []struct{ words, want string }{
		{"-A -t 10.2.1.1:80", `service "tcp-10.2.1.1-80": vip 10.2.1.1 lies in the local addresses 10.2.1.0/28`},
		{"-A -t 203.0.113.30:80 -s best", `service "tcp-203.0.113.30-80": scheduler "best" is not rr, wrr, lc, wlc, sed, nq, dh, sh, lblc, lblcr, mh, fo, ovf or twos`},
		{"-A --sctp-service 203.0.113.30:80", "SCTP is not carried here"},
		{"-a -t 203.0.113.10:80 -r 10.3.0.99:80 -m -w 70000", `service "tcp-203.0.113.10-80": server 6: weight 70000 is not between 0 and 65535`},
	} {
		if _, errs, code := ipvsadm(t, d, "", tt.words); code != 255 || errs != tt.want+"\n" {
			t.Errorf("%s exits %d: %swant %s", tt.words, code, errs, tt.want)
		}
	}
	if _, errs, code := ipvsadm(t, d, "", "-C"); code != 0 {
		t.Errorf("-C: %s", errs)
	}
	if saved, _, _ := ipvsadm(t, d, "", "-S -n"); saved != "" {
		t.Errorf("left after -C:\n%s", saved)
	}
	_, v = running(t, d)
	if len(v.changes) != 1 { // the timeouts
		t.Errorf("remembers %q", says(v.changes))
	}
}
