package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// routes is the API of b.
func routes(b Backend) http.Handler {
	m := http.NewServeMux()

	noun(m, "status", only(b.Status), nil)
	noun(m, "services", ofService(b.Services), compareServices)
	noun(m, "servers", ofService(b.Servers), compareServers)
	noun(m, "health", ofService(b.Health), compareHealth)
	noun(m, "persistence", ofService(b.Persistence), comparePersistence)
	noun(m, "nodes", plain(b.Nodes), compareNodes)
	noun(m, "vrrp", plain(b.VRRP), compareVRRP)
	noun(m, "bgp neighbors", plain(b.Neighbors), compareNeighbors)
	noun(m, "bgp routes", plain(b.Routes), compareRoutes)
	noun(m, "pool", plain(b.Pool), comparePools)
	noun(m, "drops", plain(b.Drops), compareDrops)
	noun(m, "config", only(b.Config), nil)
	noun(m, "settings", ofService(b.Settings), compareSettings)
	noun(m, "traffic", ofService(b.Traffic), compareTraffic)
	noun(m, "explain", explain(b), nil)
	noun(m, "doctor", plain(b.Doctor), compareFindings)
	noun(m, "keyring", plain(b.Keyring), compareHolders)
	m.HandleFunc("GET /v1/sessions", sessions(b))

	verb(m, "POST /v1/node/drain", "node drain", simple(b.DrainNode))
	verb(m, "POST /v1/node/undrain", "node undrain", simple(b.UndrainNode))
	m.HandleFunc("POST /v1/edit", edit(b))
	verb(m, "POST /v1/traffic/zero", "traffic zero", func(r *http.Request) error {
		q, err := parameters(r, "service")
		if err != nil {
			return err
		}
		return b.Zero(r.Context(), q.Get("service"))
	})
	m.HandleFunc("POST /v1/config/save", func(w http.ResponseWriter, r *http.Request) {
		file, err := b.Save(r.Context())
		if err != nil {
			fail(w, explained("config save", err, Refused))
			return
		}
		answer(w, []savedFile{{file}})
	})
	keyring := func(pattern, name string, change func(*http.Request) ([]KeyHolder, error)) {
		m.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			holders, err := change(r)
			if err != nil {
				fail(w, explained(name, err, Refused))
				return
			}
			slices.SortStableFunc(holders, compareHolders)
			answer(w, holders)
		})
	}
	keyring("POST /v1/keyring", "keyring add", func(r *http.Request) (holders []KeyHolder, err error) {
		var k keySpec
		if err = decode(r, &k); err == nil {
			holders, err = b.AddKey(r.Context(), k.Key)
		}
		return holders, err
	})
	keyring("PUT /v1/keyring/{id}", "keyring use", func(r *http.Request) ([]KeyHolder, error) {
		return b.UseKey(r.Context(), r.PathValue("id"))
	})
	keyring("DELETE /v1/keyring/{id}", "keyring remove", func(r *http.Request) ([]KeyHolder, error) {
		return b.RemoveKey(r.Context(), r.PathValue("id"))
	})
	m.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		changes, err := b.Reload(r.Context()) // in its order
		if err != nil {
			fail(w, explained("reload", err, Refused))
			return
		}
		answer(w, changes)
	})
	return known(m)
}

// known answers requests that are not part of the API in the API's own manner.
func known(m *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := m.Handler(r); pattern == "" {
			fail(w, &Error{NotFound, "request", r.Method + " " + r.URL.Path + " is not part of this API"})
			return
		}
		m.ServeHTTP(w, r)
	})
}

// noun serves a list at the path of its name, sorted unless compare is nil.
func noun[T any](m *http.ServeMux, name string, read func(*http.Request) ([]T, error), compare func(a, b T) int) {
	m.HandleFunc("GET "+pathOf(name), func(w http.ResponseWriter, r *http.Request) {
		list, err := read(r)
		if err != nil {
			fail(w, explained(name, err, Internal))
			return
		}
		if compare != nil {
			slices.SortStableFunc(list, compare)
		}
		answer(w, list)
	})
}

// pathOf is where a noun lives: "bgp routes" at /v1/bgp/routes.
func pathOf(noun string) string { return "/v1/" + strings.ReplaceAll(noun, " ", "/") }

func only[T any](read func(context.Context) (T, error)) func(*http.Request) ([]T, error) {
	return func(r *http.Request) ([]T, error) {
		if _, err := parameters(r); err != nil {
			return nil, err
		}
		one, err := read(r.Context())
		return []T{one}, err
	}
}

func plain[T any](read func(context.Context) ([]T, error)) func(*http.Request) ([]T, error) {
	return func(r *http.Request) ([]T, error) {
		if _, err := parameters(r); err != nil {
			return nil, err
		}
		return read(r.Context())
	}
}

func ofService[T any](read func(context.Context, string) ([]T, error)) func(*http.Request) ([]T, error) {
	return func(r *http.Request) ([]T, error) {
		q, err := parameters(r, "service")
		if err != nil {
			return nil, err
		}
		return read(r.Context(), q.Get("service"))
	}
}

func explain(b Backend) func(*http.Request) ([]Explanation, error) {
	return func(r *http.Request) ([]Explanation, error) {
		q, err := parameters(r, "protocol", "src", "dst")
		if err != nil {
			return nil, err
		}
		src, err1 := netip.ParseAddrPort(q.Get("src"))
		dst, err2 := netip.ParseAddrPort(q.Get("dst"))
		if err := errors.Join(err1, err2); err != nil {
			return nil, Errorf(Invalid, "%v", err)
		}
		one, err := b.Explain(r.Context(), Tuple{q.Get("protocol"), src, dst})
		return []Explanation{one}, err
	}
}

// parameters is the query of r, which may have no others than those named.
func parameters(r *http.Request, names ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, Errorf(Invalid, "query: %v", err)
	}
	for name := range q {
		if !slices.Contains(names, name) {
			return nil, Errorf(Invalid, "query: there is no parameter %q", name)
		}
	}
	return q, nil
}

// verb serves something that is done, and says nothing when it is.
func verb(m *http.ServeMux, pattern, name string, do func(*http.Request) error) {
	m.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := do(r); err != nil {
			fail(w, explained(name, err, Refused))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func simple(do func(context.Context) error) func(*http.Request) error {
	return func(r *http.Request) error { return do(r.Context()) }
}

// savedFile is the answer to config save.
type savedFile struct {
	File string `json:"file"`
}

// edit serves changes to the services. What is refused is named after the first
// of them, which is what the operator asked for.
func edit(b Backend) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var edits []Edit
		noun := "edit"
		err := decode(r, &edits)
		if err == nil && len(edits) > 0 {
			noun = edits[0].noun()
			err = b.Edit(r.Context(), edits)
		}
		if err != nil {
			fail(w, explained(noun, err, Refused))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// decode reads a request strictly: what we do not understand, we must not half
// do.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return Errorf(Invalid, "request: %v", err)
	}
	return nil
}

// answer writes a list, [] when it is nil.
func answer[T any](w http.ResponseWriter, list []T) {
	if list == nil {
		list = []T{}
	}
	for i := range list {
		whole(reflect.ValueOf(&list[i]).Elem())
	}
	body, err := json.Marshal(list)
	if err != nil {
		fail(w, &Error{Internal, "director", err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.Write(append(body, '\n'))
}

// whole makes nil lists within an object empty ones, so that they print as [].
func whole(object reflect.Value) {
	for i := range object.NumField() {
		if f := object.Field(i); f.Kind() == reflect.Slice && f.IsNil() {
			f.Set(reflect.MakeSlice(f.Type(), 0, 0))
		}
	}
}

func fail(w http.ResponseWriter, e *Error) {
	body, _ := json.Marshal(e)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statuses[e.Kind])
	w.Write(append(body, '\n'))
}
