package offload

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// settle has a program at every interface that is there: in the drivers if all
// of them run programs and send for them, else in the kernel's stead, which any
// interface allows. That is no use where frames come in the large, as between
// containers: the kernel has merged them before the program sees them, and a
// copy of each would be all that is won.
func (d *Driver) settle(looks []look) error {
	if d.mode != off {
		err := d.follow(looks)
		if !slices.ContainsFunc(d.sites, func(s site) bool { return s.serves }) {
			d.detach() // a program that can send nothing anywhere only costs
			d.tried = looksAt(d.names)
		}
		return err
	}
	if slices.Equal(looks, d.tried) {
		return errors.New(d.Status().Reason)
	}
	err := d.begin(looks)
	if d.legacy != nil {
		d.legacy.Close()
		d.legacy = nil
	}
	if err != nil {
		d.detach()
		if d.table != nil && !d.given {
			d.table.Close()
			d.table = nil
		}
		d.tried = looksAt(d.names) // an attempt changes what is seen
	}
	return err
}

// begin attaches the programs for the first time, or again after it failed.
func (d *Driver) begin(looks []look) error {
	if len(looks) == 0 {
		return errors.New("there are no interfaces")
	}
	for i, l := range looks {
		if l.driver == "veth" { // tells without an attempt
			if err := deaf(d.names[i], l.driver, l.features); err != nil {
				return err
			}
		}
	}
	if d.table == nil {
		t, err := NewTable(d.room)
		if err != nil {
			return err
		}
		d.table = t
	}
	if d.legacy != nil {
		d.give()
	}
	if d.why = d.attach(looks, native); d.why != nil {
		if d.alone {
			return d.why
		}
		if err := d.beginGeneric(looks); err != nil {
			return err
		}
	}
	d.give()
	return nil
}

func (d *Driver) give() {
	if !d.given {
		d.given = true
		d.ready(d.table)
	}
}

// beginGeneric is the second choice.
func (d *Driver) beginGeneric(looks []look) error {
	why := d.why
	d.detach()
	for i, l := range looks {
		if near(l.driver) {
			return fmt.Errorf("%w; and what interface %s (%s) receives, the kernel has merged before it could run a program", why, d.names[i], l.driver)
		}
	}
	if err := d.attach(looks, generic); err != nil {
		return fmt.Errorf("%w; nor can the kernel run it: %w", why, err)
	}
	d.why = why
	return nil
}

// attach puts a program at every interface that is there, all in one mode.
func (d *Driver) attach(looks []look, m mode) error {
	d.mode = m
	for port, l := range looks {
		if l.index == 0 {
			continue
		}
		if err := d.put(port, l); err != nil {
			return fmt.Errorf("interface %s (%s): %w", d.names[port], l.driver, err)
		}
	}
	return d.open(looksAt(d.names)) // which the programs may have changed
}

// put attaches the program of one interface.
func (d *Driver) put(port int, l look) error {
	sums := Never
	switch {
	case d.mode == generic:
		sums = Leave
	case near(l.driver):
		sums = Finish
	}
	p, err := d.table.Load(uint8(port), l.mac, sums, d.mode == generic || turns(l.driver))
	if err != nil {
		return err
	}
	if d.next >= 0 && d.mode == native {
		if err := p.Upward(d.next); err != nil {
			p.Close()
			return fmt.Errorf("what goes up: %w", err)
		}
	}
	s := &d.sites[port]
	if s.hook == nil && d.legacy != nil {
		s.inherit(d.legacy, hookName(d.mode, l.index), l.index)
	}
	if s.hook != nil && s.index == l.index { // with another address, or another director's
		if err := s.hook.Update(p.program); err != nil {
			p.Close()
			return err
		}
		if s.program != nil {
			s.program.Close()
		}
		s.look, s.program = l, p
		return nil
	}
	d.take(port)
	flags := link.XDPDriverMode
	if d.mode == generic {
		flags = link.XDPGenericMode
	}
	hook, err := link.AttachXDP(link.XDPOptions{Program: p.program, Interface: l.index, Flags: flags})
	if err != nil {
		p.Close()
		return refusal(err)
	}
	*s = site{look: l, program: p, hook: hook}
	return nil
}

// inherit takes over the place of a former director's program.
func (s *site) inherit(l *Legacy, name string, index int) {
	if hook := l.links[name]; hook != nil && hook.Unpin() == nil { // or it could not be pinned again
		delete(l.links, name)
		s.hook, s.index = hook, index
	}
}

// refusal names what the kernel's error means here.
func refusal(err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return errors.New("another XDP program is attached: ip link set dev NAME xdp off")
	case errors.Is(err, unix.EOPNOTSUPP):
		return errors.New("the driver runs no XDP programs")
	case errors.Is(err, unix.EPERM):
		return errNotPermitted
	}
	return fmt.Errorf("attach: %w", err)
}

// open lets frames be sent to every interface that takes them, and says which
// does not.
func (d *Driver) open(looks []look) error {
	var all []error
	for port := range d.sites {
		s := &d.sites[port]
		var err error
		if s.index != 0 && d.mode == native {
			err = deaf(d.names[port], looks[port].driver, looks[port].features)
		}
		serves := s.index != 0 && err == nil
		if serves != s.serves {
			index := 0
			if serves {
				index = s.index
			}
			if e := d.table.SetPort(uint8(port), index); e != nil {
				err, serves = e, false
			}
			s.serves = serves
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// follow keeps up with interfaces that come, go and change.
func (d *Driver) follow(looks []look) error {
	var all []error
	for port, l := range looks {
		s := &d.sites[port]
		switch {
		case l.index == 0:
			d.take(port)
			all = append(all, fmt.Errorf("interface %s: not there", d.names[port]))
		case s.hook == nil || s.index != l.index || s.mac != l.mac:
			if err := d.put(port, l); err != nil {
				d.take(port)
				all = append(all, fmt.Errorf("interface %s (%s): %w", d.names[port], l.driver, err))
			}
		}
	}
	return errors.Join(append(all, d.open(looks))...)
}

// take removes the program of one interface.
func (d *Driver) take(port int) {
	s := &d.sites[port]
	if s.serves {
		d.table.SetPort(uint8(port), 0)
	}
	if s.hook != nil {
		s.hook.Close()
		if s.program != nil {
			s.program.Close()
		}
	}
	*s = site{}
}

// detach removes all programs.
func (d *Driver) detach() {
	for port := range d.sites {
		d.take(port)
	}
	d.mode, d.why = off, nil
}
