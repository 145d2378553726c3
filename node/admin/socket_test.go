package admin_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"fleetlb/node/admin"
	"fleetlb/node/admin/admintest"
)

func TestSocketMode(t *testing.T) {
	path, _ := open(t, admintest.Example())
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v; want 0660", info.Mode(), err)
	}
}

func TestListen(t *testing.T) {
	refused := func(t *testing.T, path, want string) {
		t.Helper()
		s, err := admin.Listen(path, -1, quiet)
		if err == nil {
			s.Close(t.Context())
		}
		if err == nil || err.Error() != "admin socket "+path+": "+want {
			t.Errorf("%v, want …: %s", err, want)
		}
	}
	t.Run("makes its directory", func(t *testing.T) {
		path := t.TempDir() + "/run/s"
		s, err := admin.Listen(path, os.Getgid(), quiet)
		if err != nil {
			t.Fatal(err)
		}
		s.Close(t.Context())
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("after Close: %v", err)
		}
	})
	t.Run("replaces what a dead director left", func(t *testing.T) {
		path := t.TempDir() + "/s"
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
		s, err := admin.Listen(path, -1, quiet)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, s, admintest.Example())
		if _, err := admin.NewClient(path).Status(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("respects a live one", func(t *testing.T) {
		path, c := open(t, admintest.Example())
		refused(t, path, fmt.Sprintf("in use by process %d", os.Getpid()))
		if _, err := c.Status(t.Context()); err != nil {
			t.Errorf("it suffered: %v", err)
		}
	})
	t.Run("and one that is stopped", func(t *testing.T) {
		path := t.TempDir() + "/s"
		l, err := net.Listen("unix", path) // never accepts
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		refused(t, path, fmt.Sprintf("in use by process %d", os.Getpid()))
	})
	t.Run("and what is no socket", func(t *testing.T) {
		path := t.TempDir() + "/s"
		os.WriteFile(path, []byte("precious"), 0o600)
		refused(t, path, "is there already, and is no socket")
		link := t.TempDir() + "/l"
		os.Symlink(path, link)
		refused(t, link, "is there already, and is no socket")
	})
	t.Run("a path that is too long", func(t *testing.T) {
		refused(t, t.TempDir()+"/"+strings.Repeat("x", 120), "invalid argument")
	})
	t.Run("two at once", func(t *testing.T) {
		path := t.TempDir() + "/s"
		var won atomic.Int32
		var sockets sync.Map
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if s, err := admin.Listen(path, -1, quiet); err == nil {
					won.Add(1)
					sockets.Store(s, true)
				}
			})
		}
		all.Wait()
		sockets.Range(func(s, _ any) bool { s.(*admin.Socket).Close(t.Context()); return true })
		if won.Load() != 1 {
			t.Errorf("%d directors listen at one socket", won.Load())
		}
	})
}

func TestClose(t *testing.T) {
	path := t.TempDir() + "/s"
	s, err := admin.Listen(path, -1, quiet)
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	d := admintest.Example()
	d.Fail = func(what string) error {
		if what == "reload" {
			close(entered)
			<-release
		}
		return nil
	}
	done := make(chan error, 2)
	go func() { done <- s.Serve(d) }()
	go func() {
		_, err := admin.NewClient(path).Reload(context.Background())
		done <- err
	}()
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- s.Close(context.Background()) }()
	if err := <-done; err != nil { // Serve returns at once
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// asOther is this test's program, run again as somebody else.
func asOther() {
	_, err := admin.NewClient(os.Getenv("ADMIN_TEST_CLIENT")).Status(context.Background())
	fmt.Print(err)
	os.Exit(0)
}

func TestPeers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be somebody else")
	}
	const stranger, friends = 65534, 54321
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	path, program := filepath.Join(dir, "s"), filepath.Join(dir, "client")
	copyProgram(t, program)
	s, err := admin.Listen(path, friends, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s, admintest.Example())

	tests := []struct {
		name string
		mode os.FileMode // of the socket; Listen's unless 0
		who  syscall.Credential
		want string
	}{
		{"the file keeps strangers out", 0o660, syscall.Credential{Uid: stranger, Gid: stranger},
			"director: may not use " + path + "; be root or in its group"},
		{"and the director, should the file not", 0o666, syscall.Credential{Uid: stranger, Gid: stranger},
			"admin socket: user 65534 is neither root, nor the director's own, nor in group 54321"},
		{"a member of the group", 0o660, syscall.Credential{Uid: stranger, Gid: friends}, "<nil>"},
		{"a supplementary one", 0o660, syscall.Credential{Uid: stranger, Gid: stranger, Groups: []uint32{1, friends}}, "<nil>"},
		{"one of very many groups", 0o660, syscall.Credential{Uid: stranger, Gid: stranger, Groups: append(make([]uint32, 300), friends)}, "<nil>"},
		{"root in no group", 0o660, syscall.Credential{}, "<nil>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			os.Chmod(path, tt.mode)
			cmd := exec.Command(program)
			cmd.Dir = "/"
			cmd.Env = []string{"ADMIN_TEST_CLIENT=" + path, "GORACE=atexit_sleep_ms=0"}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &tt.who}
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != tt.want {
				t.Errorf("%v %s, want %s", err, out, tt.want)
			}
		})
	}
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
