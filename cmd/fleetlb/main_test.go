package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"fleetlb/cmd/cmdtest"
	"fleetlb/node/admin"
	"fleetlb/node/admin/admintest"
)

var update = flag.Bool("update", false, "write what the scripts print into their goldens; then read the difference")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"fleetlb": main, "ipvsadm": main, "ipvsadm-save": main, "ipvsadm-restore": main,
	})
}

// Each script has a director of its own, the example's, which it may trouble:
//
//	director stop | start       its process
//	director fail WHAT TEXT…    refuse WHAT ("reload") from now on; TEXT may have \n
//	director empty              take its services away
//	exits CODE PROGRAM ARG…     run it, and want that exit code
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"director": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(ts.Value(key{}).(*director).do(args))
			},
			"exits": cmdtest.Exits,
		},
		RequireExplicitExec: true,
		UpdateScripts:       *update,
	})
}

type key struct{}

func setup(env *testscript.Env) error {
	dir, err := os.MkdirTemp("", "fleetlb") // short: a socket's path ends at 107 bytes
	if err != nil {
		return err
	}
	d := &director{path: filepath.Join(dir, "s"), backend: admintest.Example()}
	env.Values[key{}] = d
	env.Setenv("FLEETLB_SOCKET", d.path)
	env.Setenv("GORACE", "atexit_sleep_ms=0") // else each program lingers for a second
	env.Defer(func() {
		d.do([]string{"stop"})
		os.RemoveAll(dir)
	})
	return d.do([]string{"start"})
}

// A director is a fake one behind a real socket.
type director struct {
	path    string
	backend *admintest.Director
	socket  *admin.Socket
	served  chan error
}

func (d *director) do(args []string) (err error) {
	switch args[0] {
	case "start":
		if d.socket, err = admin.Listen(d.path, -1, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
		d.served = make(chan error, 1)
		go func() { d.served <- d.socket.Serve(d.backend) }()
	case "stop":
		if d.socket != nil {
			d.socket.Close(context.Background())
			err, d.socket = <-d.served, nil
		}
	case "fail":
		d.trouble(args[1], func() error { return errors.New(strings.ReplaceAll(strings.Join(args[2:], " "), `\n`, "\n")) })
	case "empty":
		d.backend.Lock()
		d.backend.ServiceList, d.backend.ServerList, d.backend.HealthList, d.backend.SessionList = nil, nil, nil, nil
		d.backend.StatusNow, d.backend.Changes = admin.Status{}, nil
		d.backend.Unlock()
	default:
		return fmt.Errorf("director: %q?", args)
	}
	return err
}

func (d *director) trouble(what string, trouble func() error) {
	d.backend.Lock()
	defer d.backend.Unlock()
	before := d.backend.Fail
	d.backend.Fail = func(asked string) error {
		if asked == what {
			return trouble()
		}
		if before != nil {
			return before(asked)
		}
		return nil
	}
}

// direct runs the program in this process against its own director.
func direct(t *testing.T, backend *admintest.Director) (command func(ctx context.Context, args ...string) (code int, stdout, stderr string)) {
	t.Helper()
	goleak.VerifyNone(t)
	dir, err := os.MkdirTemp("", "fleetlb")
	if err != nil {
		t.Fatal(err)
	}
	d := &director{path: filepath.Join(dir, "s"), backend: backend}
	if err := d.do([]string{"start"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.do([]string{"stop"})
		os.RemoveAll(dir)
		goleak.VerifyNone(t)
	})
	return func(ctx context.Context, args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := run(ctx, append([]string{"--socket", d.path}, args...), &out, &errs)
		return code, out.String(), errs.String()
	}
}

// The operator's program must start in no time and run on anything: it links
// none of the director's machinery.
func TestLinksLittle(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		for _, no := range []string{"gobgp", "memberlist", "cilium/ebpf", "netlink", "google.golang.org/grpc", "prometheus", "gopacket"} {
			if strings.Contains(dep, no) {
				t.Errorf("links %s", dep)
			}
		}
		if strings.HasPrefix(dep, "fleetlb/") && dep != "fleetlb/node/admin" && dep != "fleetlb/cmd/version" && !strings.HasPrefix(dep, "fleetlb/cmd/fleetlb") {
			t.Errorf("links %s", dep)
		}
	}
}
