// Package transfer measures bulk TCP between two hosts through a device: how
// much arrives, and what a gigabit costs the device.
//
//	client 10.0.1.2 ── 10.0.1.1 device 10.0.2.1 ── 10.0.2.2 server
//
// The three are network namespaces, joined by veths as they come: with checksums
// left to nobody and segments of 64 KB. iperf3 runs on both hosts with the
// kernel's own TCP. The hosts have one core of the machine and the device has
// another, so that what that core is busy with is the device's cost, interrupts
// included: frames are handed from core to core by receive packet steering, or,
// where XDP programs take them, by NAPI threads.
package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// The cores of the hosts and of the device.
const (
	hostCore   = 0
	deviceCore = 1
)

// The addresses: of the server, of the device, and the one the device answers at.
const (
	serverAddress = "10.0.2.2"
	virtual       = "203.0.113.10"
	port          = "5201"
)

// A Site is a client, a device and a server.
type Site struct {
	dir      string // of what the device and the hosts write
	device   Device
	daemons  []*daemon
	networks []string
}

// Open lays out the hosts and sets the device up between them. Nothing is left
// if it fails.
func Open(ctx context.Context, device Device) (_ *Site, err error) {
	if runtime.NumCPU() < 2 {
		return nil, errors.New("transfer: the hosts need a core and the device another")
	}
	s := &Site{device: device}
	defer func() {
		if err != nil {
			s.Close()
			err = fmt.Errorf("transfer: %s: %w", device, err)
		}
	}()
	if s.dir, err = os.MkdirTemp("", fmt.Sprintf("fleetlb-%d-transfer-", os.Getpid())); err != nil {
		return nil, err
	}
	if err := s.wire(ctx); err != nil {
		return nil, err
	}
	if err := devices[device](s, ctx); err != nil {
		return nil, err
	}
	if err := s.steer(ctx); err != nil {
		return nil, err
	}
	return s, s.serve(ctx)
}

// Close ends what runs and removes the hosts.
func (s *Site) Close() {
	for _, d := range s.daemons {
		d.end()
	}
	for _, name := range s.networks {
		run(context.Background(), "ip", "netns", "del", name)
	}
	os.RemoveAll(s.dir)
}

// Figures are what came out.
type Figures struct {
	BitsPerSecond float64       // that arrived
	Busy          time.Duration // of the device's core
	Bits          float64
}

// CPU is how long the device's core was busy for each gigabit.
func (f Figures) CPU() time.Duration { return time.Duration(float64(f.Busy) / (f.Bits / 1e9)) }

// Measure sends for so long, in four connections.
func (s *Site) Measure(ctx context.Context, d time.Duration) (Figures, error) {
	before, err := busy(deviceCore)
	if err != nil {
		return Figures{}, err
	}
	sent, err := s.iperf(ctx, "-P", "4", "-t", strconv.Itoa(max(int(d.Seconds()), 1)))
	if err != nil {
		return Figures{}, fmt.Errorf("transfer: %s: %w", s.device, err)
	}
	after, err := busy(deviceCore)
	if err != nil {
		return Figures{}, err
	}
	return Figures{BitsPerSecond: sent.Bps, Busy: after - before, Bits: 8 * sent.Bytes}, nil
}

// received is what iperf3 says that arrived.
type received struct {
	Bytes float64
	Bps   float64 `json:"bits_per_second"`
}

// iperf runs the client.
func (s *Site) iperf(ctx context.Context, args ...string) (received, error) {
	out, err := s.in(ctx, "client", append([]string{"taskset", "-c", strconv.Itoa(hostCore), "iperf3", "-J",
		"-c", s.address(), "-p", port, "--connect-timeout", "3000"}, args...)...)
	var answer struct {
		Error string
		End   struct {
			Received received `json:"sum_received"`
		}
	}
	notJSON := json.Unmarshal([]byte(out), &answer)
	switch { // it may end well and say in its answer that it did not
	case answer.Error != "":
		err = errors.New(answer.Error)
	case err == nil && notJSON != nil:
		err = notJSON
	case err == nil && answer.End.Received.Bytes == 0:
		err = errors.New("nothing arrived")
	}
	if err != nil {
		return received{}, fmt.Errorf("iperf3: %w", err)
	}
	return answer.End.Received, nil
}

// serve starts the iperf3 server and waits until the client reaches it.
func (s *Site) serve(ctx context.Context) error {
	if _, err := s.start("server", hostCore, "iperf3", "-s", "-p", port); err != nil {
		return err
	}
	var err error
	for range 50 {
		if _, err = s.iperf(ctx, "-n", "1K"); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return err
}

// address is where the client finds the server.
func (s *Site) address() string {
	if s.device == Forwarding {
		return serverAddress
	}
	return virtual
}
