package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// A Client is the director behind a socket. Its errors are of type *[Error]. How
// long it waits is up to the contexts it is given.
type Client struct {
	path string
	http http.Client
}

var _ Backend = (*Client)(nil)

// NewClient returns the director that listens at path. It connects when asked
// something, and anew each time.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, DisableCompression: true},
	}}
}

// do sends a request. The caller closes the answer's body.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, &Error{Invalid, "request", err.Error()}
		}
		payload = bytes.NewReader(b)
	}
	target := "http://director" + path // the host is for form's sake
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, payload)
	if err != nil {
		return nil, &Error{Invalid, "request", err.Error()}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

// unreachable says why there was no answer, and what to do about it.
func (c *Client) unreachable(err error) error {
	cause := err.Error()
	if inner := (*url.Error)(nil); errors.As(err, &inner) {
		cause = inner.Err.Error()
	}
	switch {
	case errors.Is(err, syscall.ENOENT):
		cause = fmt.Sprintf("no socket at %s; is fleetlbd running?", c.path)
	case errors.Is(err, syscall.ECONNREFUSED):
		cause = fmt.Sprintf("nobody answers at %s; is fleetlbd running?", c.path)
	case errors.Is(err, syscall.EACCES):
		cause = fmt.Sprintf("may not use %s; be root or in its group", c.path)
	case errors.Is(err, context.Canceled):
		cause = "interrupted"
	case errors.Is(err, context.DeadlineExceeded):
		cause = fmt.Sprintf("no answer in time at %s", c.path)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		cause = "the answer broke off"
	}
	return &Error{Unavailable, "director", cause}
}

// refusal is the error that resp carries.
func refusal(resp *http.Response) error {
	var e Error
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRequest))
	if json.Unmarshal(body, &e) == nil && statuses[e.Kind] != 0 {
		return &e
	}
	return &Error{Internal, "director", "answered " + resp.Status}
}

// list reads a noun whole.
func list[T any](ctx context.Context, c *Client, noun string, query url.Values) ([]T, error) {
	return exchange[T](ctx, c, http.MethodGet, pathOf(noun), query, nil)
}

// told does something that has an answer.
func told[T any](ctx context.Context, c *Client, method, path string, body any) ([]T, error) {
	return exchange[T](ctx, c, method, path, nil, body)
}

func exchange[T any](ctx context.Context, c *Client, method, path string, query url.Values, body any) ([]T, error) {
	resp, err := c.do(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var all []T
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return nil, c.unreachable(err)
	}
	return all, nil
}

// one reads a noun of which there is one.
func one[T any](ctx context.Context, c *Client, noun string, query url.Values) (T, error) {
	all, err := list[T](ctx, c, noun, query)
	if err == nil && len(all) != 1 {
		err = &Error{Internal, noun, fmt.Sprintf("the director sent %d of what there is one of", len(all))}
	}
	if err != nil {
		return *new(T), err
	}
	return all[0], nil
}

func ofServiceQuery(service string) url.Values {
	if service == "" {
		return nil
	}
	return url.Values{"service": {service}}
}
