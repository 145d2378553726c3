// Bench measures fleetlb beside its peers, in one run and on one rig.
//
//	make bench                                  everything, in about ten minutes
//	go run ./e2e/bench -quick                   a look, in less than two
//	go run ./e2e/bench -only 'TCP connections'  some of it: what matches "measure, device"
//
// Devices take turns, round after round, on a core of their own; what is claimed
// are the ratios of values that were measured within seconds of each other, with
// their spread. It prints a table and writes it, the values and a picture into a
// directory.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"fleetlb/e2e/bench/report"
	"fleetlb/e2e/lab"
)

func main() {
	lab.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(2)
		}
		if ctx.Err() != nil {
			err = errors.New("interrupted; nothing is left behind")
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the program.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(log)
	var (
		rounds = flags.Int("rounds", 0, "how often each device takes its turns (3, quick 1)")
		lasts  = flags.Duration("for", 0, "how long each measurement lasts (1.5s, quick 300ms)")
		limit  = flags.Duration("limit", 12*time.Minute, "begin no further round that would end later than this")
		only   = flags.String("only", "", "a regular expression: measure only what it matches in \"measure, device\"")
		dir    = flags.String("out", "bin/bench", "where performance.txt, .json, .svg and .png are written")
		quick  = flags.Bool("quick", false, "fewer sessions, shorter, once; no in-process benchmarks")
		from   = flags.String("from", "", "measure nothing: show again what this performance.json holds")
	)
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	var err error
	if *dir, err = filepath.Abs(*dir); err != nil {
		return err
	}
	if *from != "" {
		r, err := report.Load(*from)
		if err != nil {
			return err
		}
		return publish(r, *dir, out)
	}

	p := plan{lasts: 1500 * time.Millisecond, few: 100, many: 100_000, millions: 1_000_000, process: true}
	b := bench{rounds: 3, limit: *limit, log: log, now: time.Now}
	if *quick {
		p = plan{lasts: 300 * time.Millisecond, few: 100, many: 10_000}
		b.rounds = 1
	}
	if *rounds > 0 {
		b.rounds = *rounds
	}
	if *lasts > 0 {
		p.lasts = *lasts
	}
	if *only != "" {
		pattern, err := regexp.Compile(*only)
		if err != nil {
			return fmt.Errorf("-only: %w", err)
		}
		b.only = pattern
	}
	if err := able(); err != nil {
		return err
	}
	sittings := p.sittings()
	forecast := b.forecast(sittings)
	if forecast == 0 {
		return fmt.Errorf("-only: nothing that is measured matches %q", *only)
	}
	if err := build(ctx); err != nil {
		return err
	}
	if p.process { // compiled now, so as not to be while something is measured
		if out, err := goTest(ctx).CombinedOutput(); err != nil {
			return fmt.Errorf("go test: %w: %s", err, out)
		}
	}
	fmt.Fprintf(log, "%d rounds, about %d minutes and no more than %.0f; leave the machine alone meanwhile.\n",
		b.rounds, int(math.Ceil(forecast.Minutes())), max(limit.Minutes(), math.Ceil(forecast.Minutes()/float64(b.rounds))))

	b.report = &report.Report{
		Title: "fleetlb beside its peers", Machine: machine(), When: time.Now().Format("2 January 2006, 15:04"),
		Peer: nftables, Targets: p.targets(), Panels: p.panels(), Notes: notes,
	}
	if err := b.run(ctx, sittings); err != nil {
		return err
	}
	return publish(b.report, *dir, out)
}

// publish prints a report and writes it into a directory.
func publish(r *report.Report, dir string, out io.Writer) error {
	var table bytes.Buffer
	if err := r.Table(&table); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n", table.Bytes())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	base := filepath.Join(dir, "performance")
	if err := os.WriteFile(base+".txt", table.Bytes(), 0o644); err != nil {
		return err
	}
	if err := r.Save(base + ".json"); err != nil {
		return err
	}
	if err := r.SavePictures(base); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s.txt, .json, .svg and .png hold this.\n", base)
	return nil
}

// able says what is missing, and how to get it.
func able() error {
	if os.Geteuid() != 0 {
		return errors.New("it needs root, for network namespaces and XDP programs: sudo make bench")
	}
	var missing []string
	for _, need := range []struct{ program, brings string }{
		{"nft", "nftables"}, {"haproxy", "haproxy"}, {"iperf3", "iperf3"}, {"ip", "iproute2"}, {"ethtool", "ethtool"}, {"taskset", "util-linux"}, {"sysctl", "procps"},
	} {
		if _, err := exec.LookPath(need.program); err != nil {
			missing = append(missing, fmt.Sprintf("%s (package %s)", need.program, need.brings))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not found: %s; on Debian `make deps` installs them", strings.Join(missing, ", "))
	}
	return nil
}

// build makes the director that is measured, unless the environment says where
// one is. All is done from the top of the source tree.
func build(ctx context.Context) error {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	if err := os.Chdir(filepath.Dir(strings.TrimSpace(string(mod)))); err != nil {
		return err
	}
	if os.Getenv(lab.BinEnv) != "" {
		return nil
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", "bin/", "./cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	return os.Setenv(lab.BinEnv, bin)
}

// notes are what one must know to read the figures.
var notes = []string{
	"Established and round trip: UDP, each datagram there and its answer back. Clients and server have one core, the device another.",
	"Half load is half of what that device carries, but at most 100,000 a second; what a device adds is its time less that of bare XDP.",
	"Bare XDP turns frames round and does nothing else; kernel forwarding translates nothing: both are bounds, not balancers.",
	"iperf3: veths as they come. Those of fleetlb with offload have GRO on, without which they take nothing from XDP, and carry no 64 KB segments.",
}

// machine says what this was measured on.
func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var u syscall.Utsname
	syscall.Uname(&u)
	var release []byte
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		release = append(release, byte(c))
	}
	return fmt.Sprintf("%d × %s, Linux %s", runtime.NumCPU(), model, release)
}
