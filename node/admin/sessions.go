package admin

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// sessions streams, since there may be millions: an array in the order of the
// tables. One that breaks off in the middle is cut off, so that nobody takes it
// for whole.
func sessions(b Backend) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		filter, err := filterOf(r)
		if err != nil {
			fail(w, explained("sessions", err, Invalid))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		out := bufio.NewWriterSize(w, 32<<10)
		begun := 0 // bytes said so far
		say := func(s []byte) {
			n, _ := out.Write(s)
			begun += n
		}
		say([]byte("["))
		n := 0
		for s, err := range b.Sessions(r.Context(), filter) {
			if err != nil && begun == out.Buffered() { // nothing has left yet
				fail(w, explained("sessions", err, Internal))
				return
			}
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			if n%256 == 0 {
				http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
			}
			if n++; n > 1 {
				say([]byte(",\n"))
			}
			one, err := json.Marshal(s)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			say(one)
			if n == filter.Limit {
				break
			}
		}
		if r.Context().Err() != nil {
			panic(http.ErrAbortHandler) // nobody is there to read it
		}
		say([]byte("]\n"))
		out.Flush()
	}
}

func filterOf(r *http.Request) (f SessionFilter, err error) {
	q, err := parameters(r, "service", "client", "server", "state", "role", "all", "limit")
	if err != nil {
		return f, err
	}
	f.Service, f.State, f.Role = q.Get("service"), q.Get("state"), q.Get("role")
	if s := q.Get("all"); s != "" {
		if f.All, err = strconv.ParseBool(s); err != nil {
			return f, Errorf(Invalid, "all %q is neither true nor false", s)
		}
	}
	if s := q.Get("client"); s != "" {
		if f.Client, err = ParseClient(s); err != nil {
			return f, err
		}
	}
	if s := q.Get("server"); s != "" {
		if f.Server, err = ParseServer(s); err != nil {
			return f, err
		}
	}
	if s := q.Get("limit"); s != "" {
		if f.Limit, err = strconv.Atoi(s); err != nil || f.Limit < 0 {
			return f, Errorf(Invalid, "limit %q is not a number of sessions", s)
		}
	}
	return f, nil
}

// query is the filter as filterOf reads it.
func (f *SessionFilter) query() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("service", f.Service)
	set("state", f.State)
	set("role", f.Role)
	if f.All {
		set("all", "true")
	}
	if f.Client.IsValid() {
		set("client", f.Client.String())
	}
	switch {
	case f.Server.Port() != 0:
		set("server", f.Server.String())
	case f.Server.Addr().IsValid():
		set("server", f.Server.Addr().String())
	}
	if f.Limit > 0 {
		set("limit", strconv.Itoa(f.Limit))
	}
	return q
}

// ParseClient reads the client of a filter: an address or a prefix.
func ParseClient(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	return netip.Prefix{}, Errorf(Invalid, "client %q is neither an address nor a prefix", s)
}

// ParseServer reads the server of a filter: an address, or IP:PORT.
func ParseServer(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 0), nil
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a, nil
	}
	return netip.AddrPort{}, Errorf(Invalid, "server %q is neither an address nor IP:PORT", s)
}
