package bgp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"fleetlb/bgp"
)

const directorMark = "FLEETLB_TEST_DIRECTOR"

// director makes this process a director that announces one address, for the
// tests that kill it.
func director() {
	text := os.Getenv(directorMark)
	if text == "" {
		return
	}
	var c bgp.Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	s, err := bgp.Start(context.Background(), c, bgp.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	if err := s.Announce([]bgp.Route{{Prefix: vip4}}); err != nil {
		panic(err)
	}
	fmt.Println(s.Process().PID)
	select {}
}

// startDirector starts one and returns it and its child's process id.
func startDirector(t *testing.T, c bgp.Config) (*os.Process, int) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), directorMark+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	var pid int
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, scan := fmt.Sscan(line, &pid); err != nil || scan != nil {
		t.Fatalf("director said %q: %v", line, err)
	}
	return cmd.Process, pid
}
