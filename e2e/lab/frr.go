package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// frr is FRR's daemons on a host, without its init scripts, in directories of
// their own.
type frr struct {
	host    *Host
	config  string
	bfd     bool
	daemons []*Process
}

// names are the daemons it takes, in the order they start.
func (f *frr) names() []string {
	if f.bfd {
		return []string{"zebra", "bfdd", "bgpd"}
	}
	return []string{"zebra", "bgpd"}
}

func (f *frr) Start() error {
	run, err := f.directory()
	if err != nil {
		return err
	}
	if _, err := f.host.WriteFile("frr.conf", f.config); err != nil {
		return err
	}
	f.daemons = nil
	for _, name := range f.names() {
		argv := []string{"/usr/lib/frr/" + name, "--log", "stdout",
			"--vty_socket", run, "-P", "0", "-z", filepath.Join(run, "zserv.api"),
			"-f", filepath.Join(run, name+".conf"), "-i", filepath.Join(run, name+".pid")}
		if name == "bfdd" {
			argv = promptly(append(argv, "--bfdctl", filepath.Join(run, "bfdd.sock"))...)
		}
		p, err := f.host.Start(name, argv...)
		if err != nil {
			return err
		}
		f.daemons = append(f.daemons, p)
		if err := Await(10*time.Second, p.String()+" to answer", func() error {
			if !p.Running() {
				return Hopeless(fmt.Errorf("it ended: %s: %s", p.State(), p.Tail(3)))
			}
			_, err := f.ask("-d", name, "-c", "show version")
			return err
		}); err != nil {
			return err
		}
	}
	// As `vtysh -b` does at boot: each daemon gets its part of one file.
	_, err = f.ask("-f", f.host.File("frr.conf"))
	return err
}

// directory makes the place for sockets and pid files. The daemons give up
// root for a user of their own, who must be able to write there.
func (f *frr) directory() (string, error) {
	run := f.host.File("frr")
	if err := os.MkdirAll(run, 0o755); err != nil {
		return "", err
	}
	owner, err := user.Lookup("frr")
	if err != nil {
		return "", fmt.Errorf("frr: %w: `make deps` installs what the lab runs", err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	for _, name := range append([]string{""}, f.names()...) {
		path := run
		if name != "" {
			path = filepath.Join(run, name+".conf")
			if err := os.WriteFile(path, nil, 0o640); err != nil {
				return "", err
			}
		}
		if err := os.Chown(path, uid, gid); err != nil {
			return "", err
		}
	}
	return run, nil
}

func (f *frr) Stop() {
	for _, d := range slices.Backward(f.daemons) {
		d.Stop()
	}
}

func (f *frr) Kill() {
	for _, d := range slices.Backward(f.daemons) {
		d.Kill()
	}
}

func (f *frr) ask(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return f.host.Run(ctx, append([]string{"vtysh", "--vty_socket", f.host.File("frr")}, args...)...)
}

func (f *frr) Neighbors() ([]RouterNeighbor, error) {
	var all []RouterNeighbor
	for _, family := range []string{"ipv4", "ipv6"} {
		out, err := f.ask("-c", "show bgp "+family+" unicast summary json")
		if err != nil {
			return nil, err
		}
		var summary struct {
			Peers map[string]struct {
				State  string
				PfxRcd int
			}
		}
		if err := json.Unmarshal([]byte(out), &summary); err != nil {
			return nil, fmt.Errorf("%s: frr: summary: %w", f.host.Name, err)
		}
		for address, peer := range summary.Peers {
			a, err := netip.ParseAddr(address)
			if err != nil {
				continue
			}
			all = append(all, RouterNeighbor{a, peer.State == "Established", peer.PfxRcd})
		}
	}
	return all, nil
}

func (f *frr) Reset(director netip.Addr) error {
	which := "*"
	if director.IsValid() {
		which = director.String()
	}
	_, err := f.ask("-c", "clear bgp "+which)
	return err
}
