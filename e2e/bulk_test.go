package e2e

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// What is sent in bulk through a VIP, and compared.

const bulk = 100 << 20

// bulk sends the file of noise that nginx has, 100 MB, down from it, and up to
// another server.
func (s *site) bulk(t *testing.T, vip, file, want string) {
	t.Helper()
	started := time.Now()
	s.download(t, vip, want)
	down := time.Since(started)
	started = time.Now()
	out, err := s.client.Run(t.Context(), "curl", "-sSf", "-m", "60", "-T", file, url(vip, lab.HTTPPort)+"hash")
	if hash := strings.TrimSpace(out); err != nil || hash != want {
		t.Errorf("%s: 100 MB up: hash %s, want %s: %v", vip, hash, want, err)
	}
	t.Logf("100 MB: %v down, %v up", down.Round(time.Millisecond), time.Since(started).Round(time.Millisecond))
}

func (s *site) download(t *testing.T, vip, want string) {
	t.Helper()
	got := s.client.File("download")
	defer os.Remove(got)
	if _, err := s.client.Run(t.Context(), "curl", "-sSf", "-m", "60", "-o", got, url(vip, lab.NginxPort)+"noise"); err != nil {
		t.Errorf("%s: %v", vip, err)
	} else if hash := hashFile(t, got); hash != want {
		t.Errorf("%s: 100 MB down: hash %s, want %s", vip, hash, want)
	}
}

// iperf sends as much as goes in a second, each way.
func (s *site) iperf(t *testing.T, vip string) {
	t.Helper()
	for _, direction := range [][]string{nil, {"-R"}} {
		r, err := s.client.Iperf(t.Context(), vip, lab.IperfPort, time.Second, direction...)
		if err != nil || r.Mbps < 10 {
			t.Errorf("iperf3 %v: %+v: %v", direction, r, err)
		}
		t.Logf("iperf3 %v: %.0f Mbit/s", direction, r.Mbps)
	}
}

// iperfUDP sends datagrams for a second. iperf3's own socket overflows when the
// machine is busy, even so: what the director drops is for the director to tell.
func (s *site) iperfUDP(t *testing.T, vip string) {
	t.Helper()
	r, err := s.client.Iperf(t.Context(), vip, lab.IperfPort, time.Second, "-u", "-b", "20M", "-w", "1M")
	if err != nil || r.LostPercent > 25 {
		t.Errorf("iperf3 -u: %+v: %v", r, err)
	}
}

// writeNoise fills a file and returns its hash.
func writeNoise(t *testing.T, path string, seed uint64, n int64) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash, err := lab.Hash(io.TeeReader(lab.Noise(seed, n), f))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func hashFile(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash, err := lab.Hash(f)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}
