package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"fleetlb/node/admin"
	"fleetlb/node/admin/admintest"
)

func TestMain(m *testing.M) {
	if os.Getenv("ADMIN_TEST_CLIENT") != "" {
		asOther()
	}
	goleak.VerifyTestMain(m)
}

var quiet = slog.New(slog.DiscardHandler)

// open serves b at a new socket until the test ends.
func open(t *testing.T, b admin.Backend) (path string, c *admin.Client) {
	t.Helper()
	dir, err := os.MkdirTemp("", "admin") // short: a socket's path ends at 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "s")
	s, err := admin.Listen(path, -1, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s, b)
	return path, admin.NewClient(path)
}

func serve(t *testing.T, s *admin.Socket, b admin.Backend) {
	done := make(chan error, 1)
	go func() { done <- s.Serve(b) }()
	t.Cleanup(func() {
		s.Close(context.Background())
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// raw asks without the client's good manners.
func raw(t *testing.T, path, method, target string, body io.Reader) (int, string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
	req, err := http.NewRequest(method, "http://x"+target, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimRight(string(b), "\n")
}

// What the director knows arrives at the other end, sorted.
func TestNouns(t *testing.T) {
	d := admintest.Example()
	_, c := open(t, d)
	ctx := t.Context()
	same := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		equal := cmp.Options{
			cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
			cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
			cmp.Comparer(func(a, b []string) bool { return slices.Equal(a, b) }), // nil arrives as empty
		}
		if diff := cmp.Diff(want, got, equal); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", what, diff)
		}
	}
	status, err := c.Status(ctx)
	same("status", status, d.StatusNow, err)
	config, err := c.Config(ctx)
	same("config", config, d.ConfigNow, err)
	services, err := c.Services(ctx, "")
	same("services", services, []admin.Service{d.ServiceList[1], d.ServiceList[0]}, err)
	servers, err := c.Servers(ctx, "")
	same("servers", servers, []admin.Server{d.ServerList[2], d.ServerList[1], d.ServerList[0]}, err)
	servers, err = c.Servers(ctx, "web")
	same("servers of web", servers, []admin.Server{d.ServerList[1], d.ServerList[0]}, err)
	health, err := c.Health(ctx, "web")
	same("health of web", health, []admin.Health{d.HealthList[1], d.HealthList[0]}, err)
	nodes, err := c.Nodes(ctx)
	slices.SortFunc(d.NodeList, func(a, b admin.Node) int { return strings.Compare(a.Name, b.Name) })
	same("nodes", nodes, d.NodeList, err)
	groups, err := c.VRRP(ctx)
	same("vrrp", groups, []admin.VRRP{d.VRRPList[2], d.VRRPList[1], d.VRRPList[0]}, err)
	neighbors, err := c.Neighbors(ctx)
	same("bgp neighbors", neighbors, []admin.Neighbor{d.NeighborList[1], d.NeighborList[0]}, err)
	routes, err := c.Routes(ctx)
	same("bgp routes", routes, []admin.Route{d.RouteList[1], d.RouteList[2], d.RouteList[0]}, err)
	pool, err := c.Pool(ctx)
	same("pool", pool, []admin.Pool{d.PoolList[2], d.PoolList[1], d.PoolList[3], d.PoolList[0]}, err)
	drops, err := c.Drops(ctx)
	same("drops", drops, []admin.Drop{d.DropList[1], d.DropList[0]}, err)
	findings, err := c.Doctor(ctx)
	same("doctor", findings, []admin.Finding{d.Findings[1], d.Findings[0]}, err)

	tuple := admin.Tuple{Protocol: "tcp", Src: netip.MustParseAddrPort("198.51.100.7:4711"), Dst: netip.MustParseAddrPort("203.0.113.10:80")}
	want, _ := d.Explain(ctx, tuple)
	explained, err := c.Explain(ctx, tuple)
	same("explain", explained, want, err)
}

// The keys are a contract, in this order.
func TestKeys(t *testing.T) {
	tests := map[string]string{
		"servers":       "service address weight state active inactive mode tunnel upper_threshold lower_threshold persistent",
		"persistence":   "service client server expires_s sessions",
		"sessions":      "protocol state client vip local server home role expires_s packets_in packets_out bytes_in bytes_out mode node",
		"nodes":         "name address state epoch sessions slots sync_lag_ms config_digest slots_of at_risk version since_s vips problem",
		"vrrp":          "name interface id vips state since_s priority active active_priority interval_ms transitions reason sent received dropped problem",
		"bgp/neighbors": "address asn state uptime_s announced bfd",
		"bgp/routes":    "prefix for prepend med communities neighbors",
		"drops":         "reason packets",
		"pool":          "address ports sessions busiest_server busiest_ports",
		"health":        "service address check state since_s checks failures duration_us reason",
		"doctor":        "check state found advice",
		"config":        "file digest running_digest age_s runtime toml",
		"settings":      "service server set",
		"traffic": "service server active inactive persistent connections packets_in packets_out bytes_in bytes_out " +
			"connection_rate packet_in_rate packet_out_rate byte_in_rate byte_out_rate",
		"services": "name vip protocol mode scheduler state quorum servers servers_up announced active inactive connections " +
			"packets_in packets_out bytes_in bytes_out ports vips tag one_packet persistence_s",
		"status": "node state version pid uptime_s workers interfaces steering offload services services_up servers servers_up sessions " +
			"max_sessions opened packets_in packets_out bytes_in bytes_out dropped bgp_neighbors bgp_established bgp_routes " +
			"config_file config_digest running_digest config_age_s reloads reload_failures reload_error sessions_home",
		"explain?protocol=tcp&src=198.51.100.7:4711&dst=203.0.113.10:80": "protocol src dst direction verdict service slot worker session " +
			"scheduler server local next_hop why",
	}
	path, _ := open(t, admintest.Example())
	for noun, want := range tests {
		code, body := raw(t, path, "GET", "/v1/"+noun, nil)
		if code != 200 {
			t.Fatalf("%s: %d %s", noun, code, body)
		}
		d := json.NewDecoder(strings.NewReader(body))
		var keys []string
		for _, bracket := range []json.Delim{'[', '{'} {
			if tok, err := d.Token(); err != nil || tok != bracket {
				t.Fatalf("%s: %v %v, want %v: %s", noun, tok, err, bracket, body)
			}
		}
		for d.More() {
			key, _ := d.Token()
			keys = append(keys, key.(string))
			var value any
			if err := d.Decode(&value); err != nil || value == nil {
				t.Errorf("%s: %v is %v, %v", noun, key, value, err)
			}
		}
		if got := strings.Join(keys, " "); got != want {
			t.Errorf("%s:\nkeys %s\nwant %s", noun, got, want)
		}
	}
}

func TestEmptyListsAreArrays(t *testing.T) {
	path, _ := open(t, &admintest.Director{})
	for _, noun := range []string{"services", "servers", "health", "sessions", "nodes", "vrrp", "bgp/neighbors", "bgp/routes", "pool", "drops", "doctor"} {
		if code, body := raw(t, path, "GET", "/v1/"+noun, nil); code != 200 || body != "[]" {
			t.Errorf("%s: %d %s, want 200 []", noun, code, body)
		}
	}
	if code, body := raw(t, path, "POST", "/v1/reload", nil); code != 200 || body != "[]" {
		t.Errorf("reload: %d %s", code, body)
	}
	if _, body := raw(t, path, "GET", "/v1/status", nil); !strings.Contains(body, `"interfaces":[]`) {
		t.Errorf("status: %s", body)
	}
}

func TestVerbs(t *testing.T) {
	d := admintest.Example()
	_, c := open(t, d)
	ctx := t.Context()
	a11, a12, a13 := netip.MustParseAddrPort("10.3.0.11:8080"), netip.MustParseAddrPort("10.3.0.12:8080"), netip.MustParseAddrPort("[2001:db8:3::13]:8080")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	edit := func(verb, service string, server netip.AddrPort, words ...string) {
		t.Helper()
		must(c.Edit(ctx, []admin.Edit{edited(verb, service, server, words...)}))
	}
	edit("drain", "web", a11)
	edit("weight", "web", a11, "weight=0")
	edit("ready", "web", a12)
	edit("add", "web", a13, "weight=0")
	edit("delete", "web", a13)
	must(c.Edit(ctx, []admin.Edit{
		edited("add", "a/b c%d", netip.AddrPort{}, "vip=203.0.113.11:80", "protocol=tcp", "check.type=http"),
		edited("add", "a/b c%d", a11)}))
	edit("drain", "a/b c%d", a11)
	edit("delete", "dns", netip.AddrPort{})
	must(c.Zero(ctx, "web"))
	if file, err := c.Save(ctx); err != nil || file != "/etc/fleetlb/services/fleetlb-saved.toml" {
		t.Errorf("saved to %q, %v", file, err)
	}
	must(c.DrainNode(ctx))
	var got []string
	servers, err := c.Servers(ctx, "")
	must(err)
	for _, s := range servers {
		got = append(got, fmt.Sprint(s.Service, " ", s.Address, " ", s.Weight, " ", s.State))
	}
	want := []string{"a/b c%d 10.3.0.11:8080 1 draining", "web 10.3.0.11:8080 0 draining", "web 10.3.0.12:8080 10 up"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if s, _ := c.Status(ctx); s.State != "draining" {
		t.Errorf("node is %s", s.State)
	}
	must(c.UndrainNode(ctx))
	if s, _ := c.Status(ctx); s.State != "serving" {
		t.Errorf("node is %s", s.State)
	}
	changes, err := c.Reload(ctx)
	must(err)
	if len(changes) != 1 {
		t.Errorf("reload changed %v", changes)
	}
}

// edited is an edit with its keys as KEY=VALUE.
func edited(verb, service string, server netip.AddrPort, words ...string) admin.Edit {
	e := admin.Edit{Verb: verb, Service: service, Server: server}
	for _, w := range words {
		if e.Set == nil {
			e.Set = map[string]string{}
		}
		key, word, _ := strings.Cut(w, "=")
		e.Set[key] = word
	}
	return e
}

func TestErrors(t *testing.T) {
	d := admintest.Example()
	_, c := open(t, d)
	ctx := t.Context()
	at := netip.MustParseAddrPort("10.0.0.99:1")
	d.Fail = func(what string) error {
		switch what {
		case "reload":
			return errors.New("lb1.toml:3: unknown key\nlb1.toml:7: port 0")
		case "drops":
			return errors.New("worker 1 does not answer")
		case "nodes":
			return fmt.Errorf("director: %w", admin.Errorf(admin.Unavailable, "still starting"))
		}
		return nil
	}
	try := func(verb, service string, server netip.AddrPort, words ...string) error {
		return c.Edit(ctx, []admin.Edit{edited(verb, service, server, words...)})
	}
	_, servers := c.Servers(ctx, "wbe")
	_, drops := c.Drops(ctx)
	_, nodes := c.Nodes(ctx)
	_, reload := c.Reload(ctx)
	tests := []struct {
		err  error
		kind admin.Kind
		want string
	}{
		{servers, admin.NotFound, `servers: there is no service "wbe"`},
		{try("drain", "web", at), admin.NotFound, `server drain: service "web" has no server 10.0.0.99:1`},
		{try("ready", "wbe", at), admin.NotFound, `server ready: there is no service "wbe"`},
		{try("weight", "web", at, "weight=1"), admin.NotFound, `server weight: service "web" has no server 10.0.0.99:1`},
		{try("delete", "..", netip.AddrPort{}), admin.NotFound, `service delete: there is no service ".."`},
		{try("add", "web", netip.AddrPort{}), admin.Refused, `service add: there is a service "web" already`},
		{try("add", "web", netip.MustParseAddrPort("10.3.0.11:8080")), admin.Refused,
			`server add: service "web" has server 10.3.0.11:8080 already`},
		{c.Zero(ctx, "wbe"), admin.NotFound, `traffic zero: there is no service "wbe"`},
		{drops, admin.Internal, "drops: worker 1 does not answer"},
		{nodes, admin.Unavailable, "nodes: director: still starting"},
		{reload, admin.Refused, "reload: lb1.toml:3: unknown key\nlb1.toml:7: port 0"},
	}
	for _, tt := range tests {
		var e *admin.Error
		if !errors.As(tt.err, &e) || e.Kind != tt.kind || e.Error() != tt.want {
			t.Errorf("%v (%+v), want %s: %s", tt.err, e, tt.kind, tt.want)
		}
	}
}

func TestBadRequests(t *testing.T) {
	path, _ := open(t, admintest.Example())
	big := `[{"verb":` + strings.Repeat(" ", 1<<20) + `"add"}]`
	const edit = "/v1/edit"
	tests := []struct {
		method, target, body string
		code                 int
		cause                string // the beginning
	}{
		{"GET", "/", "", 404, "GET / is not part of this API"},
		{"GET", "/v1/serverz", "", 404, "GET /v1/serverz is not part of this API"},
		{"POST", "/v1/status", "", 404, "POST /v1/status is not part of this API"},
		{"GET", "/v1/status?verbose=1", "", 400, `query: there is no parameter "verbose"`},
		{"GET", "/v1/servers?sevrice=web", "", 400, `query: there is no parameter "sevrice"`},
		{"GET", "/v1/servers?%zz", "", 400, "query: "},
		{"GET", "/v1/sessions?limit=-1", "", 400, `limit "-1" is not a number of sessions`},
		{"GET", "/v1/sessions?client=me", "", 400, `client "me" is neither an address nor a prefix`},
		{"GET", "/v1/sessions?server=it", "", 400, `server "it" is neither an address nor IP:PORT`},
		{"GET", "/v1/explain", "", 400, "not an ip:port"},
		{"POST", edit, `[{"verb":"drain","service":"web","server":"10.3.0.11:8080x"}]`, 400, "request: "},
		{"POST", edit, `[{"verb":"add","sevrice":"web"}]`, 400, `request: json: unknown field "sevrice"`},
		{"POST", edit, `[][]`, 400, "request: more than one value"},
		{"POST", edit, `{"verb":"add"}`, 400, "request: json: cannot unmarshal object"},
		{"POST", edit, `[{"set":{"weight":1}}]`, 400, "request: json: cannot unmarshal number"},
		{"POST", edit, `[{"verb":"add"`, 400, "request: unexpected EOF"},
		{"POST", edit, ``, 400, "request: EOF"},
		{"POST", edit, big, 400, "more than 1 MiB"},
		{"POST", "/v1/traffic/zero?all=1", "", 400, `query: there is no parameter "all"`},
		{"POST", "/v1/reload", big, 400, "more than 1 MiB"},
	}
	for _, tt := range tests {
		code, body := raw(t, path, tt.method, tt.target, strings.NewReader(tt.body))
		var e admin.Error
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Errorf("%s %s: %v: %s", tt.method, tt.target, err, body)
		}
		if code != tt.code || !strings.HasPrefix(e.Cause, tt.cause) {
			t.Errorf("%s %s: %d %q, want %d %q", tt.method, tt.target, code, e.Cause, tt.code, tt.cause)
		}
	}
}

func TestPanic(t *testing.T) {
	d := admintest.Example()
	d.Fail = func(what string) error {
		if what == "pool" {
			panic("index out of range")
		}
		return nil
	}
	_, c := open(t, &unlocked{d})
	for range 3 {
		_, err := c.Pool(t.Context())
		if err == nil || err.Error() != "director: panic: index out of range; see its log" {
			t.Fatalf("%v", err)
		}
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

// unlocked panics outside the example's lock, which it would leave locked.
type unlocked struct{ *admintest.Director }

func (u *unlocked) Pool(context.Context) ([]admin.Pool, error) { return nil, u.Fail("pool") }

func TestSessions(t *testing.T) {
	d := admintest.Example()
	_, c := open(t, d)
	tests := []struct {
		name   string
		filter admin.SessionFilter
		want   []int // of the example's list, in its order
	}{
		{"all", admin.SessionFilter{}, []int{0, 1, 2, 3}},
		{"of a service", admin.SessionFilter{Service: "web"}, []int{1, 2, 3}},
		{"of a client", admin.SessionFilter{Client: netip.MustParsePrefix("198.51.100.7/32")}, []int{2, 3}},
		{"of a network", admin.SessionFilter{Client: netip.MustParsePrefix("198.51.100.8/29")}, []int{1}},
		{"with a server", admin.SessionFilter{Server: netip.MustParseAddrPort("10.3.0.11:8080")}, []int{1, 2, 3}},
		{"with any port of a server", admin.SessionFilter{Server: netip.AddrPortFrom(netip.MustParseAddr("2001:db8:3::11"), 0)}, []int{0}},
		{"with another port", admin.SessionFilter{Server: netip.MustParseAddrPort("10.3.0.11:8081")}, nil},
		{"in a state", admin.SessionFilter{State: "fin_wait"}, []int{3}},
		{"two of them", admin.SessionFilter{Limit: 2}, []int{0, 1}},
		{"everything at once", admin.SessionFilter{Service: "web", State: "established", Limit: 1}, []int{1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			for s, err := range c.Sessions(t.Context(), tt.filter) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, slices.Index(d.SessionList, s))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
	for _, err := range c.Sessions(t.Context(), admin.SessionFilter{Service: "wbe"}) {
		if err == nil || err.Error() != `sessions: there is no service "wbe"` {
			t.Errorf("%v", err)
		}
	}
}

// many is a director with n sessions, the last of which may fail.
type many struct {
	*admintest.Director
	n    int
	fail error
	sent int
}

func (m *many) Sessions(ctx context.Context, _ admin.SessionFilter) iter.Seq2[admin.Session, error] {
	return func(yield func(admin.Session, error) bool) {
		s := m.SessionList[0]
		for m.sent = 0; m.sent < m.n; m.sent++ {
			if ctx.Err() != nil || !yield(s, nil) {
				return
			}
		}
		if m.fail != nil {
			yield(admin.Session{}, m.fail)
		}
	}
}

func TestSessionStream(t *testing.T) {
	count := func(c *admin.Client, stop int) (n int, err error) {
		for _, err := range c.Sessions(t.Context(), admin.SessionFilter{}) {
			if err != nil {
				return n, err
			}
			if n++; n == stop {
				break
			}
		}
		return n, nil
	}
	t.Run("many", func(t *testing.T) {
		_, c := open(t, &many{Director: admintest.Example(), n: 50_000})
		if n, err := count(c, 0); n != 50_000 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("that breaks off", func(t *testing.T) {
		_, c := open(t, &many{Director: admintest.Example(), n: 5000, fail: errors.New("worker 1 does not answer")})
		if _, err := count(c, 0); err == nil || err.Error() != "director: the answer broke off" {
			t.Errorf("%v", err)
		}
	})
	t.Run("that fails early says why", func(t *testing.T) {
		_, c := open(t, &many{Director: admintest.Example(), n: 5, fail: errors.New("worker 1 does not answer")})
		if n, err := count(c, 0); n != 0 || err == nil || err.Error() != "sessions: worker 1 does not answer" {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("whose reader has enough", func(t *testing.T) {
		b := &many{Director: admintest.Example(), n: 100_000_000}
		_, c := open(t, b)
		if n, err := count(c, 10); n != 10 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}) // its cleanup waits for the handler: had it not noticed, the test would hang
}

func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	_, err := admin.NewClient(dir + "/none").Status(t.Context())
	if err == nil || err.Error() != "director: no socket at "+dir+"/none; is fleetlbd running?" {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = admin.NewClient(dir + "/none").Status(ctx); err == nil || err.Error() != "director: interrupted" {
		t.Errorf("%v", err)
	}
	l, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for answer := range slices.Values([]string{"HTTP/1.1 502 Bad Gateway\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n[]", "220 mail\r\n", "HTTP/1.1 200 OK\r\n\r\n[{"}) {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 4096))
			io.WriteString(c, answer)
			c.Close()
		}
	}()
	for _, want := range []string{
		"director: answered 502 Bad Gateway",
		"status: the director sent 0 of what there is one of",
		"director: net/http: HTTP/1.x transport connection broken: malformed HTTP status code \"mail\"",
		"director: the answer broke off",
	} {
		if _, err := admin.NewClient(dir + "/s").Status(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Whatever body is sent to a verb, it answers in its own form and lives; what it
// takes, it can say again.
func FuzzEdit(f *testing.F) {
	f.Add([]byte(`[{"verb":"add","service":"a","set":{"vip":"203.0.113.10:80"}},{"verb":"add","service":"a","server":"[2001:db8::1]:1","fleet":true}]`))
	f.Add([]byte(`[{"verb":"add","service":"a","server":""}]`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var got []admin.Edit
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if d.Decode(&got) != nil {
			return
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var twice []admin.Edit
		if err := json.Unmarshal(again, &twice); err != nil || !reflect.DeepEqual(normal(got), normal(twice)) {
			t.Errorf("%s became %s: %v", body, again, err)
		}
	})
}

// normal has no sets that are empty and not nil, which do not survive.
func normal(edits []admin.Edit) []admin.Edit {
	for i := range edits {
		if len(edits[i].Set) == 0 {
			edits[i].Set = nil
		}
	}
	return edits
}
