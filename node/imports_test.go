package node

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed is which packages of this program each may import. Imports run one
// way: the data path knows nothing of the control plane, and only package node
// knows everyone. A package that is not listed may import none.
var allowed = map[string]string{
	"fullnat":          "fullnat/link fullnat/nexthop fullnat/offload fullnat/packet fullnat/persist fullnat/schedule fullnat/service session",
	"fullnat/link":     "",
	"fullnat/nexthop":  "fullnat/packet",
	"fullnat/offload":  "fullnat/packet session",
	"fullnat/packet":   "",
	"fullnat/persist":  "fullnat/packet session",
	"fullnat/schedule": "",
	"fullnat/service":  "fullnat/packet fullnat/schedule",
	"session":          "fullnat/packet",
	"gossip":           "gossip/seal session",
	"gossip/replica":   "fullnat/packet session",
	"gossip/seal":      "",
	"bgp":              "",
	"bgp/bfd":          "",
	"node/admin":       "",
	"node/config":      "",
	"node/health":      "",
	"node/host":        "node/admin node/config",
	"node/metrics":     "",
	"node/vrrp":        "",
	"node": "bgp bgp/bfd gossip gossip/replica session fullnat fullnat/link fullnat/nexthop fullnat/offload fullnat/packet fullnat/persist fullnat/service " +
		"node/admin node/config node/health node/host node/metrics node/vrrp",
	"cmd/version":         "",
	"cmd/fleetlb":         "node/admin cmd/fleetlb/ipvs cmd/fleetlb/foreign cmd/version",
	"cmd/fleetlb/ipvs":    "node/admin",
	"cmd/fleetlb/foreign": "cmd/fleetlb/ipvs",
	"cmd/fleetlbd":        "bgp node node/config cmd/version",

	// For tests and the demonstration only: nothing above may import them.
	"cmd/cmdtest":           "",
	"bgp/bgptest":           "bgp/bfd",
	"fullnat/link/linktest": "fullnat/link",
	"node/admin/admintest":  "node/admin",
	"gossip/gossiptest":     "gossip",
	"e2e/lab":               "bgp/bgptest",
	"e2e/demo":              "e2e/lab",
	"e2e/bench/traffic":     "",
	"e2e/bench/rig":         "e2e/bench/traffic e2e/lab",
	"e2e/bench/rig/try":     "e2e/bench/rig",
	"e2e/bench/scale":       "",
	"e2e/bench":             "e2e/bench/report e2e/bench/rig e2e/bench/transfer e2e/lab session",
}

// sealed names the libraries that only a few packages, and what lies below them,
// may import; the stories in e2e and the benchmarks may import any.
var sealed = map[string]string{
	"github.com/osrg/gobgp/":               "bgp",
	"github.com/hashicorp/memberlist":      "gossip",
	"github.com/prometheus/client_golang/": "node/metrics",
	"github.com/BurntSushi/toml":           "node/config",
	"github.com/spf13/cobra":               "cmd/fleetlb",
	"github.com/cilium/ebpf":               "fullnat/link fullnat/offload",
	"github.com/vishvananda/netlink":       "fullnat/nexthop fullnat/offload fullnat/internal/nettest bgp/bgptest",
}

// unlinked names what must not be in a program, however it would get there.
var unlinked = map[string][]string{
	"cmd/fleetlb": {"github.com/osrg/gobgp", "github.com/hashicorp/memberlist", "github.com/cilium/ebpf"},
}

func TestImports(t *testing.T) {
	for pkg, imports := range list(t, "{{join .Imports \" \"}}", "fleetlb/...") {
		may := strings.Fields(allowed[pkg])
		for _, i := range imports {
			if own, ok := strings.CutPrefix(i, "fleetlb/"); ok && !slices.Contains(may, own) {
				t.Errorf("%s may not import %s", pkg, own)
			}
			for library, only := range sealed {
				below := func(p string) bool { return strings.HasPrefix(pkg+"/", p+"/") }
				if strings.HasPrefix(i, library) && !slices.ContainsFunc(strings.Fields(only+" e2e bench"), below) {
					t.Errorf("%s may not import %s: it is for %s", pkg, i, only)
				}
			}
		}
	}
	for program, libraries := range unlinked {
		for _, i := range list(t, "{{join .Deps \" \"}}", "fleetlb/"+program)[program] {
			for _, library := range libraries {
				if strings.HasPrefix(i, library) {
					t.Errorf("%s links %s", program, i)
				}
			}
		}
	}
}

// list asks the go command for something of each package.
func list(t *testing.T, what, packages string) map[string][]string {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command; run this test where the program is built")
	}
	out, err := exec.Command(tool, "list", "-f", "{{.ImportPath}} "+what, packages).CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		all[strings.TrimPrefix(words[0], "fleetlb/")] = words[1:]
	}
	return all
}
