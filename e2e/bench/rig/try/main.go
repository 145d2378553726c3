// Command try measures one device of the rig.
//
//	go run ./e2e/bench/rig/try -device fleetlb-required -sessions 100,100000 -size 64 -for 5s
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"fleetlb/e2e/bench/rig"
)

var devices = map[string]rig.Device{
	"bare": rig.Bare(), "kernel": rig.Forwarding(), "nftables": rig.Nftables(),
	"fleetlb-required": rig.Fleetlb("required"), "fleetlb-off": rig.Fleetlb("off"),
}

func main() {
	device := flag.String("device", "fleetlb-required", "bare, kernel, nftables, fleetlb-required or fleetlb-off")
	sessions := flag.String("sessions", "100", "how many, ascending: 100,100000")
	size := flag.Int("size", 64, "of frames, bytes")
	long := flag.Duration("for", 5*time.Second, "each measurement")
	connections := flag.Bool("connections", false, "TCP connections instead of round trips")
	rate := flag.Int("rate", 0, "so many round trips a second, and how long they take; 0: as many as there can be")
	flag.Parse()
	if err := try(*device, *sessions, *size, *rate, *long, *connections); err != nil {
		fmt.Fprintln(os.Stderr, "try:", err)
		os.Exit(1)
	}
}

func try(name, list string, size, rate int, long time.Duration, connections bool) error {
	d, ok := devices[name]
	if !ok {
		return fmt.Errorf("no device %q", name)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	var all []int
	for _, word := range strings.Split(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		all = append(all, n)
	}
	r, err := rig.Up(d, rig.Options{Sessions: all[len(all)-1]})
	if err != nil {
		return err
	}
	defer r.Close()
	if connections {
		s, err := r.Connections(ctx, long)
		fmt.Printf("%s: connections: %v\n", d.Name(), s)
		return err
	}
	for _, n := range all {
		begin := time.Now()
		if err := r.Warm(ctx, n); err != nil {
			return err
		}
		warm := time.Since(begin)
		if rate > 0 {
			l, err := r.Latency(ctx, n, size, rate, long)
			if err != nil {
				return err
			}
			fmt.Printf("%s: %d sessions, %d B: %v\n", d.Name(), n, size, l)
			continue
		}
		s, err := r.RoundTrips(ctx, n, size, long)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d sessions, %d B: %v (opened in %.1f s)\n", d.Name(), n, size, s, warm.Seconds())
	}
	return nil
}
