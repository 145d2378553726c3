package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"net/url"
)

func (c *Client) Status(ctx context.Context) (Status, error) {
	return one[Status](ctx, c, "status", nil)
}

func (c *Client) Services(ctx context.Context) ([]Service, error) {
	return list[Service](ctx, c, "services", nil)
}

func (c *Client) Servers(ctx context.Context, service string) ([]Server, error) {
	return list[Server](ctx, c, "servers", ofServiceQuery(service))
}

func (c *Client) Health(ctx context.Context, service string) ([]Health, error) {
	return list[Health](ctx, c, "health", ofServiceQuery(service))
}

func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	return list[Node](ctx, c, "nodes", nil)
}

func (c *Client) Neighbors(ctx context.Context) ([]Neighbor, error) {
	return list[Neighbor](ctx, c, "bgp neighbors", nil)
}

func (c *Client) Routes(ctx context.Context) ([]Route, error) {
	return list[Route](ctx, c, "bgp routes", nil)
}

func (c *Client) Pool(ctx context.Context) ([]Pool, error) {
	return list[Pool](ctx, c, "pool", nil)
}

func (c *Client) Drops(ctx context.Context) ([]Drop, error) {
	return list[Drop](ctx, c, "drops", nil)
}

func (c *Client) Config(ctx context.Context) (Config, error) {
	return one[Config](ctx, c, "config", nil)
}

func (c *Client) Explain(ctx context.Context, t Tuple) (Explanation, error) {
	return one[Explanation](ctx, c, "explain", url.Values{
		"protocol": {t.Protocol}, "src": {t.Src.String()}, "dst": {t.Dst.String()},
	})
}

func (c *Client) Doctor(ctx context.Context) ([]Finding, error) {
	return list[Finding](ctx, c, "doctor", nil)
}

// Sessions reads them one by one, in the order they come.
func (c *Client) Sessions(ctx context.Context, f SessionFilter) iter.Seq2[Session, error] {
	return func(yield func(Session, error) bool) {
		resp, err := c.do(ctx, http.MethodGet, "/v1/sessions", f.query(), nil)
		if err != nil {
			yield(Session{}, err)
			return
		}
		defer resp.Body.Close()
		d := json.NewDecoder(resp.Body)
		if _, err := d.Token(); err != nil { // [
			yield(Session{}, c.unreachable(err))
			return
		}
		for d.More() {
			var s Session
			if err := d.Decode(&s); err != nil {
				yield(Session{}, c.unreachable(err))
				return
			}
			if !yield(s, nil) {
				return
			}
		}
		if _, err := d.Token(); err != nil { // ]
			yield(Session{}, c.unreachable(err))
		}
	}
}

// act does something that has no answer.
func (c *Client) act(ctx context.Context, method, path string, body any) error {
	resp, err := c.do(ctx, method, path, nil, body)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// servicePath is where a service lives; more is joined to it. Names that a path
// would swallow name no service.
func servicePath(noun, service string, more ...string) (string, error) {
	if service == "" || service == "." || service == ".." {
		return "", &Error{Invalid, noun, fmt.Sprintf("%q is not the name of a service", service)}
	}
	path := "/v1/services/" + url.PathEscape(service)
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path, nil
}

func (c *Client) onService(ctx context.Context, noun, method string, body any, service string, more ...string) error {
	path, err := servicePath(noun, service, more...)
	if err != nil {
		return err
	}
	return c.act(ctx, method, path, body)
}

func (c *Client) AddService(ctx context.Context, s ServiceSpec) error {
	return c.act(ctx, http.MethodPost, "/v1/services", s)
}

func (c *Client) DeleteService(ctx context.Context, service string) error {
	return c.onService(ctx, "service delete", http.MethodDelete, nil, service)
}

func (c *Client) AddServer(ctx context.Context, service string, s ServerSpec) error {
	return c.onService(ctx, "server add", http.MethodPost, s, service, "servers")
}

func (c *Client) DeleteServer(ctx context.Context, service string, server netip.AddrPort) error {
	return c.onService(ctx, "server delete", http.MethodDelete, nil, service, "servers", server.String())
}

func (c *Client) DrainServer(ctx context.Context, service string, server netip.AddrPort) error {
	return c.onService(ctx, "server drain", http.MethodPost, nil, service, "servers", server.String(), "drain")
}

func (c *Client) ReadyServer(ctx context.Context, service string, server netip.AddrPort) error {
	return c.onService(ctx, "server ready", http.MethodPost, nil, service, "servers", server.String(), "ready")
}

func (c *Client) SetWeight(ctx context.Context, service string, server netip.AddrPort, weight int) error {
	return c.onService(ctx, "server weight", http.MethodPut, weightSpec{weight}, service, "servers", server.String(), "weight")
}

func (c *Client) DrainNode(ctx context.Context) error {
	return c.act(ctx, http.MethodPost, "/v1/node/drain", nil)
}

func (c *Client) UndrainNode(ctx context.Context) error {
	return c.act(ctx, http.MethodPost, "/v1/node/undrain", nil)
}

func (c *Client) Reload(ctx context.Context) ([]Change, error) {
	return exchange[Change](ctx, c, http.MethodPost, "/v1/reload", nil)
}
