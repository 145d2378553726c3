package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"
)

// Probe is a stream of numbered UDP datagrams to an echo service: a ruler held
// against an outage.
type Probe struct {
	conn     net.Conn
	interval time.Duration
	stop     chan struct{}
	workers  sync.WaitGroup

	mu   sync.Mutex
	sent []time.Time     // by number
	back []time.Duration // by number; 0: not yet
}

// ProbeReport is what a Probe measured.
type ProbeReport struct {
	Sent, Lost int
	Blackhole  time.Duration // the longest run of lost datagrams, as time
	Worst      time.Duration // the longest round trip
}

func (r ProbeReport) String() string {
	return fmt.Sprintf("%d sent, %d lost, blackhole %v, worst round trip %v", r.Sent, r.Lost, r.Blackhole.Round(time.Millisecond), r.Worst.Round(100*time.Microsecond))
}

// Probe starts to send a datagram every interval.
func (h *Host) Probe(ctx context.Context, address string, interval time.Duration) (*Probe, error) {
	conn, err := h.Dial(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	p := &Probe{conn: conn, interval: interval, stop: make(chan struct{})}
	if !h.lab.OnClose(func() { conn.Close() }) {
		conn.Close()
		return nil, fmt.Errorf("%s: the lab is closed", h.Name)
	}
	p.workers.Add(2)
	go p.send()
	go p.receive()
	return p, nil
}

// Local is the client's end.
func (p *Probe) Local() string { return p.conn.LocalAddr().String() }

// Host is the client's address.
func (p *Probe) Host() string {
	host, _, _ := net.SplitHostPort(p.Local())
	return host
}

func (p *Probe) send() {
	defer p.workers.Done()
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	var datagram [64]byte
	for number := uint32(0); ; number++ {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		binary.BigEndian.PutUint32(datagram[:], number)
		p.mu.Lock()
		p.sent = append(p.sent, time.Now())
		p.back = append(p.back, 0)
		p.mu.Unlock()
		p.conn.Write(datagram[:]) // an ICMP error shows as a loss
	}
}

func (p *Probe) receive() {
	defer p.workers.Done()
	var datagram [64]byte
	for {
		n, err := p.conn.Read(datagram[:])
		now := time.Now()
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			return
		}
		if n < 4 {
			select {
			case <-p.stop:
				return
			default:
				continue
			}
		}
		number := binary.BigEndian.Uint32(datagram[:])
		p.mu.Lock()
		if int(number) < len(p.sent) && p.back[number] == 0 {
			p.back[number] = max(1, now.Sub(p.sent[number]))
		}
		p.mu.Unlock()
	}
}

// Stop sends no more, waits for the last answers and reports.
func (p *Probe) Stop() ProbeReport {
	close(p.stop)
	p.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	p.workers.Wait()
	p.conn.Close()

	r := ProbeReport{Sent: len(p.sent)}
	var since time.Time // when the present run of losses began
	for i, rtt := range p.back {
		if rtt == 0 {
			r.Lost++
			if since.IsZero() {
				since = p.sent[i]
			}
			r.Blackhole = max(r.Blackhole, p.sent[i].Sub(since)+p.interval)
			continue
		}
		since = time.Time{}
		r.Worst = max(r.Worst, rtt)
	}
	return r
}
