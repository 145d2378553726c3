package config

import "reflect"

// ReadService reads a service that comes by command: the keys of one [[service]]
// table, as a file would have them. What it leaves out has its default; whether
// it can stand among the others is for Verify to say. The error is an [Errors]
// without files.
func ReadService(text string) (Service, error) {
	l := newLoader("", Host{})
	raw, places, ok := l.parse("", []byte("[[service]]\n"+text))
	if ok {
		l.merge(raw, places)
		l.decode(scope{}, l.places, l.raw, reflect.ValueOf(l.cfg).Elem(), "")
	}
	if len(l.faults) > 0 {
		return Service{}, l.faults.sorted(nil)
	}
	return l.cfg.Services[0], nil
}
