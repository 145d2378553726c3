package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childEnv makes the test binary a program that owns a lab, so that a test can
// see what is left when such a program ends in one way or another.
const childEnv = "LAB_TEST_CHILD"

func child(who string) int {
	if who == "rootless" {
		if err := Enter(); err != nil {
			fmt.Println("advice:", err)
			return 3
		}
	}
	l, err := Open(pair())
	if err != nil {
		fmt.Println(err)
		return 4
	}
	defer l.Close()
	if _, err := l.Host("server").Serve(); err != nil {
		fmt.Println(err)
		return 5
	}
	if _, err := l.Host("client").Start("sleep", "sleep", "1000"); err != nil {
		fmt.Println(err)
		return 6
	}
	name, err := l.Host("client").Ask(context.Background(), "http://[2001:db8:3::11]:8080/")
	fmt.Println("ready", name, err)
	if who == "rootless" {
		return 0
	}
	io.Copy(io.Discard, os.Stdin) // until the test has looked around
	switch who {
	case "panic":
		panic("on purpose")
	case "goroutine panic":
		go panic("on purpose")
	}
	select {}
}

// leftovers lists what a lab of this process leaves visible on the machine.
func leftovers(pid int) (left []string) {
	for _, pattern := range []string{netnsDir, os.TempDir()} {
		found, _ := filepath.Glob(fmt.Sprintf("%s/%s%d-*", pattern, namePrefix, pid))
		left = append(left, found...)
	}
	return left
}

// startChild returns the program, what it says, and what holds it up: it goes on
// when that is closed.
func startChild(t *testing.T, who string, credential *syscall.Credential) (*exec.Cmd, *bufio.Scanner, io.Closer) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root: run `sudo make test`")
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+who)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential}
	cmd.Dir = "/"
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out), in
}

func TestNothingIsLeft(t *testing.T) {
	tests := []struct {
		who    string
		signal syscall.Signal // sent when the lab is up; 0: it ends by itself
		swept  bool           // only the next lab removes the names
	}{
		{"interrupted", syscall.SIGINT, false},
		{"terminated", syscall.SIGTERM, false},
		{"hung up", syscall.SIGHUP, false},
		{"killed", syscall.SIGKILL, true},
		{"panic", 0, false},
		{"goroutine panic", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.who, func(t *testing.T) {
			cmd, out, hold := startChild(t, tt.who, nil)
			if !out.Scan() || out.Text() != "ready server <nil>" {
				t.Fatalf("the child says %q", out.Text())
			}
			inside := processesOf(t, cmd.Process.Pid)
			if len(inside) != 2 {
				t.Errorf("the lab runs %d programs, want 2", len(inside))
			}
			if tt.signal != 0 {
				cmd.Process.Signal(tt.signal)
			} else {
				hold.Close()
			}
			cmd.Wait()
			if tt.signal == syscall.SIGINT && cmd.ProcessState.ExitCode() != 130 {
				t.Errorf("exit status %d, want 130", cmd.ProcessState.ExitCode())
			}
			if left := leftovers(cmd.Process.Pid); !tt.swept && len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
			sweep()
			if left := leftovers(cmd.Process.Pid); len(left) != 0 {
				t.Errorf("left behind after a sweep: %v", left)
			}
			for _, pid := range inside {
				if err := Await(2*time.Second, "it to end", func() error {
					if Alive(pid) {
						return fmt.Errorf("pid %d runs", pid)
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// processesOf lists the children of a process.
func processesOf(t *testing.T, parent int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, _ := os.ReadFile(path)
		var pid, ppid int
		var state string
		fmt.Sscan(string(b), &pid)
		_, rest, _ := strings.Cut(string(b), ") ")
		if fmt.Sscan(rest, &state, &ppid); ppid == parent {
			pids = append(pids, pid)
		}
	}
	return pids
}

// An ordinary user gets a lab where the kernel allows it, and advice elsewhere.
func TestRootless(t *testing.T) {
	cmd, out, _ := startChild(t, "rootless", &syscall.Credential{Uid: 65534, Gid: 65534})
	out.Scan()
	said := out.Text()
	err := cmd.Wait()
	switch {
	case strings.HasPrefix(said, "advice:"):
		t.Skip(said)
	case err != nil || said != "ready server <nil>":
		t.Errorf("the child says %q and ends with %v", said, err)
	}
}
