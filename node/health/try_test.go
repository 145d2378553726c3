package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// check runs one check as the monitor does, goodbye included.
func check(t *testing.T, at string, c Check) string {
	t.Helper()
	return checkTarget(t.Context(), &Target{Key: "web/" + at, Address: netip.MustParseAddrPort(at), Check: c.withDefaults()})
}

func checkTarget(ctx context.Context, target *Target) string {
	hangUp, err := try(due{ctx, time.Now().Add(target.Check.Timeout)}, target)
	if hangUp != nil {
		hangUp()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// serve accepts at a loopback address and gives each connection to handle.
func serve(t *testing.T, at string, handle func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Skipf("no %s here: %v", at, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			handle(c.(*net.TCPConn))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// says is a server that reads a request and answers text, whatever it was.
func says(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, text)
	}
}

// closedPort is one that nobody listens at.
func closedPort(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// blackHole is a port that answers no SYN: its backlog is full.
func blackHole(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, _ := unix.Getsockname(fd)
	at := fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port)
	for range 8 {
		c, err := net.DialTimeout("tcp", at, 100*time.Millisecond)
		if err != nil {
			return at
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the backlog never fills")
	return ""
}

func TestTCP(t *testing.T) {
	silent := func(c *net.TCPConn) { io.Copy(io.Discard, c) }
	echo := func(c *net.TCPConn) { io.Copy(c, c) }
	tests := []struct {
		name  string
		at    string
		check Check
		want  string
	}{
		{"a listener", serve(t, "127.0.0.1:0", silent), Check{}, ""},
		{"over IPv6", serve(t, "[::1]:0", silent), Check{}, ""},
		{"from a given source", serve(t, "127.0.0.1:0", silent), Check{Source: netip.MustParseAddr("127.0.0.9")}, ""},
		{"from a source that is not ours", serve(t, "127.0.0.1:0", silent), Check{Source: netip.MustParseAddr("198.51.100.1")},
			"connect: cannot assign requested address"},
		{"nobody there", closedPort(t, "tcp"), Check{}, "connect: connection refused"},
		{"a black hole", blackHole(t), Check{Timeout: 50 * time.Millisecond}, "connect: no answer within 50ms"},
		{"an answer", serve(t, "127.0.0.1:0", echo), Check{Payload: []byte("PING\r\n"), Expect: "PING"}, ""},
		{"a wrong one", serve(t, "127.0.0.1:0", says("no")), Check{Payload: []byte("GET / HTTP/1.0\r\n\r\n"), Expect: "yes"},
			`answer lacks "yes"`},
		{"none", serve(t, "127.0.0.1:0", silent), Check{Expect: "220 ", Timeout: 50 * time.Millisecond}, "answer: no answer within 50ms"},
		{"another port", closedPort(t, "tcp"), Check{Port: netip.MustParseAddrPort(serve(t, "127.0.0.1:0", silent)).Port()}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.check.Type = "tcp"
			if got := check(t, tt.at, tt.check); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// A server must see our FIN and no reset, whatever it was saying.
func TestGoodbye(t *testing.T) {
	for name, greet := range map[string]string{"quiet": "", "with a banner": "220 ready\r\n", "talkative": strings.Repeat("x", 64<<10)} {
		t.Run(name, func(t *testing.T) {
			end := make(chan error, 1)
			at := serve(t, "127.0.0.1:0", func(c *net.TCPConn) {
				io.WriteString(c, greet)
				_, err := io.Copy(io.Discard, c)
				end <- err
			})
			if got := check(t, at, Check{Type: "tcp"}); got != "" {
				t.Errorf("%q", got)
			}
			if err := <-end; err != nil {
				t.Errorf("the server saw %v, want an orderly end", err)
			}
		})
	}
}

func TestHTTP(t *testing.T) {
	var asked atomic.Pointer[http.Request]
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		switch r.URL.Path {
		case "/busy":
			w.WriteHeader(503)
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "after hints")
		case "/endless":
			for w.(http.Flusher).Flush(); ; {
				if _, err := io.WriteString(w, strings.Repeat("tick ", 200)); err != nil {
					return
				}
			}
		default:
			io.WriteString(w, strings.Repeat(".", 5000)+"all is well")
		}
	}))
	t.Cleanup(site.Close)
	at := site.Listener.Addr().String()

	tests := []struct {
		name  string
		at    string
		check Check
		want  string
	}{
		{"a site", at, Check{}, ""},
		{"its text", at, Check{Expect: "all is well"}, ""},
		{"not its text", at, Check{Expect: "on fire"}, `body lacks "on fire"`},
		{"busy", at, Check{Path: "/busy"}, "status 503, want 200-299"},
		{"busy is fine", at, Check{Path: "/busy", Status: []StatusRange{{200, 200}, {500, 599}}}, ""},
		{"redirects are not followed", at, Check{Path: "/moved", Status: []StatusRange{{200, 200}, {404, 404}}}, "status 302, want 200, 404"},
		{"interim responses are passed over", at, Check{Path: "/hints", Expect: "after hints"}, ""},
		{"HEAD has no body", at, Check{Method: "HEAD"}, ""},
		{"an endless body with the text", at, Check{Path: "/endless", Expect: "tick tick"}, ""},
		{"and without", at, Check{Path: "/endless", Expect: "tock"}, `body lacks "tock" in its first 256 KiB`},
		{"an endless header", serve(t, "127.0.0.1:0", says("HTTP/1.1 200 OK\r\nA: "+strings.Repeat("a", 1<<20))), Check{},
			"response: header of more than 64 KiB"},
		{"not HTTP", serve(t, "127.0.0.1:0", says("220 mail ready\r\n")), Check{}, "response: malformed …"},
		{"nothing", serve(t, "127.0.0.1:0", says("")), Check{}, "response: the server closed the connection"},
		{"half of it", serve(t, "127.0.0.1:0", says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")), Check{Expect: "whole"},
			"body: the server closed the connection in mid-answer"},
		{"half of the header", serve(t, "127.0.0.1:0", says("HTTP/1.1 200 OK\r\nContent-Le")), Check{}, "response: …"},
		{"silence", serve(t, "127.0.0.1:0", func(c *net.TCPConn) { io.Copy(io.Discard, c) }), Check{Timeout: 50 * time.Millisecond},
			"response: no answer within 50ms"},
		{"nobody there", closedPort(t, "tcp"), Check{}, "connect: connection refused"},
		{"a path that is none", at, Check{Path: "no slash"}, `path "no slash" is not one`},
		{"https to http", at, Check{Type: "https"}, "tls: tls: first record does not look like a TLS handshake"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.check.Type == "" {
				tt.check.Type = "http"
			}
			got := check(t, tt.at, tt.check)
			if begins, cut := strings.CutSuffix(tt.want, "…"); got != tt.want && !(cut && strings.HasPrefix(got, begins)) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}

	t.Run("what it asks", func(t *testing.T) {
		check(t, at, Check{Type: "http", Method: "OPTIONS", Host: "www.example", Path: "/a%20b?q=1"})
		r := asked.Load()
		if r.Method != "OPTIONS" || r.Host != "www.example" || r.RequestURI != "/a%20b?q=1" || !r.Close || r.UserAgent() != "fleetlb-check" {
			t.Errorf("%s %s of %s, close %v, by %s", r.Method, r.RequestURI, r.Host, r.Close, r.UserAgent())
		}
		check(t, at, Check{Type: "http"})
		if r = asked.Load(); r.Method != "GET" || r.Host != at || r.RequestURI != "/" {
			t.Errorf("by default %s %s of %s", r.Method, r.RequestURI, r.Host)
		}
	})
	t.Run("no proxy is used", func(t *testing.T) {
		proxy := serve(t, "127.0.0.1:0", func(*net.TCPConn) { t.Error("the proxy was asked") })
		for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
			t.Setenv(name, "http://"+proxy)
		}
		if got := check(t, at, Check{Type: "http"}); got != "" {
			t.Errorf("%q", got)
		}
	})
}

func TestHostHeader(t *testing.T) {
	for in, want := range map[string]string{
		"http 10.0.0.1:80":         "10.0.0.1",
		"http 10.0.0.1:443":        "10.0.0.1:443",
		"https [2001:db8::1]:443":  "[2001:db8::1]",
		"https [2001:db8::1]:8443": "[2001:db8::1]:8443",
	} {
		kind, at, _ := strings.Cut(in, " ")
		target := Target{Address: netip.MustParseAddrPort(at), Check: Check{Type: kind}}
		if got := hostHeader(&target); got != want {
			t.Errorf("%s: Host %s, want %s", in, got, want)
		}
	}
}

func TestHTTPS(t *testing.T) {
	var sni atomic.Value
	site := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	site.TLS = &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		sni.Store(h.ServerName)
		return nil, nil
	}}
	site.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	site.EnableHTTP2 = true
	site.StartTLS()
	t.Cleanup(site.Close)
	at := site.Listener.Addr().String()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: site.Certificate().Raw}), 0o600)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	os.WriteFile(empty, nil, 0o600)

	tests := []struct {
		name  string
		check Check
		want  string // pattern
		sni   string
	}{
		{"anyone is believed", Check{Expect: "HTTP/1.1"}, `^$`, ""},
		{"unless verified", Check{TLS: TLS{Verify: true}}, `^tls: .*certificate signed by unknown authority$`, ""},
		{"against a CA", Check{TLS: TLS{Verify: true, CAFile: ca}}, `^$`, ""}, // it also names 127.0.0.1
		{"by the name it serves", Check{Host: "example.com:443", TLS: TLS{Verify: true, CAFile: ca}}, `^$`, "example.com"},
		{"or another that is sent", Check{Host: "b", TLS: TLS{Verify: true, CAFile: ca, ServerName: "example.com"}}, `^$`, "example.com"},
		{"and not by a wrong one", Check{Host: "www.example.org", TLS: TLS{Verify: true, CAFile: ca}},
			`^tls: .*valid for example\.com.*not www\.example\.org$`, "www.example.org"},
		{"no CA file", Check{TLS: TLS{Verify: true, CAFile: "/nonexistent.pem"}}, `^tls: ca: open /nonexistent.pem: no such file or directory$`, ""},
		{"an empty one", Check{TLS: TLS{Verify: true, CAFile: empty}}, `^tls: ca: no certificate in .*empty.pem$`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sni.Store("")
			tt.check.Type = "https"
			if got := check(t, at, tt.check); !regexp.MustCompile(tt.want).MatchString(got) {
				t.Errorf("%q, want %s", got, tt.want)
			}
			if sni.Load() != tt.sni {
				t.Errorf("SNI %q, want %q", sni.Load(), tt.sni)
			}
		})
	}
	silent := serve(t, "127.0.0.1:0", func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	if got := check(t, silent, Check{Type: "https", Timeout: 50 * time.Millisecond}); got != "tls: no answer within 50ms" {
		t.Errorf("a silent server: %q", got)
	}
}

// answering is a UDP server; an answer of nil is none.
func answering(t *testing.T, at string, answer func(string) []byte) string {
	t.Helper()
	c, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Skipf("no %s here: %v", at, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if a := answer(string(buf[:n])); a != nil {
				c.WriteTo(a, from)
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().String()
}

func TestUDP(t *testing.T) {
	echo := func(s string) []byte { return []byte("you said " + s) }
	silent := func(string) []byte { return nil }
	const wait = 50 * time.Millisecond
	tests := []struct {
		name  string
		at    string
		check Check
		want  string
	}{
		{"an answer", answering(t, "127.0.0.1:0", echo), Check{Payload: []byte("hello"), Expect: "said hello"}, ""},
		{"over IPv6", answering(t, "[::1]:0", echo), Check{Payload: []byte("hello"), Expect: "said hello"}, ""},
		{"any answer", answering(t, "127.0.0.1:0", echo), Check{}, ""},
		{"a wrong one", answering(t, "127.0.0.1:0", echo), Check{Expect: "bye"}, `answer lacks "bye"`},
		{"silence is fine", answering(t, "127.0.0.1:0", silent), Check{Timeout: wait}, ""},
		{"unless an answer is expected", answering(t, "127.0.0.1:0", silent), Check{Expect: "hello", Timeout: wait}, "answer: no answer within 50ms"},
		{"port unreachable is not", closedPort(t, "udp"), Check{}, "answer: connection refused"},
		{"from a given source", answering(t, "127.0.0.1:0", echo), Check{Source: netip.MustParseAddr("127.0.0.9")}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.check.Type = "udp"
			if got := check(t, tt.at, tt.check); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	t.Run("silence of one who is no longer wanted says nothing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(wait, cancel)
		target := &Target{Address: netip.MustParseAddrPort(answering(t, "127.0.0.1:0", silent)),
			Check: Check{Type: "udp", Timeout: time.Minute}.withDefaults()}
		if got := checkTarget(ctx, target); got == "" {
			t.Error("well")
		}
	})
}

// resolver answers queries as edit makes of a plain positive answer.
func resolver(t *testing.T, edit func(*dnsmessage.Message)) string {
	return answering(t, "127.0.0.1:0", func(s string) []byte {
		var m dnsmessage.Message
		if m.Unpack([]byte(s)) != nil {
			return nil
		}
		m.Response = true
		q := m.Questions[0]
		if q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}},
			}}
		}
		edit(&m)
		wire, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		return wire
	})
}

func TestDNS(t *testing.T) {
	plain := func(*dnsmessage.Message) {}
	rcode := func(c dnsmessage.RCode) func(*dnsmessage.Message) {
		return func(m *dnsmessage.Message) { m.RCode = c }
	}
	const wait = 50 * time.Millisecond
	tests := []struct {
		name  string
		at    string
		check Check
		want  string
	}{
		{"the root by default", resolver(t, plain), Check{}, ""},
		{"an address", resolver(t, plain), Check{Query: "www.example", QueryType: "A", Expect: "192.0.2.7"}, ""},
		{"a wrong one", resolver(t, plain), Check{Query: "www.example", QueryType: "a", Expect: "192.0.2.8"}, `answer lacks "192.0.2.8"`},
		{"no such name", resolver(t, rcode(3)), Check{Query: "gone.example"}, "answer NXDOMAIN, want NOERROR"},
		{"refused", resolver(t, rcode(5)), Check{}, "answer REFUSED, want NOERROR"},
		{"oddly", resolver(t, rcode(11)), Check{}, "answer code 11, want NOERROR"},
		{"names have no case", resolver(t, func(m *dnsmessage.Message) {
			m.Questions[0].Name = dnsmessage.MustNewName("WWW.Example.")
		}), Check{Query: "www.example"}, ""},
		{"truncated is an answer", resolver(t, func(m *dnsmessage.Message) { m.Truncated = true }), Check{}, ""},
		{"to another query is none", resolver(t, func(m *dnsmessage.Message) { m.ID++ }), Check{Timeout: wait}, "answer: no answer within 50ms"},
		{"to another question neither", resolver(t, func(m *dnsmessage.Message) {
			m.Questions[0].Name = dnsmessage.MustNewName("b.")
		}), Check{Query: "a", Timeout: wait}, "answer: no answer within 50ms"},
		{"nor is our own query", resolver(t, func(m *dnsmessage.Message) { m.Response = false }), Check{Timeout: wait}, "answer: no answer within 50ms"},
		{"nor noise", answering(t, "127.0.0.1:0", func(string) []byte { return []byte("noise") }), Check{Timeout: wait}, "answer: no answer within 50ms"},
		{"nobody there", closedPort(t, "udp"), Check{}, "answer: connection refused"},
		{"a type that is none", closedPort(t, "udp"), Check{QueryType: "Q"}, `query: there is no type "Q"`},
		{"a name that is none", closedPort(t, "udp"), Check{Query: strings.Repeat("a", 64)}, `query "` + strings.Repeat("a", 64) + `": packing Question: Name: segment length too long`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.check.Type = "dns"
			if got := check(t, tt.at, tt.check); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestRecordData(t *testing.T) {
	name := dnsmessage.MustNewName("ns.example.")
	for want, body := range map[string]dnsmessage.ResourceBody{
		"192.0.2.7":   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}},
		"2001:db8::7": &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::7").As16()},
		"v=spf1 -all": &dnsmessage.TXTResource{TXT: []string{"v=spf1 ", "-all"}},
	} {
		if got := recordData(body); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, body := range []dnsmessage.ResourceBody{
		&dnsmessage.CNAMEResource{CNAME: name}, &dnsmessage.MXResource{MX: name}, &dnsmessage.NSResource{NS: name},
		&dnsmessage.PTRResource{PTR: name}, &dnsmessage.SOAResource{NS: name}, &dnsmessage.SRVResource{Target: name},
	} {
		if got := recordData(body); got != "ns.example" {
			t.Errorf("%T: %q", body, got)
		}
	}
}

func TestPing(t *testing.T) {
	if s, err := openPing(netip.MustParseAddr("127.0.0.1"), netip.Addr{}); err != nil {
		t.Skipf("no ICMP sockets: %v; run as root, or widen net.ipv4.ping_group_range", err)
	} else {
		s.Close()
	}
	tests := []struct {
		name  string
		at    string
		check Check
		want  string
	}{
		{"a host", "127.0.0.1:80", Check{}, ""},
		{"from a given source", "127.0.0.2:80", Check{Source: netip.MustParseAddr("127.0.0.9")}, ""},
		{"over IPv6", "[::1]:80", Check{}, ""},
		{"from a source that is not ours", "127.0.0.1:80", Check{Source: netip.MustParseAddr("198.51.100.1")},
			"ping: source 198.51.100.1: cannot assign requested address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.check.Type = "ping"
			got := check(t, tt.at, tt.check)
			if strings.HasPrefix(tt.at, "[") && strings.Contains(got, "assign") {
				t.Skip("no IPv6 here")
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestPingAnswers(t *testing.T) {
	for _, s := range []pingSocket{{}, {v6: true}, {raw: true}, {raw: true, v6: true}} {
		request := s.request()
		reply := append([]byte{}, request...)
		reply[0] = echoReply4
		if s.v6 {
			reply[0] = echoReply6
		}
		if s.raw && !s.v6 {
			reply = append([]byte{0x46, 23: 0}, reply...) // a header with one option
		}
		if !s.answers(reply, request) {
			t.Errorf("%+v: does not know its own reply", s)
		}
		if other := s.request(); s.answers(reply, other) {
			t.Errorf("%+v: takes another's reply", s)
		}
		for n := range len(reply) {
			if s.answers(reply[:n], request) {
				t.Errorf("%+v: takes the first %d bytes of a reply", s, n)
			}
		}
	}
}

func TestExec(t *testing.T) {
	sh := func(script string) Check {
		return Check{Command: []string{"/bin/sh", "-c", script}, Timeout: 5 * time.Second}
	}
	late := sh("sleep 60")
	late.Timeout = 50 * time.Millisecond
	mute := sh("exec >/dev/null 2>&1; sleep 60")
	mute.Timeout = 50 * time.Millisecond
	loud := sh("yes")
	loud.Timeout = 50 * time.Millisecond
	env := sh(`test "$FLEETLB_ADDRESS:$FLEETLB_PORT $FLEETLB_TARGET $MORE $HOME" = "192.0.2.1:80 web/192.0.2.1:80 of it "`)
	env.Env = []string{"MORE=of it"}
	tests := []struct {
		name  string
		check Check
		want  string
	}{
		{"well", sh("echo fine"), ""},
		{"not well", sh("echo; echo disk full >&2; echo more; exit 2"), "exec: exit status 2: disk full"},
		{"without a word", sh("exit 3"), "exec: exit status 3"},
		{"killed by another", sh("kill -9 $$"), "exec: signal: killed"},
		{"late", late, "exec: no result within 50ms"},
		{"late, with its output closed", mute, "exec: no result within 50ms"},
		{"much output", sh("head -c 1000000 /dev/zero"), ""},
		{"endless output", loud, "exec: no result within 50ms"},
		{"what it leaves behind does not hold us up", sh("sleep 60 & exit 0"), ""},
		{"its environment", env, ""},
		{"its input", sh("test -z \"$(cat)\""), ""},
		{"no such program", Check{Command: []string{"/nonexistent"}}, "exec: fork/exec /nonexistent: no such file or directory"},
		{"none at all", Check{}, "exec: no command"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.check.Type = "exec"
			if got := check(t, "192.0.2.1:80", tt.check); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// Neither a timeout, nor a good end, nor a target that is dropped leaves a
// process behind.
func TestExecLeavesNothing(t *testing.T) {
	for name, end := range map[string]struct {
		script  string
		timeout time.Duration
		cancel  bool
	}{
		"timeout":   {"sleep 61 & echo $$ $! >$FILE.new; mv $FILE.new $FILE; wait", 300 * time.Millisecond, false},
		"good end":  {"sleep 61 & echo $$ $! >$FILE.new; mv $FILE.new $FILE", time.Minute, false},
		"cancelled": {"sleep 61 & echo $$ $! >$FILE.new; mv $FILE.new $FILE; wait", time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pids")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if end.cancel {
				go func() {
					for ; ctx.Err() == nil; runtime.Gosched() {
						if _, err := os.Stat(file); err == nil {
							cancel()
						}
					}
				}()
			}
			checkTarget(ctx, &Target{Key: "a", Address: netip.MustParseAddrPort("192.0.2.1:80"), Check: Check{
				Type: "exec", Command: []string{"/bin/sh", "-c", end.script}, Env: []string{"FILE=" + file}, Timeout: end.timeout,
			}})
			cancel()
			var shell, child int
			pids, _ := os.ReadFile(file)
			if n, _ := fmt.Sscan(string(pids), &shell, &child); n != 2 {
				t.Fatalf("the script did not say who it is: %q", pids)
			}
			for _, pid := range []int{shell, child} {
				waitGone(t, pid)
			}
		})
	}
}

// waitGone waits until a killed process is no more, or a zombie that its new
// parent has yet to notice.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for syscall.Kill(pid, 0) == nil {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d lives on", pid)
		}
		runtime.Gosched()
	}
}

func TestUnknownType(t *testing.T) {
	if got := check(t, "192.0.2.1:80", Check{Type: "htp"}); got != `there is no check of type "htp"` {
		t.Errorf("%q", got)
	}
}

// 500 servers that swallow every packet, of every type that waits for an
// answer, cost 500 goroutines, before and after their timeouts.
func TestBlackHoles(t *testing.T) {
	tcp := blackHole(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts into its backlog and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	var targets []Target
	for i := range 500 {
		kind := []string{"tcp", "http", "https", "udp", "dns"}[i%5]
		at := map[string]string{"tcp": tcp, "http": tcp, "https": mute.Addr().String()}[kind]
		if at == "" {
			at = udp.LocalAddr().String()
		}
		targets = append(targets, Target{
			Key: fmt.Sprintf("%s/%d", kind, i), Address: netip.MustParseAddrPort(at),
			Check: Check{Type: kind, Interval: 500 * time.Millisecond, Timeout: 400 * time.Millisecond, Expect: "x"},
		})
	}
	before := runtime.NumGoroutine()
	m := New(slog.New(slog.DiscardHandler))
	defer m.Close()
	m.Set(targets)
	var seen []int
	sample := time.NewTicker(time.Millisecond)
	defer sample.Stop()
	for end := time.Now().Add(30 * time.Second); !allChecked(m, 3) && time.Now().Before(end); {
		<-sample.C
		seen = append(seen, runtime.NumGoroutine()-before)
	}
	slices.Sort(seen)
	usual, most := seen[len(seen)/2], seen[len(seen)-1]
	if usual < 490 || most > 500 {
		t.Errorf("%d goroutines for 500 hanging servers, want 500; at most %d", usual, most)
	}
	for key, v := range m.Verdicts() {
		if !v.Checked || v.Up || !strings.HasSuffix(v.Reason, ": no answer within 400ms") {
			t.Errorf("%s: %+v", key, v)
		}
	}
	t.Logf("%d goroutines, %d at most", usual, most)
}

func allChecked(m *Monitor, times uint64) bool {
	for _, v := range m.Verdicts() {
		if v.Checks < times {
			return false
		}
	}
	return true
}

// A monitor that is closed cuts short whatever is under way.
func TestCloseDoesNotWaitForServers(t *testing.T) {
	tcp := blackHole(t)
	m := New(slog.New(slog.DiscardHandler))
	var targets []Target
	for _, c := range []Check{{Type: "tcp"}, {Type: "exec", Command: []string{"/bin/sleep", "60"}}} {
		c.Interval, c.Timeout = 10*time.Millisecond, time.Minute
		targets = append(targets, Target{Key: c.Type, Address: netip.MustParseAddrPort(tcp), Check: c})
	}
	m.Set(targets)
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	m.Close()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("Close took %v", d)
	}
}

// Whatever a server answers, the exchange ends and says yes only to an HTTP
// response with a good status.
func FuzzExchange(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	f.Add("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204 No\r\n\r\n")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
	f.Add("HTTP/1.1 503 Busy\r\n\r\n")
	f.Fuzz(func(t *testing.T, answer string) {
		target := &Target{Address: netip.MustParseAddrPort("192.0.2.1:80"), Check: Check{Type: "http"}.withDefaults()}
		err := exchange(&canned{Reader: strings.NewReader(answer)}, target)
		if err == nil && !regexp.MustCompile(`(?s)^(HTTP/.*\r?\n\r?\n)?HTTP/\d+\.\d+ +\+?0*2\d\d`).MatchString(answer) {
			t.Errorf("well, says %q", answer)
		}
	})
}

// canned is a connection to someone who has said everything already.
type canned struct {
	net.Conn
	io.Reader
}

func (c *canned) Read(b []byte) (int, error)  { return c.Reader.Read(b) }
func (c *canned) Write(b []byte) (int, error) { return len(b), nil }
