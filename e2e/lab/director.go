package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/template"
	"time"
)

// Director is fleetlb on a host, configured and observed only as an operator
// would: by its files, its signals and its command line.
type Director struct {
	Host       *Host
	Name       string // "": the host's
	Interfaces []string
	Locals     []string // local-address blocks
	BGP        bool
	Neighbors  []string // whom to announce to
	RouterID   string
	Password   string
	BFD        string // interval; "": off
	Gossip     string // where the other directors find it; "": it is alone
	Seeds      []string
	Key        string // of the fleet, in base64

	// TOML: lines for the [node] and [fullnat] tables, and the services. They
	// take effect with the next Write.
	Node     string
	Fullnat  string
	Offload  string // dataplane.offload; "": as it comes
	Services string

	Under []string // a program that starts it, "taskset -c 1"; nil: none

	Process *Process
}

// BinEnv names the environment variable that says where the binaries under test
// are; without it they are looked for in bin/ of the source tree.
const BinEnv = "FLEETLB_BIN"

// Binary returns the path of one of the binaries under test.
func Binary(name string) (string, error) {
	dir := os.Getenv(BinEnv)
	if dir == "" {
		dir = "bin"
		// Tests run in their package's directory.
		for up := "."; len(up) < 20; up += "/.." {
			if _, err := os.Stat(filepath.Join(up, "go.mod")); err == nil {
				dir = filepath.Join(up, "bin")
				break
			}
		}
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: `make build` makes it", err)
	}
	return path, nil
}

var directorConfig = template.Must(template.New("director").Funcs(template.FuncMap{
	"list": func(items []string) string { return fmt.Sprintf(`["%s"]`, strings.Join(items, `", "`)) },
}).Parse(`include = ["services.toml"]

[node]
name = "{{or .Name .Host.Name}}"
interfaces = {{list .Interfaces}}
{{.Node}}
[fullnat]
local_addresses = {{list .Locals}}
{{.Fullnat}}{{if .BGP}}
[bgp]
asn = 65001
router_id = "{{.RouterID}}"
{{range .Neighbors}}
[[bgp.neighbor]]
address = "{{.}}"
asn = 65000
hold_time = "9s"
connect_retry = "1s"
{{with $.Password}}password_file = "bgp.key"
{{end}}{{with $.BFD}}bfd = true
bfd_interval = "{{.}}"
{{end}}{{end}}{{end}}{{if .Gossip}}
[gossip]
bind = "{{.Gossip}}"
seeds = {{list .Seeds}}
key_file = "gossip.key"
{{end}}
{{with .Offload}}[dataplane]
offload = "{{.}}"
{{end}}[admin]
socket = "{{.Socket}}"
metrics = "127.0.0.1:9590"
`))

// Socket is where the director's command line finds it.
func (d *Director) Socket() string { return d.Host.File("admin.sock") }

// Write writes the configuration that the fields describe; a running director
// learns of it by Reload.
func (d *Director) Write() error {
	var text strings.Builder
	if err := directorConfig.Execute(&text, d); err != nil {
		return err
	}
	if _, err := d.Host.WriteFile("services.toml", d.Services); err != nil {
		return err
	}
	for name, secret := range map[string]string{"bgp.key": d.Password, "gossip.key": d.Key} {
		if secret == "" {
			continue
		}
		path, err := d.Host.WriteFile(name, secret+"\n")
		if err != nil {
			return err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
	}
	_, err := d.Host.WriteFile("fleetlb.toml", text.String())
	return err
}

// Start writes the configuration, starts the director and waits until it
// serves.
func (d *Director) Start() error {
	if err := d.Launch(); err != nil {
		return err
	}
	return d.AwaitState(10*time.Second, "serving")
}

// Launch writes the configuration and starts the director.
func (d *Director) Launch() error {
	if err := d.Write(); err != nil {
		return err
	}
	program, err := Binary("fleetlbd")
	if err != nil {
		return err
	}
	d.Process, err = d.Host.Start("fleetlbd", append(slices.Clone(d.Under), program, "-config", d.Host.File("fleetlb.toml"))...)
	return err
}

// AwaitState waits until a director that runs is in a state.
func (d *Director) AwaitState(timeout time.Duration, state string) error {
	return Await(timeout, fmt.Sprintf("%s to be %s", d.Process, state), func() error {
		if !d.Process.Running() {
			return Hopeless(fmt.Errorf("it ended: %s: %s", d.Process.State(), d.Process.Tail(5)))
		}
		status, err := d.Status()
		if err == nil && status.State != state {
			err = fmt.Errorf("it is %s", status.State)
		}
		return err
	})
}

// Reload writes the configuration and has the running director take it, by the
// command line. The error is what an operator would read.
func (d *Director) Reload() error {
	if err := d.Write(); err != nil {
		return err
	}
	_, err := d.CLI("reload")
	return err
}

// Hangup has it reload by a signal, which reports to the log only.
func (d *Director) Hangup() { d.Process.Signal(syscall.SIGHUP) }

// CLI runs `fleetlb` against the director and returns what it printed.
func (d *Director) CLI(args ...string) (string, error) {
	program, err := Binary("fleetlb")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return d.Host.Run(ctx, append([]string{program, "--socket", d.Socket()}, args...)...)
}

// read runs `fleetlb -o json` and decodes its answer.
func read[T any](d *Director, args ...string) (answer []T, err error) {
	out, err := d.CLI(append([]string{"-o", "json"}, args...)...)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		return nil, fmt.Errorf("fleetlb -o json %s: %w in %q", strings.Join(args, " "), err, out)
	}
	return answer, nil
}

// Speaker returns the pid of the director's BGP child: the child that is the
// same program.
func (d *Director) Speaker() (int, error) {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", d.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("%s: speaker: %w", d.Process, err)
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent …
		var state string
		var pid, parent int
		fmt.Sscan(string(b), &pid)
		_, rest, _ := strings.Cut(string(b), ") ")
		fmt.Sscan(rest, &state, &parent)
		if parent != d.Process.Pid || state == "Z" {
			continue
		}
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == program {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("%s: speaker: it has none", d.Process)
}
