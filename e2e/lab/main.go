package lab

import (
	"fmt"
	"os"
)

// roleArg is the hidden first argument with which the lab starts its own binary
// again inside a host, so that a lab needs no program but itself.
const roleArg = "lab-role"

// roles are what the binary can then be.
var roles = map[string]func(args []string) error{
	"router": routerRole,
	"server": serveRole,

	"decapsulate": decapsulateRole,
}

// Main plays the role this process was started for and exits; without one it
// returns. Programs that open labs call it before all else, tests in TestMain.
func Main() {
	if len(os.Args) < 3 || os.Args[1] != roleArg {
		return
	}
	role := roles[os.Args[2]]
	if role == nil {
		fmt.Fprintf(os.Stderr, "lab: no role %q\n", os.Args[2])
		os.Exit(2)
	}
	if err := role(os.Args[3:]); err != nil {
		fmt.Fprintf(os.Stderr, "lab: %s: %v\n", os.Args[2], err)
		os.Exit(1)
	}
	os.Exit(0)
}

// startRole runs this very binary on the host in one of its roles.
func (h *Host) startRole(name, role string, args ...string) (*Process, error) {
	return h.Start(name, append([]string{self, roleArg, role}, args...)...)
}

// self is the running binary, whether or not its path can still be walked.
const self = "/proc/self/exe"
