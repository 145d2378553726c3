package rig

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"fleetlb/e2e/lab"
)

// Fleetlb is the director as its user runs it, with the flow offload "required",
// "auto" or "off".
func Fleetlb(offload string) Device { return fleetlb{offload} }

type fleetlb struct{ offload string }

func (f fleetlb) Name() string         { return "fleetlb, offload " + f.offload }
func (fleetlb) Target() netip.AddrPort { return VIP }

const services = `
[[service]]
name = "%[1]s"
vip = "%[2]v"
protocol = "%[1]s"

  [service.timeouts]
  %[3]s

  [service.check]
  type = "none"

  [[service.server]]
  address = "%[4]v"
`

func (f fleetlb) Setup(r *Rig) error {
	if err := build(r); err != nil {
		return err
	}
	d := lab.Director{
		Host: r.Device, Interfaces: []string{r.Front, r.Back}, Locals: []string{Locals.String()}, Offload: f.offload,
		Node: fmt.Sprintf("workers = 1\nmax_sessions = %d\n", r.Sessions+r.Sessions/8+100_000),
		Services: fmt.Sprintf(services, "udp", VIP, `udp = "10m"`, Server) +
			fmt.Sprintf(services, "tcp", VIP, `time_wait = "1s"`, Server),
		Under: onCore(deviceCore),
	}
	if err := d.Launch(); err != nil {
		return err
	}
	r.Director = &d
	return d.AwaitState(30*time.Second, "serving")
}

// build makes the programs, unless the environment says where they are.
func build(r *Rig) error {
	if os.Getenv(lab.BinEnv) != "" {
		return nil
	}
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	c := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-o", "bin/", "./cmd/...")
	c.Dir, c.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
}
