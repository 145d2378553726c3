// Package e2e tells stories: a client, a router, directors and servers as real
// programs in network namespaces, and what they see of each other. A story
// knows fleetlb only as an operator does, by its files, signals and commands.
//
// Stories that need the same site share one, and each begins by giving the
// director the services it is about.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"fleetlb/e2e/lab"
)

func TestMain(m *testing.M) {
	lab.Main()
	os.Exit(run(m))
}

// run builds what is tested, so that a stale binary proves nothing. The name of
// the directory has the next lab sweep it if this process is killed.
func run(m *testing.M) int {
	if os.Geteuid() == 0 && os.Getenv(lab.BinEnv) == "" {
		dir, err := os.MkdirTemp("", fmt.Sprintf("fleetlb-%d-bin-", os.Getpid()))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o755); err != nil { // other users run it as well
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		build := exec.Command("go", "build", "-o", dir+"/", "fleetlb/cmd/...")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: build:", err)
			return 1
		}
		demo := exec.Command("go", "build", "-o", dir+"/fleetlb-demo", "fleetlb/e2e/demo")
		demo.Env, demo.Stderr = build.Env, os.Stderr
		if err := demo.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: build:", err)
			return 1
		}
		os.Setenv(lab.BinEnv, dir)
	}
	return m.Run()
}
