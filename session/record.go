package session

import (
	"errors"
	"fmt"

	"fleetlb/fullnat/packet"
)

// A Kind says what a [Record] is for.
type Kind uint8

const (
	Update Kind = iota // the session is, and this is what the sender knows of it
	Gone               // its home has closed it
	Mark               // no session: the Digest of all that the sender is home of in Slot, at this place of its stream
	numKinds
)

// A Record is what directors tell each other about a session: all that another
// one needs to carry it on.
type Record struct {
	Kind Kind

	PathKey
	Port       uint16 // of the VIP, which the client asked for
	Client     packet.Addr
	ClientPort uint16
	Local      packet.Addr // FULLNAT only
	LocalPort  uint16

	Home  Owner  // whose session it is, and in which of its lives it became so
	Born  Born   // tells it from others that had its endpoints before
	State State  // Update only, as all below
	Ends  [2]End // by the Direction of its packets
	Idle  Tick   // since it was last used, when the record was made

	Wide bool // not sent: directors other than the slot's keepers may carry it, so all should hear

	Slot   uint8  // Mark only
	Digest Digest // Mark only
}

// An End is what is known of one end of a TCP connection, or of UDP's.
type End struct {
	Expects uint32 // what it is to send next: see Session.Expects
	Heard   bool   // its packets have been seen
	Acked   bool   // Expects is what the other end acknowledged
	Reset   bool   // it sent a reset that was believed
}

// Face returns the tuple by which packets of the session that go d are known; the
// zero Tuple stands for the outbound face of a mode that has none.
func (r *Record) Face(d Direction) (tu packet.Tuple) {
	r.face(&tu, &r.Client, &r.Local, r.ClientPort, r.LocalPort, r.Port, d)
	return tu
}

// ClientSlot returns the slot of the session.
func (r *Record) ClientSlot() uint8 {
	if r.Kind == Mark {
		return r.Slot
	}
	return Slot(r.Protocol, r.Client, r.ClientPort)
}

// Valid says why no honest director would say this.
func (r *Record) Valid() error {
	switch {
	case r.Kind >= numKinds:
		return fmt.Errorf("kind %d: unknown", r.Kind)
	case r.Home.ID == 0:
		return errors.New("home: none")
	case r.Kind == Mark:
		return nil
	case r.Mode < FULLNAT || r.Mode > TUN:
		return fmt.Errorf("mode %d: unknown", r.Mode)
	case r.Protocol != packet.TCP && r.Protocol != packet.UDP:
		return fmt.Errorf("protocol %d: neither tcp nor udp", r.Protocol)
	case r.Client == packet.Addr{} || r.VIP == packet.Addr{} || r.Server == packet.Addr{}:
		return errors.New("addresses: one is missing")
	case r.Client.Is4() != r.VIP.Is4():
		return errors.New("client: not of the vip's address family")
	case r.Server.Is4() != r.VIP.Is4() && r.Mode != TUN:
		return errors.New("server: not of the vip's address family")
	}
	if err := r.validPorts(); err != nil {
		return err
	}
	if err := r.validLocal(); err != nil {
		return err
	}
	return r.validState()
}

func (r *Record) validPorts() error {
	switch last := max(r.VIPPort, r.VIPLast); {
	case r.Port < r.VIPPort || r.Port > last:
		return fmt.Errorf("port %d: not of the service's", r.Port)
	case r.VIPLast != 0 && r.VIPLast <= r.VIPPort:
		return fmt.Errorf("ports %d to %d: none", r.VIPPort, r.VIPLast)
	case r.ServerPort == 0 && last == r.VIPPort:
		return errors.New("server port: none")
	}
	return nil
}

func (r *Record) validLocal() error {
	switch {
	case r.Mode != FULLNAT:
		if r.Local != (packet.Addr{}) || r.LocalPort != 0 {
			return errors.New("local: the mode has none")
		}
	case r.Local == packet.Addr{} || r.Local.Is4() != r.Server.Is4():
		return errors.New("local: not of the server's address family")
	case r.Local == r.VIP || r.Local == r.Client || r.Local == r.Server:
		return errors.New("local: another end's address as well")
	case r.LocalPort == 0 || uint8(r.LocalPort) != r.ClientSlot():
		return fmt.Errorf("local port %d: not of the client's slot", r.LocalPort)
	}
	return nil
}

func (r *Record) validState() error {
	switch udp := r.State == OneWay || r.State == TwoWay; {
	case r.State >= NumStates:
		return fmt.Errorf("state %d: unknown", r.State)
	case udp != (r.Protocol == packet.UDP) && r.State != None:
		return fmt.Errorf("state %v: not of the protocol", r.State)
	case r.Kind == Update && r.Idle > longest:
		return errors.New("idle: for years")
	}
	return nil
}

// longest is the longest time anything is compared over: a quarter of what a
// Tick tells apart.
const longest = 1 << 30
