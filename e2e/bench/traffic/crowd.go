package traffic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Config says where a crowd and its server are.
type Config struct {
	// Clients and Server call a function on a thread in the network namespace of
	// one end.
	Clients, Server func(func() error) error
	// ClientPort and ServerPort are the interfaces there.
	ClientPort, ServerPort string

	Gateway net.HardwareAddr // where clients send to: the device
	First   netip.Addr       // of the 4096 addresses of clients
	Target  netip.AddrPort   // what they ask
	Answers netip.Addr       // the server's own address

	Sessions int    // room for so many
	Core     int    // where requests are generated, and the ends should run
	Mark     func() // called when a count begins and when it ends; nil: nothing
}

// Places is how many addresses the clients have.
const Places = 4096

// A Crowd is the clients of a device and the server behind it.
type Crowd struct {
	config   Config
	programs struct {
		Generate *ebpf.Program `ebpf:"generate"`
		Client   *ebpf.Program `ebpf:"client"`
		Serve    *ebpf.Program `ebpf:"serve"`
		Controls *ebpf.Map     `ebpf:"controls"`
		Slots    *ebpf.Map     `ebpf:"slots"`
		List     *ebpf.Map     `ebpf:"list"`
		Tallies  *ebpf.Map     `ebpf:"tallies"`
		Answers  *ebpf.Map     `ebpf:"answers"`
		Times    *ebpf.Map     `ebpf:"times"`
	}
	hooks  []link.Link
	memory [][]byte

	// The programs read and write these as well.
	control *control
	slots   []slot
	list    []uint64
	tallies []tally
	answers []uint64 // by session
	times   []uint64

	warm int // so many sessions are open
}

// As in traffic.c.
type (
	control struct {
		mode, sessions, size, first, turn, next, random, awake uint32
		due, gap, until, sent                                  uint64
	}
	slot struct {
		turn uint32
		_    [3]uint32 // what it is, which only the programs need to know
	}
	tally struct {
		answered, late, wrong, resets, refused uint64
		_                                      [3]uint64
	}
)

// The modes.
const (
	stop uint32 = iota
	inTurn
	atRandom
	once
	connect
)

// Open puts a crowd and its server into their places. They are silent, and leave
// to the kernel what is not theirs.
func Open(c Config) (*Crowd, error) {
	if c.Mark == nil {
		c.Mark = func() {}
	}
	t := &Crowd{config: c}
	if err := t.open(); err != nil {
		t.Close()
		return nil, fmt.Errorf("traffic: %w", err)
	}
	return t, nil
}

func (t *Crowd) open() error {
	c := &t.config
	first := binary.BigEndian.Uint32(c.First.AsSlice())
	if first%Places != 0 {
		return fmt.Errorf("clients: %v is not the first of %d addresses", c.First, Places)
	}
	own, err := look(c.Clients, c.ClientPort)
	if err != nil {
		return err
	}
	far, err := look(c.Server, c.ServerPort)
	if err != nil {
		return err
	}
	spec, err := loadTraffic()
	if err != nil {
		return err
	}
	for name, value := range map[string]any{
		trafficVarClientMacHi: binary.NativeEndian.Uint32(own.HardwareAddr), trafficVarClientMacLo: binary.NativeEndian.Uint16(own.HardwareAddr[4:]),
		trafficVarGatewayMacHi: binary.NativeEndian.Uint32(c.Gateway), trafficVarGatewayMacLo: binary.NativeEndian.Uint16(c.Gateway[4:]),
		trafficVarClients: first, trafficVarTarget: word(c.Target.Addr()), trafficVarServer: word(c.Answers),
		trafficVarTargetPort: c.Target.Port()<<8 | c.Target.Port()>>8, trafficVarClientPort: uint32(own.Index), trafficVarServerPort: uint32(far.Index),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("variable %s: %w", name, err)
		}
	}
	spec.Maps[trafficMapAnswers].MaxEntries = uint32(max(c.Sessions, 1))
	err = spec.LoadAndAssign(&t.programs, nil)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("load programs: %w: run it as root", err)
	}
	if err != nil {
		return fmt.Errorf("load programs: %w", err)
	}
	if err := t.share(); err != nil {
		return err
	}
	if err := t.attach(c.Clients, own, t.programs.Client); err != nil {
		return err
	}
	return t.attach(c.Server, far, t.programs.Serve)
}

// word is an address as a program sees it in a packet.
func word(a netip.Addr) uint32 { return binary.NativeEndian.Uint32(a.AsSlice()) }

func look(where func(func() error) error, name string) (i *net.Interface, err error) {
	err = where(func() (err error) {
		i, err = net.InterfaceByName(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	return i, nil
}

func (t *Crowd) attach(where func(func() error) error, i *net.Interface, p *ebpf.Program) error {
	err := where(func() error {
		hook, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: i.Index, Flags: link.XDPDriverMode})
		if err == nil {
			t.hooks = append(t.hooks, hook)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("interface %s: attach program: %w", i.Name, err)
	}
	return nil
}

// Close takes both ends away.
func (t *Crowd) Close() {
	for _, h := range t.hooks {
		h.Close()
	}
	for _, m := range t.memory {
		unix.Munmap(m)
	}
	p := &t.programs
	for _, program := range []*ebpf.Program{p.Generate, p.Client, p.Serve} {
		program.Close() // nil is closed already
	}
	for _, m := range []*ebpf.Map{p.Controls, p.Slots, p.List, p.Tallies, p.Answers, p.Times} {
		m.Close()
	}
}
