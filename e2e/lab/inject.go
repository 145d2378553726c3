package lab

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Inject puts frames on the wire as they are, right or wrong, as though the host
// had sent them out of this port.
func (p *Port) Inject(frames ...[]byte) error {
	index, err := p.Index()
	if err != nil {
		return err
	}
	return p.host.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("%s: inject: %w", p, err)
		}
		defer unix.Close(fd)
		for i, frame := range frames {
			if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
				return fmt.Errorf("%s: inject frame %d of %d bytes: %w", p, i, len(frame), err)
			}
		}
		return nil
	})
}
