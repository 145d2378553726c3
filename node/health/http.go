package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// tryHTTP makes one request on one connection. net/http's Transport would run
// two goroutines a connection, follow the environment's proxies and keep
// connections for later, so the exchange is spelled out here.
func tryHTTP(ctx context.Context, t *Target) (hangUp func(), err error) {
	conn, err := dial(ctx, "tcp", t)
	if err != nil {
		return nil, err
	}
	hangUp = func() { goodbye(ctx, conn) }
	var stream net.Conn = conn
	if t.Check.Type == "https" {
		secure, err := encrypt(conn, t)
		if err != nil {
			return hangUp, err
		}
		stream = secure
		hangUp = func() {
			secure.CloseWrite() // close_notify, before the FIN
			goodbye(ctx, conn)
		}
	}
	return hangUp, exchange(stream, t)
}

// exchange sends the request and judges the response.
func exchange(conn net.Conn, t *Target) error {
	req, err := request(t)
	if err != nil {
		return err
	}
	if err := req.Write(conn); err != nil {
		return failed("request", t, err)
	}
	limited := &io.LimitedReader{R: conn, N: maxHeader}
	resp, err := response(bufio.NewReader(limited), req)
	if err != nil {
		if limited.N == 0 {
			return fmt.Errorf("response: header of more than %d KiB", maxHeader>>10)
		}
		return failed("response", t, err)
	}
	if !t.Check.accepts(resp.StatusCode) {
		return fmt.Errorf("status %d, want %s", resp.StatusCode, t.Check.wanted())
	}
	if t.Check.Expect == "" {
		return nil
	}
	limited.N = maxHeader + maxBody // expect ends first
	return expect(resp.Body, "body", t)
}

func request(t *Target) (*http.Request, error) {
	c := &t.Check
	path := c.Path
	if path == "" {
		path = "/"
	}
	u, err := url.ParseRequestURI(path)
	if err != nil || u.Host != "" {
		return nil, fmt.Errorf("path %q is not one", path)
	}
	u.Scheme, u.Host = c.Type, t.endpoint().String()
	host := c.Host
	if host == "" {
		host = hostHeader(t)
	}
	return &http.Request{
		Method:     c.Method, // empty means GET
		URL:        u,
		Host:       host,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     http.Header{"User-Agent": {"fleetlb-check"}, "Accept": {"*/*"}},
		Close:      true,
	}, nil
}

// hostHeader is the server's address as browsers write it: without the scheme's
// own port.
func hostHeader(t *Target) string {
	at := t.endpoint()
	usual := map[string]uint16{"http": 80, "https": 443}[t.Check.Type]
	switch {
	case at.Port() != usual:
		return at.String()
	case at.Addr().Is4():
		return at.Addr().String()
	}
	return "[" + at.Addr().WithZone("").String() + "]"
}

// response reads the final response, past interim ones (RFC 9110 §15.2).
func response(r *bufio.Reader, req *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(r, req)
		if errors.Is(err, io.ErrUnexpectedEOF) && r.Buffered() == 0 {
			return nil, io.EOF
		}
		interim := err == nil && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols
		if !interim {
			return resp, err
		}
	}
}

func (c *Check) accepts(status int) bool {
	for _, r := range c.Status {
		if r.Min <= status && status <= r.Max {
			return true
		}
	}
	return false
}

// wanted lists the acceptable statuses: "200", "200-299, 404".
func (c *Check) wanted() string {
	var list []string
	for _, r := range c.Status {
		if r.Min == r.Max {
			list = append(list, strconv.Itoa(r.Min))
		} else {
			list = append(list, fmt.Sprintf("%d-%d", r.Min, r.Max))
		}
	}
	return strings.Join(list, ", ")
}

// encrypt shakes hands over conn and checks the certificate as far as wanted.
func encrypt(conn net.Conn, t *Target) (*tls.Conn, error) {
	c := &t.Check.TLS
	config := &tls.Config{
		ServerName:         c.ServerName,
		InsecureSkipVerify: !c.Verify,
		NextProtos:         []string{"http/1.1"},
		MinVersion:         tls.VersionTLS10, // the check asks whether it serves, not how well
	}
	if config.ServerName == "" {
		config.ServerName = certificateName(t)
	}
	if c.Verify && c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls: ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: ca: no certificate in %s", c.CAFile)
		}
	}
	secure := tls.Client(conn, config)
	if err := secure.Handshake(); err != nil {
		return nil, failed("tls", t, err)
	}
	return secure, nil
}

// certificateName is the host asked for, without a port, else the address.
func certificateName(t *Target) string {
	host := t.Check.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "" {
		return t.Address.Addr().WithZone("").String()
	}
	return host
}
