package bgp

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Child turns this process into the speaker's child if that is what it was
// started for, and then never returns. A program that uses a [Speaker] calls
// it before anything else in main, its tests in TestMain.
func Child() {
	if len(os.Args) != 2 || os.Args[1] != childMark || !isPipe(0) || !isPipe(1) {
		return
	}
	os.Exit(speak())
}

func isPipe(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO
}

// How long changes of state are gathered before they are reported, and how
// long a last word to the neighbours may take.
const (
	gather   = 10 * time.Millisecond
	farewell = 2 * time.Second
)

// speak is the child's life. It ends when the parent says so, or closes the
// pipe, or is silent for too long.
func speak() int {
	settleIn()
	orders := make(chan *order, 1)
	go obey(orders)

	j := newJournal()
	s := newServer(j)
	out := json.NewEncoder(os.Stdout)
	beat := time.NewTicker(heartbeat)
	var generation uint64
	var problem string
	for {
		select {
		case o := <-orders:
			if o.Shutdown {
				s.close()
				return 0
			}
			if err := s.apply(o.Desired); err != nil {
				problem = err.Error()
			} else {
				problem = ""
			}
			generation = o.Generation
		case <-beat.C:
			problem = s.retry(problem)
		case <-j.news:
			time.Sleep(gather)
		}
		if generation == 0 {
			continue // nothing to tell yet
		}
		if err := s.revive(); err != nil {
			problem = err.Error()
		}
		s.agree()
		neighbors, settled, log := j.read()
		r := report{Version: wireVersion, Generation: generation, Settled: settled && problem == "",
			Neighbors: neighbors, Problem: problem, Log: log}
		if out.Encode(&r) != nil {
			return 1 // the parent is gone
		}
	}
}

// settleIn makes the process a good child: it dies with its parent, whatever
// the executable's file capabilities did to that wish at exec; it leaves
// signals meant for the whole group to its parent, which has to withdraw
// before anybody dies; it is the one to go when memory is short, for a router
// that sends the whole Internet's routes makes it grow by a gigabyte; and it
// keeps no file that its parent left open.
func settleIn() {
	unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	// A listening socket of Go's is one of MPTCP, which knows neither TCP-MD5 nor
	// a TTL, unless this says otherwise.
	os.Setenv("GODEBUG", "multipathtcp=0")
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	closeInherited()
}

// closeInherited closes every descriptor above standard error but those of the
// runtime's own poller.
func closeInherited() {
	const dir = "/proc/self/fd"
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		link, _ := os.Readlink(filepath.Join(dir, e.Name()))
		if err == nil && fd > 2 && !strings.HasPrefix(link, "anon_inode:[event") {
			unix.Close(fd)
		}
	}
}

// obey reads orders and passes on those that are more than a heartbeat. It does
// not wait for the last one to be carried out, which may take longer than a
// heartbeat does: the newest replaces it, for each is the whole state.
func obey(orders chan *order) {
	silence := time.AfterFunc(childPatient, func() { quit("parent silent for %v", childPatient) })
	dec := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		o := new(order)
		if err := dec.Decode(o); err != nil {
			quit("parent is gone: %v", err)
		}
		if o.Version != wireVersion {
			quit("order of version %d, not %d", o.Version, wireVersion)
		}
		silence.Reset(childPatient)
		if o.Desired == nil && !o.Shutdown {
			continue
		}
		select {
		case <-orders:
		default:
		}
		orders <- o
	}
}

func quit(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}
