package foreign

import (
	"context"
	"io"

	"fleetlb/cmd/fleetlb/ipvs"
)

// Rules reads what ipvsadm-save prints.
func Rules(ctx context.Context, text io.Reader) *Site {
	site := &Site{}
	settings, faults := ipvs.Read(ctx, text)
	for _, f := range faults {
		site.note(f.Line, "%s", f.Text)
	}
	for _, s := range settings {
		if !s.Server.IsValid() {
			site.Services = append(site.Services, Service{Name: s.Service, Set: s.Set})
			continue
		}
		v := &site.Services[len(site.Services)-1]
		v.Servers = append(v.Servers, Server{s.Server.String(), s.Set})
	}
	return site
}
