package admin

import (
	"net"
	"sync"
)

// limited accepts only as many connections at a time as its channel has room
// for; others wait in the socket's backlog. It stands in for netutil's, whose
// connections do not let us ask the kernel about the peer.
type limited struct {
	*net.UnixListener
	room chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	c, err := l.AcceptUnix()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &slot{UnixConn: c, leave: sync.OnceFunc(func() { <-l.room })}, nil
}

// A slot is one of the connections there is room for.
type slot struct {
	*net.UnixConn
	leave func()
}

func (s *slot) Close() error {
	defer s.leave()
	return s.UnixConn.Close()
}
