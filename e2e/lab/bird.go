package lab

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// bird is BIRD 2 on a host.
type bird struct {
	host    *Host
	config  string
	bfd     bool
	process *Process
}

func (b *bird) Start() error {
	config, err := b.host.WriteFile("bird.conf", b.config)
	if err != nil {
		return err
	}
	argv := []string{"bird", "-f", "-c", config, "-s", b.socket(), "-P", b.host.File("bird.pid")}
	if b.bfd {
		argv = promptly(argv...)
	}
	b.process, err = b.host.Start("bird", argv...)
	if err != nil {
		return err
	}
	return Await(10*time.Second, b.process.String()+" to answer", func() error {
		if !b.process.Running() {
			return Hopeless(fmt.Errorf("it ended: %s: %s", b.process.State(), b.process.Tail(3)))
		}
		_, err := b.ask("show", "status")
		return err
	})
}

func (b *bird) Stop() { b.process.Stop() }
func (b *bird) Kill() { b.process.Kill() }

func (b *bird) socket() string { return b.host.File("bird.ctl") }

// ask runs one command of BIRD's own command line.
func (b *bird) ask(words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return b.host.Run(ctx, append([]string{"birdcl", "-s", b.socket()}, words...)...)
}

func (b *bird) Neighbors() ([]RouterNeighbor, error) {
	protocols, err := b.protocols()
	if err != nil {
		return nil, err
	}
	var all []RouterNeighbor
	for _, p := range protocols {
		all = append(all, p.RouterNeighbor)
	}
	return all, nil
}

func (b *bird) Reset(director netip.Addr) error {
	protocols, err := b.protocols()
	if err != nil {
		return err
	}
	for _, p := range protocols {
		if director.IsValid() && p.Address != director {
			continue
		}
		if _, err := b.ask("restart", p.name); err != nil {
			return err
		}
	}
	return nil
}

// birdProtocol is one BGP session: BIRD makes a protocol of its own for each
// neighbour that connects.
type birdProtocol struct {
	name string
	RouterNeighbor
}

func (b *bird) protocols() ([]birdProtocol, error) {
	out, err := b.ask("show", "protocols", "all", `"director*"`)
	if err != nil {
		if strings.Contains(out+err.Error(), "No protocols match") {
			return nil, nil
		}
		return nil, err
	}
	var all []birdProtocol
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "director") {
			all = append(all, birdProtocol{name: strings.Fields(line)[0]})
		}
		if len(all) == 0 {
			continue
		}
		p := &all[len(all)-1]
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "BGP state":
			p.Established = value == "Established"
		case "Neighbor address":
			p.Address, _ = netip.ParseAddr(value)
		case "Routes":
			fmt.Sscanf(value, "%d imported", &p.Prefixes)
		}
	}
	return all, nil
}
