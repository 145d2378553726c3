package rig

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Bare sends packets on in the driver and does nothing to them: the ceiling.
func Bare() Device { return bare{} }

type bare struct{}

func (bare) Name() string           { return "bare XDP" }
func (bare) Target() netip.AddrPort { return Server }

func (bare) Setup(r *Rig) error {
	mac := func(n byte) net.HardwareAddr { return net.HardwareAddr{0x02, 0xfb, 0, 0, 0, n} }
	return r.Device.Do(func() error {
		for _, way := range []struct {
			in, out      string
			station, own net.HardwareAddr
		}{{r.Front, r.Back, mac(4), mac(3)}, {r.Back, r.Front, mac(1), mac(2)}} {
			if err := r.passOn(way.in, way.out, way.station, way.own); err != nil {
				return fmt.Errorf("%s: %w", way.in, err)
			}
		}
		return nil
	})
}

func (r *Rig) passOn(in, out string, station, own net.HardwareAddr) error {
	from, err := net.InterfaceByName(in)
	if err != nil {
		return err
	}
	to, err := net.InterfaceByName(out)
	if err != nil {
		return err
	}
	spec, err := loadBare()
	if err != nil {
		return err
	}
	for name, value := range map[string]any{
		bareVarOut: uint32(to.Index), bareVarStationHi: binary.NativeEndian.Uint32(station), bareVarStationLo: binary.NativeEndian.Uint16(station[4:]),
		bareVarOwnHi: binary.NativeEndian.Uint32(own), bareVarOwnLo: binary.NativeEndian.Uint16(own[4:]),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("variable %s: %w", name, err)
		}
	}
	var loaded struct {
		Bare *ebpf.Program `ebpf:"bare"`
	}
	if err := spec.LoadAndAssign(&loaded, nil); err != nil {
		return fmt.Errorf("load program: %w", err)
	}
	defer loaded.Bare.Close()
	hook, err := link.AttachXDP(link.XDPOptions{Program: loaded.Bare, Interface: from.Index, Flags: link.XDPDriverMode})
	if err != nil {
		return fmt.Errorf("attach program: %w", err)
	}
	return r.atClose(func() { hook.Close() })
}
