package rig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"fleetlb/e2e/bench/traffic"
	"fleetlb/e2e/lab"
)

// The two cores.
const (
	trafficCore = 0
	deviceCore  = 1
)

// Addresses of the rig.
var (
	// Clients are 4096 addresses behind a router, which is the client's host.
	Clients = netip.MustParsePrefix("198.18.0.0/20")
	// VIP is what clients ask where the device translates addresses. No host has it.
	VIP = netip.MustParseAddrPort("203.0.113.80:8080")
	// Server is what answers UDP and TCP, on any port, and what clients ask where
	// the device does not translate.
	Server = netip.MustParseAddrPort("10.3.0.80:8080")
	// Locals are what the server sees in place of clients.
	Locals = netip.MustParsePrefix("10.2.0.0/26")

	clientHost  = netip.MustParsePrefix("10.1.0.2/24")
	deviceFront = netip.MustParsePrefix("10.1.0.1/24")
	deviceBack  = netip.MustParsePrefix("10.3.0.1/24")
	serverHost  = netip.MustParsePrefix("10.3.0.2/24")
)

// A Device carries packets between clients and the server.
type Device interface {
	Name() string
	// Target is what clients ask: VIP, or Server.
	Target() netip.AddrPort
	// Setup makes the device work. What it starts ends with the rig.
	Setup(*Rig) error
}

// Options of a rig.
type Options struct {
	Sessions int // room for so many; 0: a million
}

// A Rig is a device between clients and a server.
type Rig struct {
	Client, Device, Server *lab.Host
	// The ends of the two cables: client to front, back to server.
	ClientPort, Front, Back, ServerPort string
	Sessions                            int

	// Director is the one under test, if it is one of ours.
	Director *lab.Director

	device Device
	lab    *lab.Lab
	crowd  *traffic.Crowd
	cores  unix.CPUSet // that this process had
	marks  []spent     // of the device's core, at the begin and the end of a count
}

// Up puts a device between clients and a server.
func Up(d Device, o Options) (*Rig, error) {
	if o.Sessions == 0 {
		o.Sessions = 1_000_000
	}
	tag := strconv.FormatInt(int64(os.Getpid()), 36)
	r := &Rig{
		device: d, Sessions: o.Sessions,
		// A thread that receives is found by its interface's name.
		ClientPort: "client-" + tag, Front: "front-" + tag, Back: "back-" + tag, ServerPort: "server-" + tag,
	}
	if err := r.up(); err != nil {
		r.Close()
		return nil, fmt.Errorf("rig: %s: %w", d.Name(), err)
	}
	return r, nil
}

func (r *Rig) up() (err error) {
	if err := r.stepAside(); err != nil {
		return err
	}
	r.lab, err = lab.Open(lab.Layout{{Name: "client"}, {Name: "device"}, {Name: "server"}})
	if err != nil {
		return err
	}
	r.Client, r.Device, r.Server = r.lab.Host("client"), r.lab.Host("device"), r.lab.Host("server")
	front, err := r.cable()
	if err != nil {
		return err
	}
	r.crowd, err = traffic.Open(traffic.Config{
		Clients: r.Client.Do, Server: r.Server.Do, ClientPort: r.ClientPort, ServerPort: r.ServerPort,
		Gateway: front, First: Clients.Addr(), Target: r.device.Target(), Answers: Server.Addr(),
		Sessions: r.Sessions, Core: trafficCore, Mark: r.mark,
	})
	if err != nil {
		return err
	}
	if err := r.device.Setup(r); err != nil {
		return err
	}
	if err := r.pin(); err != nil {
		return err
	}
	return r.notice()
}

// Close takes everything away. It may be called more than once.
func (r *Rig) Close() {
	if r.crowd != nil { // not by atClose: whoever measures uses it until he has noticed
		r.crowd.Close()
		r.crowd = nil
	}
	if r.lab != nil {
		r.lab.Close()
	}
	r.comeBack()
}

// atClose has f called when the rig closes, also by Ctrl-C.
func (r *Rig) atClose(f func()) error {
	if !r.lab.OnClose(f) {
		return errors.New("the lab is closed")
	}
	return nil
}

// run runs a program on the device to its end.
func (r *Rig) run(argv ...string) error {
	_, err := r.Device.Run(context.Background(), argv...)
	return err
}

// Start runs a program on the device, on its core.
func (r *Rig) Start(name string, argv ...string) (*lab.Process, error) {
	return r.Device.Start(name, append(onCore(deviceCore), argv...)...)
}

func onCore(n int) []string { return []string{"taskset", "-c", strconv.Itoa(n)} }
