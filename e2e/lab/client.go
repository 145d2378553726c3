package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// HTTP returns a client on the host that opens a new connection for every
// request, so that each is balanced anew.
func (h *Host) HTTP(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{DialContext: h.Dial, DisableKeepAlives: true},
	}
}

// Ask fetches a URL once and returns the name of the server that answered.
func (h *Host) Ask(ctx context.Context, url string) (server string, err error) {
	return ask(ctx, h.HTTP(0), url)
}

func ask(ctx context.Context, client *http.Client, url string) (server string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, res.Status)
	}
	return res.Header.Get("X-Server"), nil
}

// AskMany fetches a URL n times, each on a new connection, and counts the
// answers by server. It stops at the first that fails.
func (h *Host) AskMany(ctx context.Context, url string, n int) (map[string]int, error) {
	answers := make(map[string]int)
	client := h.HTTP(0)
	for i := range n {
		server, err := ask(ctx, client, url)
		if err != nil {
			return answers, fmt.Errorf("request %d of %d: %w", i+1, n, err)
		}
		answers[server]++
	}
	return answers, nil
}

// DialFrom connects from a given local port, at once again if it was used just
// before.
func (h *Host) DialFrom(ctx context.Context, port int, network, address string) (c net.Conn, err error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{Port: port}, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
		})
		if err == nil {
			err = failed
		}
		return err
	}}
	err = h.Do(func() error {
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Wrk is what the load generator of that name saw.
type Wrk struct {
	Requests  int
	PerSecond float64
	Errors    string // empty: none
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkRate     = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	wrkErrors   = regexp.MustCompile(`(?:Socket errors|Non-2xx).*`)
)

// Wrk loads a URL over keep-alive connections for a while.
func (h *Host) Wrk(ctx context.Context, url string, connections int, d time.Duration) (Wrk, error) {
	ctx, cancel := context.WithTimeout(ctx, d+20*time.Second)
	defer cancel()
	out, err := h.Run(ctx, "wrk", "-t1", "-c"+strconv.Itoa(connections),
		fmt.Sprintf("-d%ds", int(d.Seconds())), "--timeout", "5s", url)
	if err != nil {
		return Wrk{}, err
	}
	var w Wrk
	if m := wrkRequests.FindStringSubmatch(out); m != nil {
		w.Requests, _ = strconv.Atoi(m[1])
	}
	if m := wrkRate.FindStringSubmatch(out); m != nil {
		w.PerSecond, _ = strconv.ParseFloat(m[1], 64)
	}
	w.Errors = strings.TrimSpace(wrkErrors.FindString(out))
	return w, nil
}

// Iperf is one iperf3 run, as the receiver counted it.
type Iperf struct {
	Mbps        float64
	Retransmits int     // TCP
	LostPercent float64 // UDP
}

// errBusy is the answer of an iperf3 server that has not finished with the last
// client yet.
var errBusy = errors.New("the server is busy")

// Iperf runs the iperf3 client against an iperf3 server at address and
// a port; more arguments go to iperf3 as they are.
func (h *Host) Iperf(ctx context.Context, address string, port int, d time.Duration, args ...string) (result Iperf, err error) {
	err = Await(5*time.Second, "the iperf3 server", func() error {
		result, err = h.iperf(ctx, address, port, d, args...)
		if err != nil && !errors.Is(err, errBusy) {
			return Hopeless(err)
		}
		return err
	})
	return result, err
}

func (h *Host) iperf(ctx context.Context, address string, port int, d time.Duration, args ...string) (Iperf, error) {
	ctx, cancel := context.WithTimeout(ctx, d+20*time.Second)
	defer cancel()
	argv := append([]string{"iperf3", "-J", "-c", address, "-p", strconv.Itoa(port),
		"-t", strconv.Itoa(int(d.Seconds())), "--connect-timeout", "3000"}, args...)
	out, err := h.Run(ctx, argv...)
	var report struct {
		Error string
		End   struct {
			Sent     struct{ Retransmits int } `json:"sum_sent"`
			Received struct {
				Bps float64 `json:"bits_per_second"`
			} `json:"sum_received"`
			UDP struct {
				Bps  float64 `json:"bits_per_second"`
				Lost float64 `json:"lost_percent"`
			} `json:"sum"`
		}
	}
	if jsonErr := json.Unmarshal([]byte(out), &report); jsonErr == nil && report.Error != "" {
		if strings.Contains(report.Error, "busy") || strings.Contains(report.Error, "reset by peer") {
			return Iperf{}, errBusy
		}
		return Iperf{}, fmt.Errorf("%s: iperf3: %s", h.Name, report.Error)
	}
	if err != nil {
		return Iperf{}, err
	}
	bps := report.End.Received.Bps
	if bps == 0 {
		bps = report.End.UDP.Bps
	}
	return Iperf{Mbps: bps / 1e6, Retransmits: report.End.Sent.Retransmits, LostPercent: report.End.UDP.Lost}, nil
}

// IperfPort is where ServeIperf listens.
const IperfPort = 5201

// ServeIperf starts an iperf3 server on the host.
func (h *Host) ServeIperf() (*Process, error) {
	p, err := h.Start("iperf3", "iperf3", "-s", "-p", strconv.Itoa(IperfPort))
	if err != nil {
		return nil, err
	}
	return p, h.awaitPort(p, IperfPort)
}
