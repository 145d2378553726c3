package node

import (
	"context"

	"fleetlb/node/admin"
)

func (b backend) DrainNode(ctx context.Context) error {
	return b.drain(ctx)
}

func (b backend) UndrainNode(ctx context.Context) error {
	return b.do(ctx, b.undrain)
}

func (b backend) Reload(context.Context) ([]admin.Change, error) {
	changes, err := b.reload()
	var all []admin.Change
	for _, c := range changes {
		all = append(all, admin.Change{Change: c})
	}
	return all, err
}

// Settings is what every service is configured to be, by file and by command.
func (b backend) Settings(ctx context.Context, name string) ([]admin.Setting, error) {
	v, err := b.view(ctx)
	if err == nil {
		err = v.known(name)
	}
	if err != nil {
		return nil, err
	}
	var all []admin.Setting
	if name == "" {
		all = append(all, admin.Setting{Set: v.changes.defaults()})
	}
	for i := range v.running.Services {
		s := &v.running.Services[i]
		if name != "" && s.Name != name {
			continue
		}
		words, servers := s.Words()
		all = append(all, admin.Setting{Service: s.Name, Set: words})
		for j, r := range s.Servers {
			all = append(all, admin.Setting{Service: s.Name, Server: r.Address, Set: servers[j]})
		}
	}
	return all, nil
}
