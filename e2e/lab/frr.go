package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
)

// frr is FRR's zebra and bgpd on a host, without its init scripts, in
// directories of its own.
type frr struct {
	host        *Host
	config      string
	zebra, bgpd *Process
}

func (f *frr) Start() error {
	run, err := f.directory()
	if err != nil {
		return err
	}
	if _, err := f.host.WriteFile("frr.conf", f.config); err != nil {
		return err
	}
	zserv := filepath.Join(run, "zserv.api")
	daemon := func(name string, more ...string) (*Process, error) {
		p, err := f.host.Start(name, append([]string{"/usr/lib/frr/" + name, "--log", "stdout",
			"--vty_socket", run, "-P", "0", "-z", zserv, "-f", filepath.Join(run, name+".conf"),
			"-i", filepath.Join(run, name+".pid")}, more...)...)
		if err != nil {
			return nil, err
		}
		return p, Await(10*time.Second, p.String()+" to answer", func() error {
			if !p.Running() {
				return Hopeless(fmt.Errorf("it ended: %s: %s", p.State(), p.Tail(3)))
			}
			_, err := f.ask("-d", name, "-c", "show version")
			return err
		})
	}
	if f.zebra, err = daemon("zebra"); err != nil {
		return err
	}
	if f.bgpd, err = daemon("bgpd"); err != nil {
		return err
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
	for _, name := range []string{"", "zebra.conf", "bgpd.conf"} {
		path := filepath.Join(run, name)
		if name != "" {
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
	f.bgpd.Stop()
	f.zebra.Stop()
}

func (f *frr) Kill() {
	f.bgpd.Kill()
	f.zebra.Kill()
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
