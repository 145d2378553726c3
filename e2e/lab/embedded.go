package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"fleetlb/bgp/bgptest"
)

// embedded is a router that needs nothing installed: the GoBGP peer of the BGP
// tests, in a process of its own. It accepts the same neighbours as the files
// for BIRD and FRR do.
type embedded struct {
	host     *Host
	config   bgptest.Config
	process  *Process
	commands io.WriteCloser
}

func newEmbedded(h *Host, password string, bfd, resilient bool) *embedded {
	interval := time.Duration(0)
	if bfd {
		interval = 100 * time.Millisecond
	}
	return &embedded{host: h, config: bgptest.Config{
		BFD:       interval,
		Resilient: resilient,
		ASN:       65000,
		RouterID:  netip.MustParseAddr("10.1.0.1"),
		Neighbors: []bgptest.Neighbor{
			{Prefix: netip.MustParsePrefix("10.1.0.0/24"), ASN: 65001, Password: password},
			{Prefix: netip.MustParsePrefix("2001:db8:1::/64"), ASN: 65001, Password: password},
		},
		Install: true,
	}}
}

func (e *embedded) Start() error {
	config, err := json.Marshal(&e.config)
	if err != nil {
		return err
	}
	e.process, err = e.host.start("router", func(cmd *exec.Cmd) (err error) {
		e.commands, err = cmd.StdinPipe()
		return err
	}, self, roleArg, "router", string(config))
	if err != nil {
		return err
	}
	return Await(10*time.Second, e.process.String()+" to listen", func() error {
		if !e.process.Running() {
			return Hopeless(fmt.Errorf("it ended: %s: %s", e.process.State(), e.process.Tail(3)))
		}
		state, err := e.state()
		if err == nil && !state.Listening {
			err = fmt.Errorf("it does not")
		}
		return err
	})
}

func (e *embedded) Stop() { e.process.Stop() }
func (e *embedded) Kill() { e.process.Kill() }

func (e *embedded) Neighbors() ([]RouterNeighbor, error) {
	state, err := e.state()
	if err != nil {
		return nil, err
	}
	var all []RouterNeighbor
	for _, s := range state.Sessions {
		n := RouterNeighbor{Address: s.Neighbor, Established: s.Up}
		for _, r := range state.Routes {
			if r.From == s.Neighbor {
				n.Prefixes++
			}
		}
		all = append(all, n)
	}
	return all, nil
}

func (e *embedded) Reset(director netip.Addr) error {
	neighbors, err := e.Neighbors()
	if err != nil {
		return err
	}
	for _, n := range neighbors {
		if !n.Established || director.IsValid() && n.Address != director {
			continue
		}
		if _, err := fmt.Fprintf(e.commands, "reset %v\n", n.Address); err != nil {
			return err
		}
	}
	return nil
}

// state is the last whole line of what the router wrote: one state each.
func (e *embedded) state() (s bgptest.State, err error) {
	lines := strings.Split(e.process.Log(), "\n")
	if len(lines) < 2 {
		return s, fmt.Errorf("%s: has said nothing", e.process)
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-2]), &s); err != nil {
		return s, fmt.Errorf("%s: %w", e.process, err)
	}
	return s, nil
}

// routerRole is the router's main function.
func routerRole(args []string) error {
	var config bgptest.Config
	if err := json.Unmarshal([]byte(args[0]), &config); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return bgptest.Run(ctx, config, os.Stdin, os.Stdout)
}
