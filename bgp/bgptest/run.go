package bgptest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"time"
)

// retry is how soon a route that could not be installed, or that the kernel has
// removed, is tried again: its next hop may have come up since.
const retry = time.Second

// Run is a peer in this process until ctx or the commands end. Commands, if
// not nil, are lines:
//
//	reset ADDRESS   end the session with that neighbour; it may come back
//	stop            end all sessions and listen no more
//	start           listen again
//
// Reports, if not nil, gets the whole State as a line of JSON after each change.
func Run(ctx context.Context, c Config, commands io.Reader, reports io.Writer) error {
	// Without this Go listens with MPTCP, which knows neither TCP-MD5 nor a TTL.
	os.Setenv("GODEBUG", "multipathtcp=0")
	s := newServer(c)
	defer s.close()
	if err := s.listen(); err != nil {
		return fmt.Errorf("bgptest: %w", err)
	}
	var table *table
	if c.Install {
		var err error
		if table, err = newTable(c.Resilient); err != nil {
			return fmt.Errorf("bgptest: %w", err)
		}
		defer table.close()
	}
	watch, err := newWatch(c.BFD)
	if err != nil {
		return fmt.Errorf("bgptest: %w", err)
	}
	defer watch.close()
	lines, ended := readLines(commands)
	again := time.NewTicker(retry)
	defer again.Stop()

	var done int
	var fault string
	var last State
	for {
		state := s.state()
		state.Done, state.Fault = done, fault
		if err := table.set(best(state.Routes)); err != nil {
			state.TableFault = err.Error()
		}
		if reports != nil && !reflect.DeepEqual(state, last) {
			if err := json.NewEncoder(reports).Encode(&state); err != nil {
				return fmt.Errorf("bgptest: report: %w", err)
			}
		}
		last = state
		if err := watch.follow(state.Sessions); err != nil {
			return fmt.Errorf("bgptest: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
			return nil
		case <-s.news:
		case <-watch.changes():
			for _, a := range watch.lost() {
				s.reset(a)
			}
		case <-again.C:
			if err := table.audit(); err != nil {
				return fmt.Errorf("bgptest: %w", err)
			}
		case line := <-lines:
			fault = ""
			if err := s.obey(line); err != nil {
				fault = err.Error()
			}
			done++
		}
	}
}

func (s *server) obey(line string) error {
	verb, object, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch verb {
	case "reset":
		a, err := netip.ParseAddr(object)
		if err != nil {
			return err
		}
		return s.reset(a)
	case "stop":
		s.close()
		return nil
	case "start":
		return s.listen()
	}
	return fmt.Errorf("unknown command %q", verb)
}

// readLines reads r in a goroutine that ends with r, or with the process.
func readLines(r io.Reader) (lines chan string, ended chan struct{}) {
	lines, ended = make(chan string), make(chan struct{})
	if r == nil {
		return lines, ended
	}
	go func() {
		defer close(ended)
		for in := bufio.NewScanner(r); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return lines, ended
}

// childMark, in the environment, tells a process that it is a peer.
const childMark = "FLEETLB_BGPTEST_PEER"

// Child turns this process into a peer if that is what Start started it for,
// and then never returns. Call it first in main, or in TestMain.
func Child() {
	if os.Getenv(childMark) == "" {
		return
	}
	if err := obeyParent(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// obeyParent runs the peer whose configuration is the first line of standard
// input; commands follow.
func obeyParent() error {
	in := bufio.NewReader(os.Stdin)
	text, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("bgptest: configuration: %w", err)
	}
	var c Config
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("bgptest: configuration: %w", err)
	}
	return Run(context.Background(), c, in, os.Stdout)
}
