package lab

import (
	"embed"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
)

// The routers' configurations, complete and free of placeholders: README quotes
// the very files that the tests run.
//
//go:embed routers
var routerFiles embed.FS

// RouterConfig returns the configuration of a kind of router, "bird" or "frr".
func RouterConfig(kind string) string {
	b, err := routerFiles.ReadFile("routers/" + kind + ".conf")
	if err != nil {
		panic(fmt.Sprintf("lab: no configuration for router %q", kind))
	}
	return string(b)
}

// Router is a routing daemon on a host. It accepts BGP from every director of
// the front LAN and puts what they announce into the host's routing table, where
// [Host.Learned] finds it.
type Router interface {
	Start() error
	Stop()
	// Kill ends it as a power cut would: no word to its neighbours. The routes
	// it installed stay in the kernel until it starts again.
	Kill()
	Neighbors() ([]RouterNeighbor, error)
	// Reset has it drop the BGP sessions with one director, or, for the zero
	// address, with all. They come back by themselves.
	Reset(director netip.Addr) error
}

// RouterNeighbor is a director as the router sees it.
type RouterNeighbor struct {
	Address     netip.Addr
	Established bool
	Prefixes    int // accepted from it
}

// RouterKinds lists what NewRouter makes.
var RouterKinds = []string{"bird", "frr", "embedded", "resilient"}

// NewRouter prepares a routing daemon on the host: "bird" or "frr", the real
// ones, or "embedded", which needs nothing to be installed; "resilient" is the
// embedded one with resilient groups of next hops. A password turns TCP-MD5 on.
func (h *Host) NewRouter(kind, password string, bfd bool) (Router, error) {
	switch kind {
	case "bird":
		return &bird{host: h, config: withBFD(withPassword(RouterConfig(kind), password), bfd), bfd: bfd}, nil
	case "frr":
		return &frr{host: h, config: withBFD(withPassword(RouterConfig(kind), password), bfd), bfd: bfd}, nil
	case "embedded":
		return newEmbedded(h, password, bfd, false), nil
	case "resilient":
		return newEmbedded(h, password, bfd, true), nil
	}
	return nil, fmt.Errorf("router %q: want one of %s", kind, strings.Join(RouterKinds, ", "))
}

// withPassword takes the comment signs off the configuration's password lines.
func withPassword(config, password string) string {
	if password == "" {
		return config
	}
	return strings.NewReplacer(
		`# password "secret"`, fmt.Sprintf("password %q", password),
		"! neighbor directors4 password secret", "neighbor directors4 password "+password,
		"! neighbor directors6 password secret", "neighbor directors6 password "+password,
	).Replace(config)
}

// promptly is a command line whose program comes before all others, if the
// kernel lets it: a router has a processor for BFD, and shares it with nobody.
func promptly(argv ...string) []string {
	first := []string{"chrt", "--fifo", "1"}
	if exec.Command(first[0], append(first[1:], "true")...).Run() != nil {
		return argv
	}
	return append(first, argv...)
}

// withBFD adds what has the router watch its directors.
func withBFD(config string, on bool) string {
	if !on {
		return config
	}
	return strings.NewReplacer(
		"template bgp director {\n", `protocol bfd { interface "*" { interval 100 ms; multiplier 3; }; }

template bgp director {
	bfd on;
	error wait time 1, 10; # else a director that was lost is refused for a minute
`,
		" neighbor directors4 peer-group\n", " neighbor directors4 peer-group\n neighbor directors4 bfd 3 100 100\n",
		" neighbor directors6 peer-group\n", " neighbor directors6 peer-group\n neighbor directors6 bfd 3 100 100\n",
	).Replace(config)
}
