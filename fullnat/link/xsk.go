package link

import (
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How many frames an XDP socket holds for a worker that is late, and how many
// that the kernel has not sent yet.
const (
	rxChunks = 2048
	txChunks = 1024
)

// An xsk is a worker's XDP socket on one receive queue of an interface: rings
// without a system call for each frame. Frames are copied between the rings'
// memory and the pool: a worker may hold a frame for as long as it likes, and
// change its length, while chunks are small, few and always the kernel's to fill.
type xsk struct {
	fd    int
	chunk int // the length of one: 2048 or 4096
	umem  []byte

	longest int // frame that the interface sends

	fill, done ring[uint64]       // chunks to receive into; chunks that were sent
	rx, tx     ring[unix.XDPDesc] // frames received; frames to send
	free       []uint64           // chunks to send from
}

// openXSK opens the socket of one receive queue. The kernel copies: what drivers
// do without copies differs from card to card.
func openXSK(ifi *net.Interface, queue int) (*xsk, error) {
	x := &xsk{fd: -1, chunk: chunkFor(ifi.MTU), longest: ethernetLen + ifi.MTU, free: make([]uint64, txChunks)}
	if err := x.open(ifi.Index, queue); err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

func (x *xsk) open(ifindex, queue int) (err error) {
	if x.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	x.umem, err = unix.Mmap(-1, 0, (rxChunks+txChunks)*x.chunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("chunks: map: %w", err)
	}
	if err := x.share(); err != nil {
		return err
	}
	// Older kernels send 32 frames a call, which only costs more calls.
	unix.SetsockoptInt(x.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, 4*burst)
	if unix.SetsockoptInt(x.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bufferBytes) != nil {
		unix.SetsockoptInt(x.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bufferBytes)
	}
	sa := &unix.SockaddrXDP{Ifindex: uint32(ifindex), QueueID: uint32(queue), Flags: unix.XDP_COPY | unix.XDP_USE_NEED_WAKEUP}
	if err := unix.Bind(x.fd, sa); err != nil {
		return fmt.Errorf("bind queue %d: %w", queue, err)
	}
	return nil
}

// share gives the kernel the chunks and maps the rings.
func (x *xsk) share() error {
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&x.umem[0]))), Len: uint64(len(x.umem)), Size: uint32(x.chunk)}
	if e := setsockopt(x.fd, unix.XDP_UMEM_REG, unsafe.Pointer(&reg), unsafe.Sizeof(reg)); e != 0 {
		return fmt.Errorf("register chunks: %w", e)
	}
	for option, n := range map[int]int{
		unix.XDP_UMEM_FILL_RING: rxChunks, unix.XDP_RX_RING: rxChunks, unix.XDP_UMEM_COMPLETION_RING: txChunks, unix.XDP_TX_RING: txChunks,
	} {
		if err := unix.SetsockoptInt(x.fd, unix.SOL_XDP, option, n); err != nil {
			return fmt.Errorf("ring: %w", err)
		}
	}
	var o unix.XDPMmapOffsets
	if e := getsockopt(x.fd, unix.XDP_MMAP_OFFSETS, unsafe.Pointer(&o), unsafe.Sizeof(o)); e != 0 {
		return fmt.Errorf("ring offsets: %w", e)
	}
	if err := x.mapRings(&o); err != nil {
		return fmt.Errorf("ring: map: %w", err)
	}
	for i := range rxChunks {
		*x.fill.slot(i) = uint64(i * x.chunk)
	}
	x.fill.produce(rxChunks)
	for i := range x.free {
		x.free[i] = uint64((rxChunks + i) * x.chunk)
	}
	return nil
}

func (x *xsk) mapRings(o *unix.XDPMmapOffsets) (err error) {
	if x.rx, err = mapRing[unix.XDPDesc](x.fd, unix.XDP_PGOFF_RX_RING, o.Rx, rxChunks); err != nil {
		return err
	}
	if x.tx, err = mapRing[unix.XDPDesc](x.fd, unix.XDP_PGOFF_TX_RING, o.Tx, txChunks); err != nil {
		return err
	}
	if x.fill, err = mapRing[uint64](x.fd, unix.XDP_UMEM_PGOFF_FILL_RING, o.Fr, rxChunks); err != nil {
		return err
	}
	x.done, err = mapRing[uint64](x.fd, unix.XDP_UMEM_PGOFF_COMPLETION_RING, o.Cr, txChunks)
	return err
}

func (x *xsk) close() {
	shut(x.fd)
	x.rx.unmap()
	x.tx.unmap()
	x.fill.unmap()
	x.done.unmap()
	if x.umem != nil {
		unix.Munmap(x.umem)
	}
	x.fd, x.umem = -1, nil
}

// receive copies waiting frames into empty ones and returns how many.
func (x *xsk) receive(into []*Frame) int {
	n := min(len(into), x.rx.waiting())
	for i, f := range into[:n] {
		d := x.rx.slot(i)
		f.size = d.Len
		copy(f.slot[f.head:], x.umem[d.Addr:d.Addr+uint64(d.Len)])
		*x.fill.slot(i) = d.Addr &^ uint64(x.chunk-1)
	}
	if n > 0 {
		x.rx.consume(n)
		x.fill.produce(n)
	}
	return n
}

// room is how many frames can be sent at present.
func (x *xsk) room() int {
	n := x.done.waiting()
	for i := range n {
		x.free = append(x.free, *x.done.slot(i))
	}
	if n > 0 {
		x.done.consume(n)
	}
	return len(x.free)
}

// put queues a copy of a frame as the i-th to be sent. There must be room.
func (x *xsk) put(i int, f *Frame) {
	last := len(x.free) - 1
	at := x.free[last]
	x.free = x.free[:last]
	chunk := x.umem[at : at+uint64(copy(x.umem[at:at+uint64(x.chunk)], f.Bytes()))]
	if f.Offload.NeedsChecksum() {
		f.Offload.complete(chunk)
	}
	*x.tx.slot(i) = unix.XDPDesc{Addr: at, Len: uint32(len(chunk))}
}

// send hands n queued frames to the kernel and has it send them. Of what it
// leaves for later, rest is how many, error the cause.
func (x *xsk) send(n int) (rest int, errno syscall.Errno) {
	x.tx.produce(n)
	rest = x.tx.pending()
	for rest > 0 {
		_, _, errno = unix.Syscall6(unix.SYS_SENDTO, uintptr(x.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
		left := x.tx.pending()
		if left == rest {
			break // it goes no further at present
		}
		rest = left
	}
	return rest, errno
}

// lost is how many frames the kernel had to drop for want of room.
func (x *xsk) lost() uint64 {
	var s unix.XDPStatistics
	if getsockopt(x.fd, unix.XDP_STATISTICS, unsafe.Pointer(&s), unsafe.Sizeof(s)) != 0 {
		return 0
	}
	return s.Rx_dropped + s.Rx_ring_full
}

func setsockopt(fd, option int, value unsafe.Pointer, size uintptr) syscall.Errno {
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option), uintptr(value), size, 0)
	return e
}

func getsockopt(fd, option int, value unsafe.Pointer, size uintptr) syscall.Errno {
	length := uint32(size)
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option), uintptr(value), uintptr(unsafe.Pointer(&length)), 0)
	return e
}
