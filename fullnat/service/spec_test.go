package service

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// TestSpecEqual holds Equal to every field there is.
func TestSpecEqual(t *testing.T) {
	one := Spec{Flags: []string{"mh-port"}, Servers: []ServerSpec{{Weight: 1}}}
	if same := (Spec{Flags: []string{"mh-port"}, Servers: []ServerSpec{{Weight: 1}}}); !one.Equal(same) {
		t.Error("equal specs differ")
	}
	fields := reflect.TypeFor[Spec]()
	for i := range fields.NumField() {
		other := one
		change(t, reflect.ValueOf(&other).Elem().Field(i))
		if one.Equal(other) {
			t.Errorf("%s makes no difference", fields.Field(i).Name)
		}
	}
}

// change gives v another value.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *string:
		*x += "x"
	case *uint8:
		*x++
	case *uint16:
		*x++
	case *[]Listener:
		*x = []Listener{{Last: 9}}
	case *Mode:
		*x++
	case *netip.AddrPort:
		*x = netip.MustParseAddrPort("192.0.2.1:80")
	case *[]string:
		*x = append(*x, "mh-fallback")
	case *[]ServerSpec:
		*x = []ServerSpec{{Weight: 2}}
	case *Tunnel:
		x.Port = 6080
	case *Timeouts:
		x.LastAck = time.Second
	case *Options:
		x.MSS = 1
	default:
		t.Fatalf("%T: say how it can differ", x)
	}
}
