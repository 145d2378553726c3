package node

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An interface has one director, and the second is told which.
func TestClaim(t *testing.T) {
	var log logbook
	quiet := slog.New(slog.NewTextHandler(&log, nil))
	name := func(s string) string { return fmt.Sprintf("%s.%d", s, os.Getpid()) }
	first, err := claim([]string{name("eth0"), name("eth1")}, "/run/one.sock", 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer first()
	want := fmt.Sprintf("interface %s: in use by another director (process %d, socket \"/run/one.sock\"): end that first, or list other interfaces here",
		name("eth1"), os.Getpid())
	if _, err := claim([]string{name("eth2"), name("eth1")}, "/run/two.sock", 0, quiet); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	second, err := claim([]string{name("eth2")}, "/run/two.sock", 0, quiet)
	if err != nil {
		t.Fatalf("what was refused is still held: %v", err)
	}
	second()
	time.AfterFunc(100*time.Millisecond, first) // it is ending
	next, err := claim([]string{name("eth0"), name("eth1")}, "/run/three.sock", lastBreath, quiet)
	if err != nil {
		t.Fatalf("what was released is still held: %v", err)
	}
	next()
	if log.String() != "" {
		t.Errorf("logged %s", log.String())
	}
}

// Whoever could not carry a packet cannot keep a director from it either.
func TestClaimOfPretender(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("as root it would be tried as another user, too")
	}
	name := fmt.Sprintf("eth3.%d", os.Getpid())
	pretender := make(chan net.Listener)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends, another user's as it is
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			t.Error(errno)
		}
		l, err := net.Listen("unix", claimOf(name))
		if err != nil {
			t.Error(err)
		}
		pretender <- l
	}()
	defer (<-pretender).Close()
	var log logbook
	release, err := claim([]string{name}, "/run/one.sock", lastBreath, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	release()
	if want := fmt.Sprintf("process %d of user 65534 pretends", os.Getpid()); !strings.Contains(log.String(), want) {
		t.Errorf("logged %q, want %q", log.String(), want)
	}
}

func TestHolder(t *testing.T) {
	for _, tt := range []struct {
		pid    int32
		socket string
		want   string
	}{
		{4711, "/run/a.sock", `process 4711, socket "/run/a.sock"`},
		{4711, "", "process 4711"}, // frozen
		{0, "", "a process of another container"},
	} {
		if got := fmt.Sprint(holder{unix.Ucred{Pid: tt.pid}, tt.socket}); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
