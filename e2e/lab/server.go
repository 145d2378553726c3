package lab

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Ports of the lab's own server.
const (
	HTTPPort = 8080
	EchoPort = 7007 // TCP and UDP
)

// Serve starts the lab's own real server on the host and waits until it
// answers. It speaks HTTP on HTTPPort
//
//	GET  /                      its name; X-Server and X-Peer say who met whom
//	GET  /noise?bytes=N&seed=S  that much noise
//	PUT /hash                   the SHA-256 of the body
//	GET  /wait?for=2s           an answer after a while
//	GET  /healthz               200, or 503 after POST /healthz?up=false
//
// and echoes TCP streams and UDP datagrams on EchoPort.
func (h *Host) Serve() (*Process, error) {
	p, err := h.startRole("server", "server", "-name", h.Name)
	if err != nil {
		return nil, err
	}
	return p, h.awaitPort(p, HTTPPort)
}

// awaitPort waits until a program of the host accepts connections on a port.
func (h *Host) awaitPort(p *Process, port int) error {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return Await(10*time.Second, fmt.Sprintf("%s to listen on port %d", p, port), func() error {
		if !p.Running() {
			return Hopeless(fmt.Errorf("it ended: %s: %s", p.State(), p.Tail(3)))
		}
		c, err := h.Dial(context.Background(), "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// serveRole is the server's main function.
func serveRole(args []string) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	name := flags.String("name", "server", "what the server calls itself")
	if err := flags.Parse(args); err != nil {
		return err
	}
	echo, err := net.Listen("tcp", fmt.Sprintf(":%d", EchoPort))
	if err != nil {
		return err
	}
	go echoStreams(echo)
	datagrams, err := listenEcho()
	if err != nil {
		return err
	}
	go echoDatagrams(datagrams)
	return http.ListenAndServe(fmt.Sprintf(":%d", HTTPPort), (&webServer{name: *name}).handler())
}

type webServer struct {
	name string
	sick atomic.Bool
}

func (s *webServer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, s.name)
	})
	mux.HandleFunc("GET /noise", func(w http.ResponseWriter, r *http.Request) {
		n, err1 := strconv.ParseInt(r.FormValue("bytes"), 10, 64)
		seed, err2 := strconv.ParseUint(r.FormValue("seed"), 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		io.CopyBuffer(w, Noise(seed, n), make([]byte, 256<<10))
	})
	mux.HandleFunc("/hash", func(w http.ResponseWriter, r *http.Request) {
		sum, err := Hash(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, sum)
	})
	mux.HandleFunc("GET /wait", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.FormValue("for"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(d):
			fmt.Fprintln(w, s.name)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if s.sick.Load() {
			http.Error(w, "sick", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("POST /healthz", func(w http.ResponseWriter, r *http.Request) {
		s.sick.Store(r.FormValue("up") == "false")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Server", s.name)
		w.Header().Set("X-Peer", r.RemoteAddr)
		mux.ServeHTTP(w, r)
	})
}

func echoStreams(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			// Not by splice, which holds a pipe, two more files, a connection.
			io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, 4<<10))
		}()
	}
}

// echoDatagrams answers from the address that it was asked at, which of several
// is not always the one that the kernel would choose.
func echoDatagrams(c *net.UDPConn) {
	buf, about := make([]byte, 64<<10), make([]byte, 128)
	for {
		n, m, _, from, err := c.ReadMsgUDP(buf, about)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if interfaceAt := unix.SizeofCmsghdr + 16; m >= interfaceAt+4 { // struct in6_pktinfo
			clear(about[interfaceAt : interfaceAt+4]) // the answer may leave by another
		}
		c.WriteMsgUDP(buf[:n], about[:m], from)
	}
}

// listenEcho listens at all addresses and learns of each datagram to which it was
// sent.
func listenEcho() (*net.UDPConn, error) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{Port: EchoPort})
	if err != nil {
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})
	return c, errors.Join(failed, err)
}
