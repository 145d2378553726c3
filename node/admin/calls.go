package admin

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
)

func (c *Client) Status(ctx context.Context) (Status, error) {
	return one[Status](ctx, c, "status", nil)
}

func (c *Client) Services(ctx context.Context, service string) ([]Service, error) {
	return list[Service](ctx, c, "services", ofServiceQuery(service))
}

func (c *Client) Servers(ctx context.Context, service string) ([]Server, error) {
	return list[Server](ctx, c, "servers", ofServiceQuery(service))
}

func (c *Client) Health(ctx context.Context, service string) ([]Health, error) {
	return list[Health](ctx, c, "health", ofServiceQuery(service))
}

func (c *Client) Persistence(ctx context.Context, service string) ([]Persistence, error) {
	return list[Persistence](ctx, c, "persistence", ofServiceQuery(service))
}

func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	return list[Node](ctx, c, "nodes", nil)
}

func (c *Client) VRRP(ctx context.Context) ([]VRRP, error) {
	return list[VRRP](ctx, c, "vrrp", nil)
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

func (c *Client) Settings(ctx context.Context, service string) ([]Setting, error) {
	return list[Setting](ctx, c, "settings", ofServiceQuery(service))
}

func (c *Client) Traffic(ctx context.Context, service string) ([]Traffic, error) {
	return list[Traffic](ctx, c, "traffic", ofServiceQuery(service))
}

func (c *Client) Zero(ctx context.Context, service string) error {
	resp, err := c.do(ctx, http.MethodPost, "/v1/traffic/zero", ofServiceQuery(service), nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
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

func (c *Client) Edit(ctx context.Context, edits []Edit) error {
	return c.act(ctx, http.MethodPost, "/v1/edit", edits)
}

// Save returns the name of the file.
func (c *Client) Save(ctx context.Context) (string, error) {
	saved, err := told[savedFile](ctx, c, http.MethodPost, "/v1/config/save", nil)
	if err == nil && len(saved) != 1 {
		err = &Error{Internal, "config save", "the director does not say where"}
	}
	if err != nil {
		return "", err
	}
	return saved[0].File, nil
}

func (c *Client) DrainNode(ctx context.Context) error {
	return c.act(ctx, http.MethodPost, "/v1/node/drain", nil)
}

func (c *Client) UndrainNode(ctx context.Context) error {
	return c.act(ctx, http.MethodPost, "/v1/node/undrain", nil)
}

func (c *Client) Keyring(ctx context.Context) ([]KeyHolder, error) {
	return list[KeyHolder](ctx, c, "keyring", nil)
}

func (c *Client) AddKey(ctx context.Context, key string) ([]KeyHolder, error) {
	return told[KeyHolder](ctx, c, http.MethodPost, "/v1/keyring", keySpec{key})
}

func (c *Client) UseKey(ctx context.Context, id string) ([]KeyHolder, error) {
	return told[KeyHolder](ctx, c, http.MethodPut, "/v1/keyring/"+url.PathEscape(id), nil)
}

func (c *Client) RemoveKey(ctx context.Context, id string) ([]KeyHolder, error) {
	return told[KeyHolder](ctx, c, http.MethodDelete, "/v1/keyring/"+url.PathEscape(id), nil)
}

func (c *Client) Reload(ctx context.Context) ([]Change, error) {
	return told[Change](ctx, c, http.MethodPost, "/v1/reload", nil)
}
